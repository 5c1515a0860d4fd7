"""What workers can run: each executor is a handler, or the pure part of one."""
