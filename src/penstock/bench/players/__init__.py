"""What runs in the processes that are measured: a player for each system, all on ``player``."""
