"""The command line: one file a command, and the only place where processes are composed."""
