"""As whom PostgreSQL runs: as this user, or, since it refuses root, as one without rights."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.core.errors import EmbeddedServerError

if sys.platform != "win32":
    import pwd

#: Tried in this order: an account made for it, else the one that every system has.
ACCOUNTS = ("penstock", "nobody")
_OWN_FILES = Path("/proc/self/fd")
_EVERYONE_MAY_ENTER = 0o001
_EVERYONE_MAY_READ = 0o004


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user that root hands PostgreSQL to."""

    name: str
    user_id: int
    group_id: int

    @property
    def options(self) -> dict[str, Any]:
        """What makes a child process run as this account."""
        return {"user": self.user_id, "group": self.group_id, "extra_groups": [], "cwd": "/"}

    def may_read(self, path: Path) -> bool:
        """Whether everyone, and so this account, may read ``path`` and enter all folders above it."""
        try:
            path = path.resolve(strict=True)
            wanted = [(path, _EVERYONE_MAY_READ), *((above, _EVERYONE_MAY_ENTER) for above in path.parents)]
            return all(place.stat().st_mode & bits for place, bits in wanted)
        except OSError:
            return False


def account_for_root(owner_id: int | None = None) -> Account | None:
    """The account PostgreSQL is to run as, or ``None`` when it can run as this user.

    ``owner_id`` is the owner of a cluster that is there already, which is kept.

    Raises:
        EmbeddedServerError: this user is root, and the system knows nobody else or has no ``/proc``.
    """
    if os.geteuid() != 0:
        return None
    known = _account_of(owner_id) if owner_id else next(filter(None, map(_account_of, ACCOUNTS)), None)
    if known is None:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and this system has no account to run it as: expected one "
            f"of {', '.join(ACCOUNTS)}. Make one (useradd --system penstock), run as an ordinary user, or "
            "set PENSTOCK_DATABASE_URL to use a server of yours."
        )
    if not _OWN_FILES.is_dir():
        raise EmbeddedServerError(
            "The embedded PostgreSQL of root needs Linux with /proc mounted. Run as an ordinary user, or "
            "set PENSTOCK_DATABASE_URL to use a server of yours."
        )
    return known


def path_of(descriptor: int) -> Path:
    """The path under which a child finds the open directory it inherits.

    The folders above a data directory are often closed to others (``/root``, a temporary directory);
    this path leads past them and opens nothing else to the account.
    """
    return _OWN_FILES / str(descriptor)


def _account_of(who: int | str) -> Account | None:
    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry.pw_uid else None
