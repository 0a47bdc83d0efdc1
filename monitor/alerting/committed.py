"""Commits of the engine as the dispatcher takes them in: from memory, or as they are read back after a start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from monitor.notify.compose import Notice
from monitor.pipeline import decode_transition
from monitor.store.base import JournalId
from monitor.store.keys import ENTRIES_PER_COMMIT
from rules.transition import Transition

Told = tuple[str, Transition, Notice]
"""A transition that people are told of, and its id in the stream."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit brought: event time after it, its transitions, the stream id of its last one ('' for none)."""

    at: int
    told: tuple[Told, ...]
    cursor: str


def read_back(page: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Committed]:
    """Stored transitions, a commit at a time."""
    for _, entries in groupby(page, key=lambda entry: _commit_of(entry[0])):
        yield _stored(list(entries))


def _stored(entries: Sequence[tuple[str, Mapping[str, Any]]]) -> Committed:
    """The transitions of one commit as they are read back."""
    read = [(stream_id, *decode_transition(fields)) for stream_id, fields in entries]
    told = tuple((stream_id, transition, notice) for stream_id, transition, notice in read if notice is not None)
    return Committed(max(transition.at for _, transition, _ in read), told, read[-1][0])


def _commit_of(stream_id: str) -> tuple[int, int]:
    """Which commit a transition belongs to: the same for all of one commit."""
    position = JournalId.parse(stream_id)
    return position.ms, position.sequence // ENTRIES_PER_COMMIT
