"""The pure heart of Penstock: jobs, policies, names and errors, without I/O or an event loop."""
