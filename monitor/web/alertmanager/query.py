"""Which alerts and silences a request asks for, by the rules of Alertmanager."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from monitor.alerting import matchers
from monitor.alerting.matchers import Matcher, MatcherError, Operator
from monitor.alerting.silences import Silence, SilenceState

_TRUE: Final = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})
_MOST: Final = 100
_RANK: Final = {SilenceState.ACTIVE: 0, SilenceState.PENDING: 1, SilenceState.EXPIRED: 2}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `receiver` None is any; the flags say what is shown at all."""

    labels: tuple[Matcher, ...]
    receiver: Matcher | None
    active: bool
    silenced: bool
    inhibited: bool
    muted: bool

    def receivers(self, names: Iterable[str]) -> bool:
        """Whether one of the receivers is asked for."""
        return self.receiver is None or any(self.receiver.matches({self.receiver.name: name}) for name in names)


def wanted(filters: Iterable[str], receiver: str, flags: Mapping[str, str]) -> Wanted:
    """What the query's parameters ask for.

    Raises:
        MatcherError: A filter is no matcher, or the receiver no pattern.
    """
    try:
        named = Matcher("receiver", Operator.MATCHES, receiver) if receiver else None
    except MatcherError as error:
        raise MatcherError(f"failed to parse receiver param: {error}") from None
    shown = {name: flags.get(name, "true").lower() in _TRUE for name in ("active", "silenced", "inhibited", "muted")}
    return Wanted(parsed(filters), named, **shown)


def parsed(filters: Iterable[str]) -> tuple[Matcher, ...]:
    """The matchers of a query. Raises MatcherError."""
    texts = list(filters)
    if len(texts) > _MOST:
        raise MatcherError(f"{len(texts)} filters; {_MOST} are the most")
    return tuple(map(matchers.parse, texts))


def about(silence: Silence, filters: Iterable[Matcher]) -> bool:
    """Whether a silence is of what the filters say: its matchers' values are taken for labels."""
    values = {each.name: each.value for each in silence.matchers}
    return matchers.matches(filters, values)


def ordered(silences: Iterable[Silence], wall: int) -> list[Silence]:
    """Active ones first, what ends soonest at the top; then those to come; then the expired, the last one first."""

    def rank(silence: Silence) -> tuple[int, int]:
        state = silence.state(wall)
        times = {
            SilenceState.ACTIVE: silence.ends_at,
            SilenceState.PENDING: silence.starts_at,
            SilenceState.EXPIRED: -silence.ends_at,
        }
        return _RANK[state], times[state]

    return sorted(silences, key=rank)
