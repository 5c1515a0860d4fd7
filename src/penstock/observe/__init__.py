"""Seeing what happens: traces and logs. May be used anywhere above ``core``."""
