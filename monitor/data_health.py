"""What is wrong with the data themselves, in words: clocks, refusals, feeds that differ, jumps like a split."""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from monitor.corporate_actions.action import Action
from monitor.corporate_actions.detect import SuspectedSplit
from monitor.corporate_actions.screen import SPLIT, question
from monitor.health import ACTIONS_INVALID
from monitor.ingest.truth import TruthFilter
from monitor.notify.values import span
from monitor.silence import SilentInstruments

FEED_CLOCK: Final = "feed-clock"
FEED_REFUSED: Final = "feed-refused"
FEEDS_DISAGREE: Final = "feeds-disagree"
INSTRUMENT_SILENT: Final = "instrument-silent"
NAMES: Final = frozenset({INSTRUMENT_SILENT, FEED_CLOCK, FEED_REFUSED, FEEDS_DISAGREE, SPLIT})

AHEAD_NS: Final = 1_000_000_000
"""How far a feed's clock may be ahead of the machine's."""
BEHIND_NS: Final = 1800_000_000_000
"""How old a feed's data may be as they come: delayed plans are by 15 minutes, or 20."""
_WINDOW_NS: Final = 60_000_000_000
_LEAST_ROWS: Final = 20
_SECOND: Final = 1e9
_MINUTE: Final = 60e9


class Trouble(NamedTuple):
    """A health condition that holds: its name, what it is about, and why."""

    name: str
    label: str
    subject: str
    reason: str


class DataHealth:
    """Looks at a filter from time to time; used from the filter's thread."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._history: deque[tuple[int, Counter[str], Counter[str]]] = deque()

    def look(self, truth: TruthFilter, wall_ns: int) -> list[Trouble]:
        """What holds at `wall_ns`, UTC."""
        return [*_clocks(truth), *self._refused(truth, wall_ns), *_disagreements(truth), *self._splits(truth)]

    def _refused(self, truth: TruthFilter, wall_ns: int) -> list[Trouble]:
        """Feeds of whose rows of the last minute more than half were refused."""
        refused: Counter[str] = Counter()
        for (feed, _), count in list(truth.rejects.counts.items()):
            refused[feed] += count
        seen = Counter(truth.rejects.seen)
        self._history.append((wall_ns, seen, refused))
        while len(self._history) > 1 and self._history[1][0] <= wall_ns - _WINDOW_NS:
            self._history.popleft()
        _, seen_before, refused_before = self._history[0]
        found = []
        for feed in seen:
            rows, bad = seen[feed] - seen_before[feed], refused[feed] - refused_before[feed]
            if rows >= _LEAST_ROWS and 2 * bad > rows:
                cause = truth.rejects.worst(feed)
                reason = f"{bad} of its {rows} rows of the last minute were refused, most of all time as {cause}"
                found.append(Trouble(FEED_REFUSED, "feed", feed, reason))
        return found

    def _splits(self, truth: TruthFilter) -> list[Trouble]:
        found = []
        for symbol, s in truth.suspected_splits().items():
            date = dt.datetime.fromtimestamp(s.at / _SECOND, self._zone).date()
            split = SuspectedSplit(symbol, date, s.new, s.old, s.before, s.after)
            found.append(Trouble(SPLIT, "symbol", symbol, question(split)))
        return found


def impossible_actions(found: Mapping[Action, str]) -> list[Trouble]:
    """One condition an instrument whose corporate actions cannot be applied."""
    reasons: dict[str, list[str]] = {}
    for action, reason in found.items():
        reasons.setdefault(action.symbol, []).append(reason)
    return [Trouble(ACTIONS_INVALID, "symbol", symbol, "; ".join(every)) for symbol, every in reasons.items()]


def silent_instruments(found: Sequence[SilentInstruments]) -> list[Trouble]:
    """One condition a feed, however many of its instruments are silent."""
    return [Trouble(INSTRUMENT_SILENT, "feed", silent.feed, silent.text) for silent in found]


def _clocks(truth: TruthFilter) -> list[Trouble]:
    found = []
    for feed, skew in truth.skews.medians().items():
        if skew < -AHEAD_NS:
            reason = f"its clock is {_apart(-skew)} ahead of this machine's: see `timedatectl` first, then the feed"
        elif skew > BEHIND_NS:
            reason = (
                f"its data are {_apart(skew)} old as they come, and alerts as late. If it sends nothing "
                "from the past, see `timedatectl` first, then the feed's clock"
            )
        else:
            continue
        found.append(Trouble(FEED_CLOCK, "feed", feed, reason))
    return found


def _apart(ns: float) -> str:
    """``2.3 s``; from a minute on in units that people count in."""
    return f"{ns / _SECOND:.1f} s" if ns < _MINUTE else span(int(ns))


def _disagreements(truth: TruthFilter) -> list[Trouble]:
    found = {f"{d.used}/{d.other}": d.text for ranks in truth.ranks.values() for d in ranks.disagreements()}
    return [Trouble(FEEDS_DISAGREE, "feeds", feeds, text) for feeds, text in found.items()]
