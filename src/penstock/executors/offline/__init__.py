"""The built-in model ``offline``: a deterministic planner of work on files, without key or network."""

from penstock.executors.offline.goals import CAN_DO
from penstock.executors.offline.model import OFFLINE, OfflineModel

__all__ = ["CAN_DO", "OFFLINE", "OfflineModel"]
