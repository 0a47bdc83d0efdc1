"""Silences: what people do not want to be told for a while. Their times are the machine's clock, UTC ns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

import msgspec

from monitor.alerting.decision import Decision, Reason, Stage, passes, stops
from monitor.alerting.matchers import Matcher, MatcherError, Operator, matches

RETENTION: Final = 120 * 3_600 * 1_000_000_000
"""How long an expired silence can be looked up: five days, as in Alertmanager."""
_MAX_COMMENT: Final = 4_000


class SilenceError(ValueError):
    """A silence cannot be made as it is; the message says why."""


class UnknownSilence(SilenceError):
    """There is no silence of this id."""


class SilenceState(StrEnum):
    """Where a silence stands."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Alerts that fulfil all `matchers` are not told from `starts_at` (included) to `ends_at`."""

    id: str = ""
    matchers: tuple[Matcher, ...]
    starts_at: int
    ends_at: int
    created_by: str
    comment: str
    updated_at: int = 0

    def state(self, wall: int) -> SilenceState:
        """Where it stands at a time."""
        if wall >= self.ends_at:
            return SilenceState.EXPIRED
        return SilenceState.ACTIVE if wall >= self.starts_at else SilenceState.PENDING

    def encode(self) -> bytes:
        """As it is stored."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(data: bytes) -> Silence:
        """The silence of a stored JSON. Raises msgspec.ValidationError if it is none."""
        return msgspec.json.decode(data, type=Silence)


class Silences:
    """Every silence that is known, by id."""

    def __init__(self, silences: Iterable[Silence] = ()) -> None:
        self.by_id: dict[str, Silence] = {silence.id: silence for silence in silences}

    def decide(self, labels: Mapping[str, str], wall: int) -> Decision:
        """Whether an alert with these labels may be told."""
        ids = self.of(labels, wall)
        if not ids:
            return passes(Stage.SILENCES, Reason.NOT_SILENCED)
        return stops(Stage.SILENCES, Reason.SILENCED, ", ".join(ids))

    def of(self, labels: Mapping[str, str], wall: int) -> list[str]:
        """Ids of the active silences that match."""
        active = (s for s in self.by_id.values() if s.state(wall) is SilenceState.ACTIVE)
        return sorted(s.id for s in active if matches(s.matchers, labels))

    def next_change(self, wall: int) -> int | None:
        """When the next silence starts or ends; None where none will."""
        times = (t for s in self.by_id.values() for t in (s.starts_at, s.ends_at) if t > wall)
        return min(times, default=None)

    def change(self, wanted: Silence, wall: int) -> dict[str, Silence]:
        """What becomes of the silences when one is added, or the one of its id changed: by id; the wanted one is last.

        As in Alertmanager, one that starts in the past starts now, and one whose matchers change, or that has expired,
        becomes a new one, the old one ending now.

        Raises:
            UnknownSilence: It has an id, and there is none of that id.
            SilenceError: It matches everything, ends before it starts, or has ended.
        """
        checked = _checked(wanted, wall)
        if not checked.id:
            return self._new(checked, wall)
        known = self.get(checked.id)
        state = known.state(wall)
        kept_start = state is SilenceState.ACTIVE and known.starts_at == wanted.starts_at
        same = known.matchers == checked.matchers and (kept_start or state is SilenceState.PENDING)
        if same and state is not SilenceState.EXPIRED:
            start = known.starts_at if state is SilenceState.ACTIVE else checked.starts_at
            changed = replace(checked, starts_at=start, updated_at=wall)
            return {changed.id: changed}
        return {**self.expire(known.id, wall), **self._new(checked, wall)}

    def _new(self, checked: Silence, wall: int) -> dict[str, Silence]:
        new = replace(checked, id=str(uuid4()), starts_at=max(checked.starts_at, wall), updated_at=wall)
        return {new.id: new}

    def expire(self, silence_id: str, wall: int) -> dict[str, Silence]:
        """What becomes of the silences when one is ended now: nothing where it has expired.

        Raises:
            UnknownSilence: There is none of that id.
        """
        known = self.get(silence_id)
        if known.state(wall) is SilenceState.EXPIRED:
            return {}
        start = min(known.starts_at, wall)
        return {silence_id: replace(known, starts_at=start, ends_at=wall, updated_at=wall)}

    def get(self, silence_id: str) -> Silence:
        """The silence of an id. Raises UnknownSilence."""
        if silence_id not in self.by_id:
            raise UnknownSilence(f"there is no silence `{silence_id}`")
        return self.by_id[silence_id]

    def forgotten(self, wall: int) -> list[str]:
        """Ids of those that expired so long ago that they can be forgotten."""
        return [s.id for s in self.by_id.values() if wall >= s.ends_at + RETENTION]


def matcher(name: str, value: str, *, is_regex: bool = False, is_equal: bool = True) -> Matcher:
    """A matcher as the API writes it. Raises MatcherError."""
    if not name:
        raise MatcherError("a matcher has no name")
    operators: dict[tuple[Any, Any], Operator] = {
        (False, True): Operator.EQUAL,
        (False, False): Operator.NOT_EQUAL,
        (True, True): Operator.MATCHES,
        (True, False): Operator.MATCHES_NOT,
    }
    return Matcher(name, operators[is_regex, is_equal], value)


def _checked(silence: Silence, wall: int) -> Silence:
    if not silence.matchers:
        raise SilenceError("a silence needs at least one matcher, such as alertname=small-caps-lead")
    if all(each.matches({}) for each in silence.matchers):
        raise SilenceError("every matcher matches an empty label: at least one must name a value, or all is silenced")
    if silence.ends_at <= silence.starts_at:
        raise SilenceError("a silence cannot end before it starts")
    if silence.ends_at <= wall:
        raise SilenceError("a silence cannot end in the past")
    if len(silence.comment) > _MAX_COMMENT:
        raise SilenceError(f"a comment of {len(silence.comment)} characters; {_MAX_COMMENT} are the most")
    return silence
