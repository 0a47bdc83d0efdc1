"""Prices before a corporate action, brought to the level after it: once, and all of them in one step.

What is stored (session and minute bars, the journal) is as traded, always. The state brings to the present level what
it reads, and what it holds at the moment an action becomes due: between the close before the ex-date and its open, half
way, when nobody trades. So returns are across it as if nothing had happened, and nothing is adjusted twice: the
checkpoint says which actions are in it.

Splits divide prices and multiply volumes. A dividend of `amount` multiplies the prices before it by 1 - amount / close,
the close of the session before: https://www.crsp.org/products/documentation/crsp-calculations. A new symbol takes
over what is known of the old one, and a later split of it, or one of the same night, is one of those prices too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from monitor.corporate_actions.action import Action, Kind
from monitor.state.columns import Bools, Codes, Floats, Ints
from monitor.state.ring import MILLISECOND, PriceRing

if TYPE_CHECKING:
    from monitor.state.market import MarketState

NEVER: Final = 2**63 - 1

APPLIED: Final = pl.Schema({"name": pl.String(), "factor": pl.Float64()})
"""Of a checkpoint: which actions are in it, and by what prices before them were multiplied."""

_PRICES: Final = (
    ("quote_ts", ("bid", "ask"), ("bid_size", "ask_size")),
    ("trade_ts", ("trade_price",), ("trade_size",)),
    ("price_ts", ("price",), ()),
)
"""Columns by the time they are of: prices, and sizes."""


class _Part(NamedTuple):
    """What an action is about: an instrument until a time, UTC ns, and before a session."""

    code: int
    at: int
    session: int


@dataclass(frozen=True, slots=True)
class _Due:
    """An action by the state's own names. `at`: when it becomes due, UTC ns; `session`: the first at the new level.

    `becomes`: the code of the new symbol, -1 where there is none. `parts`: the instrument until then, and those whose
    symbol it had before, each until it changed.
    """

    action: Action
    at: int
    session: int
    code: int
    becomes: int
    parts: tuple[_Part, ...] = ()


class CorporateActions:
    """The actions a state knows, and which of them are in its prices."""

    def __init__(self, state: MarketState) -> None:
        self._state = state
        self._all: list[_Due] = []
        self.applied: dict[str, float] = {}
        self.impossible: dict[Action, str] = {}
        """Actions that are due and cannot be, with what is wrong and what to do."""
        self.next_at = NEVER
        """When the next action becomes due, UTC ns."""

    def know(self, actions: Iterable[Action]) -> None:
        """All actions there are, in place of those known before; what was applied stays applied.

        Those that are due already are applied at once.
        """
        state, calendar = self._state, self._state.calendar
        dues = []
        for action in sorted(set(actions)):
            session = calendar.ordinal_on_or_before(action.date - dt.timedelta(days=1)) + 1
            if 0 < session < len(calendar):
                code = int(state.codes((action.symbol,))[0])
                at = (calendar.close_ns(session - 1) + calendar.open_ns(session)) // 2
                becomes = int(state.codes((action.new,))[0]) if action.kind is Kind.SYMBOL else -1
                dues.append(_Due(action, at, session, code, becomes))
        self._all = [replace(due, parts=_parts(due, dues)) for due in dues]
        self.impossible = {}
        self.apply_due(state.now)

    def apply_due(self, ns: int) -> bool:
        """Apply what is due at `ns`, in order; whether anything was."""
        changed = False
        for due in self._all:
            if due.at <= ns and due.action.name not in self.applied:
                changed |= self._apply(due)
        self.next_at = min((d.at for d in self._all if d.at > ns), default=NEVER)
        if changed:
            self._state.history_revision += 1
            self._state.forget_cached()
        return changed

    def level_sessions(self, sessions: Ints, codes: Codes) -> tuple[Floats, Floats]:
        """What prices of sessions as traded are to be multiplied by, and volumes, one an entry of the arrays."""
        in_prices = [(due, f, part) for due, f in self._in_prices() for part in due.parts]
        return self._factors(codes, [(due, f, (codes == p.code) & (sessions < p.session)) for due, f, p in in_prices])

    def level_times(self, times: Ints, codes: Codes) -> tuple[Floats, Floats]:
        """What prices as traded at `times` are to be multiplied by, and what volumes, one an entry of the arrays."""
        in_prices = [(due, f, part) for due, f in self._in_prices() for part in due.parts]
        return self._factors(codes, [(due, f, (codes == p.code) & (times <= p.at)) for due, f, p in in_prices])

    def _factors(self, codes: Codes, actions: list[tuple[_Due, float, Bools]]) -> tuple[Floats, Floats]:
        prices, volumes = np.ones((2, len(codes)))
        for due, factor, rows in actions:
            prices[rows] *= factor
            if due.action.kind is Kind.SPLIT:
                volumes[rows] /= factor
        return prices, volumes

    def take_over(self) -> None:
        """After history was read: what dividends could not be told before, and what old symbols have for new ones."""
        for due, _ in self._in_prices():
            if due.action.kind is Kind.SYMBOL:
                self._rename(due)
        self.apply_due(self._state.now)

    def splits(self) -> dict[str, list[tuple[int, float]]]:
        """By symbol, every known split: when it becomes due, UTC ns, and the factor on the prices before it."""
        found: dict[str, list[tuple[int, float]]] = {}
        for due in self._all:
            if due.action.kind is Kind.SPLIT:
                found.setdefault(due.action.symbol, []).append((due.at, 1 / due.action.ratio))
        return found

    def frame(self) -> pl.DataFrame:
        """For the checkpoint (:data:`APPLIED`)."""
        return pl.DataFrame([*self.applied.items()], schema=APPLIED, orient="row")

    def _in_prices(self) -> list[tuple[_Due, float]]:
        return [(due, f) for due in self._all if (f := self.applied.get(due.action.name)) is not None]

    def _apply(self, due: _Due) -> bool:
        kind = due.action.kind
        if kind is Kind.SYMBOL:
            self._rename(due)
            self.applied[due.action.name] = 1.0
            return True
        factor = 1 / due.action.ratio if kind is Kind.SPLIT else self._dividend(due)
        if factor is None:
            return False
        self.applied[due.action.name] = factor
        if factor != 1.0:
            for part in due.parts:
                self._multiply(part, factor, split=kind is Kind.SPLIT)
        return True

    def _dividend(self, due: _Due) -> float | None:
        """The factor of a dividend; None while the close before it is not known, or where it is worth no less."""
        stored = self._state.sessions
        close = stored.close(due.session - 1)[due.code] if due.session - 1 in stored else np.nan
        for other, factor in self._in_prices():  # that close may be at the level after a later split already
            if other.code == due.code and other.session > due.session:
                close /= factor
        if np.isnan(close):
            return None
        if due.action.amount >= close:
            self.impossible[due.action] = _more_than_all(due.action, float(close))
            return None
        return float(1 - due.action.amount / close)

    def _multiply(self, due: _Part, factor: float, *, split: bool) -> None:
        state, code, columns = self._state, due.code, self._state.columns
        for ts, prices, sizes in _PRICES:
            if 0 < getattr(columns, ts)[code] < due.at:
                for name in prices:
                    getattr(columns, name)[code] *= factor
                for name in sizes if split else ():
                    getattr(columns, name)[code] /= factor
        if 0 <= columns.first_session[code] < due.session:
            columns.first_close[code] *= factor
        stored = state.sessions
        for session in range(stored.first, min(stored.stop, due.session)):
            stored.close(session)[code] *= factor
            stored.open(session)[code] *= factor
        for ring in self._rings():
            _multiply_ring(ring, code, due.at, factor)
        if split:
            stored.scale_volumes(due.session, code, 1 / factor)
            if state.volumes is not None:
                state.volumes.scale(due.at, code, 1 / factor)

    def _rings(self) -> list[PriceRing]:
        state = self._state
        return [state.minutes] if state.seconds is None else [state.minutes, state.seconds]

    def _rename(self, due: _Due) -> None:
        """Give the new symbol what is known of the old one, wherever nothing is known of it itself."""
        state, old, new = self._state, due.code, due.becomes
        stored, c = state.sessions, state.columns
        for session in range(stored.first, min(stored.stop, due.session)):
            for row in (stored.close(session), stored.open(session)):
                row[new] = row[old] if np.isnan(row[new]) else row[new]
        if c.first_session[old] >= 0 and not 0 <= c.first_session[new] <= c.first_session[old]:
            c.first_session[new], c.first_close[new] = c.first_session[old], c.first_close[old]
        for ts, prices, sizes in _PRICES:
            if getattr(c, ts)[new] == 0 and 0 < getattr(c, ts)[old] < due.at:
                for name in (ts, *prices, *sizes):
                    getattr(c, name)[new] = getattr(c, name)[old]
        for ring in self._rings():
            for number in range(ring.first, ring.stop):
                values, ages = ring.row(number)
                if np.isnan(values[new]):
                    values[new], ages[new] = values[old], ages[old]


def _more_than_all(action: Action, close: float) -> str:
    where = action.source or "the store"
    return (
        f"{where}: {action.symbol} cannot have paid a dividend of {action.amount:g} on {action.date}, its close before "
        f"was {close:g}: it is not applied. Write what a share of that day got, in the currency of its prices, "
        "or remove it"
    )


def _parts(due: _Due, dues: Sequence[_Due]) -> tuple[_Part, ...]:
    """What an action is about, each instrument once."""
    return tuple({part.code: part for part in sorted(_before(_Part(due.code, due.at, due.session), dues))}.values())


def _before(part: _Part, dues: Sequence[_Due]) -> Iterator[_Part]:
    """An instrument, and what had its symbol before it."""
    yield part
    for due in dues:
        if due.becomes == part.code and due.session <= part.session:
            earlier = [other for other in dues if other.session < due.session]
            yield from _before(_Part(due.code, min(part.at, due.at), due.session), earlier)


def _multiply_ring(ring: PriceRing, code: int, at: int, factor: float) -> None:
    """Bring what was made before `at` to the level after it, wherever it is carried to."""
    for row in range(ring.first, ring.stop):
        prices, ages = ring.row(row)
        if ring.end(row) - int(ages[code]) * MILLISECOND < at:
            prices[code] *= factor
