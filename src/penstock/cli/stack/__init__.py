"""The whole of Penstock on one machine, as `penstock dev` and `penstock demo` run it.

One role a file: `engines` runs Valkey and PostgreSQL, `process` is one child, `services` says which
children there are, `readiness` waits until they serve, `supervisor` starts the dead anew, `leash`
ends a child whose parent is gone; `stack` puts them together, `develop` keeps that running.
"""
