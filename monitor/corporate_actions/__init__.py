"""Corporate actions: splits, dividends and new symbols, from a file or the store, and prices that look like one."""

from monitor.corporate_actions.action import Action, ActionError, Kind, parse_ratio
from monitor.corporate_actions.detect import Mismatch, SuspectedSplit, level_mismatches, suspected_splits
from monitor.corporate_actions.file import actions_frame, actions_of_frame, read_actions

__all__ = [
    "Action",
    "ActionError",
    "Kind",
    "Mismatch",
    "SuspectedSplit",
    "actions_frame",
    "actions_of_frame",
    "level_mismatches",
    "parse_ratio",
    "read_actions",
    "suspected_splits",
]
