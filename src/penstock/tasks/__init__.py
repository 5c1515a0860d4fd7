"""Typed tasks: functions whose calls become jobs, checked against their signature on both sides."""
