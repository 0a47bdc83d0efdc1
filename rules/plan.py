"""All expressions of all rules as one plan: slots, filled level by level, each level in a few operations on columns.

A *slot* is one number of the evaluation: ``ret(IWM, 14d)``, one comparison, one member's share of a loop. Universes and
`each` are unrolled into one slot a member (long form), equal sub-expressions share a slot wherever they stand, and all
slots of one level and operation are computed by one numpy call. So a thousand rules cost little more than the thousand
numbers they need.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from rules.ast import (
    Arithmetic,
    Asset,
    Basket,
    Call,
    Clock,
    Comparison,
    Expr,
    Instrument,
    It,
    Literal,
    Logic,
    Negate,
    Not,
    RecordRef,
    Sessions,
    Since,
    Universe,
    Window,
    Word,
)
from rules.steps import (
    FIRST,
    AnyStep,
    First,
    Plan,
    RankStep,
    Reach,
    Resolution,
    ReturnStep,
    SegmentStep,
    Slots,
    Step,
    WindowStep,
)
from rules.view import Requirements

STREAK_SESSIONS: Final = 260
"""How far back a streak is followed; longer ones are reported as this long."""

MINUTE: Final = 60_000_000_000
WORD_SESSIONS: Final = {Word.OPEN: 0, Word.WTD: 5, Word.MTD: 23, Word.QTD: 66, Word.YTD: 254}
"""How many sessions before the current one a word's window can start, at most."""


class Compiler:
    """Turns expressions into slots. Add every expression with :meth:`slot`, then :meth:`plan`."""

    def __init__(self, session_ns: int) -> None:
        """`session_ns`: length of a regular session, for windows of clock time inside windows of sessions."""
        self._session_ns = session_ns
        self._keys: dict[tuple[object, ...], int] = {}
        self._nodes: list[tuple[object, ...]] = []
        self._levels: list[int] = []
        self._reach: list[Reach] = []
        self._memo: dict[tuple[int, int], int] = {}
        self._alive: list[object] = []  # keeps what `_memo` knows by id() from being replaced by something else
        self._assets: dict[Asset, int] = {}
        self._asset_list: list[Asset] = []
        self._members: dict[int, list[int]] = {}
        self._instruments: dict[str, int] = {}
        self._columns: dict[Resolution, dict[int, int]] = {"session": {}, "minute": {}}
        self._kept: dict[Resolution, int] = {"session": 0, "minute": 0}
        self._depth: list[dict[Resolution, int]] = []

    # --- from expressions to slots ------------------------------------------------------------------------------------

    def slot(self, expr: Expr, it: Asset | None = None) -> int:
        """The slot of an expression, with `it` bound to a member where it stands in a loop."""
        return self._expr(expr, -1 if it is None else self._asset(it))

    def _expr(self, expr: Expr, it: int) -> int:
        memo = (id(expr), it)
        if (known := self._memo.get(memo)) is None:
            known = self._memo[memo] = self._compile(expr, it)
            self._alive.append(expr)
        return known

    def _compile(self, expr: Expr, it: int) -> int:
        match expr:
            case Literal(value=value):
                return self._node("const", value)
            case Negate(operand=operand):
                return self._node("neg", self._expr(operand, it))
            case Arithmetic(op=op, left=left, right=right) | Comparison(op=op, left=left, right=right):
                return self._node(op, self._expr(left, it), self._expr(right, it))
            case Logic(op=op, operands=operands):
                slots = [self._expr(o, it) for o in operands]
                combined = slots[0]
                for other in slots[1:]:
                    combined = self._node(op, combined, other)
                return combined
            case Not(operand=operand):
                return self._node("not", self._expr(operand, it))
            case RecordRef(value=value):
                return self._expr(value, -1)
            case Call():
                return self._call(expr, it)

    def _call(self, call: Call, it: int) -> int:
        args = call.args
        match call.function:
            case "price":
                return self._price(self._bound(args[0], it))
            case "ret":
                return self._return(self._bound(args[0], it), _window(args[1]))
            case "excess":
                window = _window(args[2])
                ours, theirs = (self._return(self._bound(a, it), window) for a in args[:2])
                return self._node("-", ours, theirs)
            case "mean" | "zscore" as op:
                resolution, samples = _samples(_window(args[1]))
                return self._window(op, resolution, samples, self._expr(_expr(args[0]), it))
            case "streak":
                return self._window("streak", "session", STREAK_SESSIONS, self._expr(_expr(args[0]), it))
            case "share":
                members = tuple(self._expr(_expr(args[1]), m) for m in self._universe(args[0]))
                return self._node("share", members)
            case "rank":
                everyone = self._universe(args[1])
                who = self._bound(args[0], it)
                members = tuple(self._expr(_expr(args[2]), m) for m in everyone)
                return self._node("rank", members, everyone.index(who))
            case other:
                msg = f"the engine has no function {other!r}"
                raise ValueError(msg)

    def _price(self, asset: int) -> int:
        match self._asset_list[asset]:
            case Instrument(symbol=symbol):
                return self._node("price", self._instrument(symbol))
            case Basket():
                growth = self._return(asset, FIRST)
                one, hundred = self._node("const", 1.0), self._node("const", 100.0)
                return self._node("*", hundred, self._node("+", one, growth))

    def _return(self, asset: int, window: Window | First) -> int:
        match self._asset_list[asset]:
            case Instrument(symbol=symbol):
                return self._node("ret", self._instrument(symbol), window)
            case Basket(weights=weights):
                members = tuple(self._node("ret", self._instrument(s), window) for s, _ in weights)
                return self._node("basket", members, tuple(w for _, w in weights))

    def _window(self, op: str, resolution: Resolution, samples: int, source: int) -> int:
        columns = self._columns[resolution]
        columns.setdefault(source, len(columns))
        self._kept[resolution] = max(self._kept[resolution], samples)
        return self._node("window", op, resolution, samples, source)

    # --- names --------------------------------------------------------------------------------------------------------

    def _asset(self, asset: Asset) -> int:
        if asset not in self._assets:
            self._assets[asset] = len(self._asset_list)
            self._asset_list.append(asset)
        return self._assets[asset]

    def _bound(self, arg: object, it: int) -> int:
        if isinstance(arg, It):
            return it
        assert isinstance(arg, Instrument | Basket)  # noqa: S101 - the checker's promise
        return self._asset(arg)

    def _universe(self, universe: object) -> list[int]:
        assert isinstance(universe, Universe)  # noqa: S101 - the checker's promise
        if id(universe) not in self._members:
            self._members[id(universe)] = [self._asset(m) for m in universe.members]
            self._alive.append(universe)
        return self._members[id(universe)]

    def _instrument(self, symbol: str) -> int:
        return self._instruments.setdefault(symbol, len(self._instruments))

    # --- slots --------------------------------------------------------------------------------------------------------

    def _node(self, op: str, *key: object) -> int:
        full = (op, *key)
        if (known := self._keys.get(full)) is not None:
            return known
        inputs = _inputs(op, key)
        number = self._keys[full] = len(self._nodes)
        self._nodes.append(full)
        self._levels.append(1 + max((self._levels[i] for i in inputs), default=-1))
        reach = self._reach[inputs[0]] if inputs else _NOWHERE
        depth: dict[Resolution, int] = {"session": 0, "minute": 0}
        for i in inputs:
            reach = reach.join(self._reach[i])
        for r in depth if inputs else ():
            depth[r] = max(self._depth[i][r] for i in inputs)
        if op == "ret":
            reach = _window_reach(key[1])
        elif op == "window":
            _, resolution, samples, _ = key
            depth[resolution] += samples  # type: ignore[index,operator]
            reach = self._further(reach, resolution, samples)  # type: ignore[arg-type]
        self._reach.append(reach)
        self._depth.append(depth)
        return number

    def _further(self, reach: Reach, resolution: Resolution, samples: int) -> Reach:
        """What a window over something needs, given what the something needs."""
        if resolution == "minute":
            crossed = -(-samples * MINUTE // self._session_ns)
            return Reach(
                reach.sessions + crossed, reach.clock_ns + samples * MINUTE, reach.shortest_clock_ns, reach.since
            )
        clock = reach.clock_ns + samples * self._session_ns if reach.clock_ns else 0
        return Reach(reach.sessions + samples, clock, reach.shortest_clock_ns, reach.since)

    # --- the plan -----------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Everything added so far, in an order in which each step finds its inputs ready."""
        by_step: dict[tuple[int, str, object], list[int]] = defaultdict(list)
        for number, (op, *key) in enumerate(self._nodes):
            part: object = tuple(key[:3]) if op == "window" else key[0] if op == "rank" else None
            by_step[self._levels[number], str(op), part].append(number)
        constants = by_step.pop((0, "const", None), [])
        steps = [self._step(op, part, slots) for (_, op, part), slots in sorted(by_step.items(), key=lambda s: s[0][0])]
        reach = Reach()
        for each in set(self._reach):
            reach = reach.join(each)
        resolutions: tuple[Resolution, ...] = ("session", "minute")
        whole = {r: max((needed[r] for needed in self._depth), default=0) for r in resolutions}
        return Plan(
            size=len(self._nodes),
            constants=(_slots(constants), np.array([self._nodes[c][1] for c in constants], np.float64)),
            steps=tuple(steps),
            requirements=Requirements(
                instruments=tuple(self._instruments),
                sessions=reach.sessions,
                since=reach.since,
                clock_ns=reach.clock_ns,
                shortest_clock_ns=reach.shortest_clock_ns,
            ),
            history={r: _slots(list(c)) for r, c in self._columns.items()},
            kept=dict(self._kept),
            rebuild=whole,
        )

    def _step(self, op: str, part: object, out: list[int]) -> AnyStep:
        keys = [self._nodes[o][1:] for o in out]
        match op:
            case "ret":
                rows: dict[Window | First, list[int]] = defaultdict(list)
                for row, (_, window) in enumerate(keys):
                    rows[window].append(row)  # type: ignore[index]
                windows = tuple((w, _slots(r)) for w, r in rows.items())
                return ReturnStep(_slots(out), _slots([k[0] for k in keys]), windows)
            case "basket" | "share":
                counts = _slots([len(k[0]) for k in keys])  # type: ignore[arg-type]
                starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
                members = _slots([m for k in keys for m in k[0]])  # type: ignore[attr-defined]
                weights = [w for k in keys for w in (k[1] if op == "basket" else [1.0] * len(k[0]))]  # type: ignore[attr-defined,arg-type]
                return SegmentStep(op, _slots(out), members, starts, counts, np.array(weights, np.float64))
            case "rank":
                return RankStep(_slots(out), _slots(list(part)), _slots([k[1] for k in keys]))  # type: ignore[call-overload]
            case "window":
                function, resolution, samples = part  # type: ignore[misc]
                source = _slots([k[3] for k in keys])
                column = _slots([self._columns[resolution][int(s)] for s in source])  # type: ignore[has-type]
                return WindowStep(function, resolution, samples, _slots(out), source, column)  # type: ignore[has-type]
            case _:
                return Step(op, _slots(out), tuple(_slots(list(a)) for a in zip(*keys, strict=True)))


_NOWHERE: Final = Reach()


def _slots(numbers: Sequence[object]) -> Slots:
    return np.array(numbers, np.int64)


def _inputs(op: str, key: tuple[object, ...]) -> Sequence[int]:
    match op:
        case "const" | "price" | "ret":
            return ()
        case "basket" | "share" | "rank":
            return key[0]  # type: ignore[return-value]
        case "window":
            return key[3:]  # type: ignore[return-value]
        case _:
            return key  # type: ignore[return-value]


def _expr(arg: object) -> Expr:
    assert isinstance(arg, Literal | Negate | Arithmetic | Comparison | Logic | Not | Call | RecordRef)  # noqa: S101 - the checker's promise
    return arg


def _window(arg: object) -> Window:
    assert isinstance(arg, Sessions | Clock | Word | Since)  # noqa: S101 - the checker's promise
    return arg


def _samples(window: Window) -> tuple[Resolution, int]:
    match window:
        case Sessions(count=count):
            return "session", count
        case Clock(ns=ns):
            return "minute", max(1, -(-ns // MINUTE))
        case _:
            msg = f"a window function cannot sample over {window}"
            raise ValueError(msg)


@lru_cache(maxsize=1024)
def _window_reach(window: object) -> Reach:
    match window:
        case Sessions(count=count):
            return Reach(sessions=count)
        case Clock(ns=ns):
            return Reach(sessions=1, clock_ns=ns, shortest_clock_ns=ns)
        case Word():
            return Reach(sessions=WORD_SESSIONS[window])
        case Since(date=date):
            return Reach(since=date)
        case _:
            return Reach()
