"""All expressions of all rules as one plan: slots, filled level by level, each level in a few operations on columns.

A *slot* is one number of the evaluation: ``ret(IWM, 14d)``, one comparison, one member's share of a loop. Universes and
`each` are unrolled into one slot a member (long form), equal sub-expressions share a slot wherever they stand, and all
slots of one level and operation are computed by one numpy call. So a thousand rules cost little more than the thousand
numbers they need.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from rules.ast import (
    Arithmetic,
    Asset,
    Basket,
    Call,
    Comparison,
    Expr,
    Instrument,
    It,
    Literal,
    Logic,
    Negate,
    Not,
    RecordRef,
    Universe,
    Window,
)
from rules.histories import readings_of
from rules.lowering import CLOSED, LOWERINGS
from rules.nodes import RESOLUTIONS, Members, Nodes
from rules.reach import furthest
from rules.steps import (
    AnyStep,
    Field,
    Plan,
    RankStep,
    Reading,
    ReturnStep,
    SegmentStep,
    SetStep,
    Slots,
    SourceStep,
    Step,
    WindowStep,
)
from rules.view import Requirements


class Compiler:
    """Turns expressions into slots. Add every expression with :meth:`slot`, then :meth:`plan`."""

    def __init__(self, session_ns: int) -> None:
        """`session_ns`: length of a regular session, for windows of clock time inside windows of sessions."""
        self.nodes = Nodes(session_ns)
        self._memo: dict[tuple[int, int], int] = {}
        self._alive: list[object] = []  # keeps what is known by id() from being replaced by something else
        self._assets: dict[Asset, int] = {}
        self._asset_list: list[Asset] = []
        self._members: dict[int, list[int]] = {}
        self._places: dict[int, dict[int, int]] = {}
        self._of_members: dict[tuple[int, int], Members] = {}
        self._instruments: dict[str, int] = {}
        self._series: set[str] = set()

    def slot(self, expr: Expr, it: Asset | None = None) -> int:
        """The slot of an expression, with `it` bound to a member where it stands in a loop."""
        return self.expression(expr, -1 if it is None else self._numbered(it))

    # --- for the functions of the language ----------------------------------------------------------------------------

    def expression(self, expr: object, it: int) -> int:
        """The node of an expression; `it` is the number of the asset that stands for `it`, -1 outside a loop."""
        if isinstance(expr, Call) and expr.function in CLOSED:
            it = -1
        memo = (id(expr), it)
        if (known := self._memo.get(memo)) is None:
            known = self._memo[memo] = self._compile(expr, it)
            self._alive.append(expr)
        return known

    def asset(self, arg: object, it: int) -> Asset:
        """An instrument or basket, `it` resolved."""
        return self._asset_list[self._bound(arg, it)]

    def instrument(self, symbol: str) -> int:
        """The instrument's place in a view."""
        return self._instruments.setdefault(symbol, len(self._instruments))

    def series(self, name: str) -> int:
        """The node of an external series."""
        self._series.add(name)
        return self.nodes.add("source", Field.EXTERNAL, None, name)

    def of_members(self, universe: object, expr: object) -> Members:
        """The node of an expression for each member of a universe: the same object for the same expression."""
        memo = (id(universe), id(expr))
        if (known := self._of_members.get(memo)) is None:
            known = Members(self.expression(expr, member) for member in self._universe(universe))
            self._of_members[memo] = known
            self._alive.append(expr)
        return known

    def place(self, arg: object, universe: object, it: int) -> int:
        """Where in a universe an asset stands."""
        members = self._universe(universe)
        if id(universe) not in self._places:
            self._places[id(universe)] = {m: n for n, m in enumerate(members)}
        return self._places[id(universe)][self._bound(arg, it)]

    def segment(self, op: str, members: Sequence[int], weights: Sequence[float]) -> int:
        """A reduction over members; of none it is unknown."""
        return self.nodes.add("segment", op, tuple(members), tuple(weights)) if members else self._unknown()

    def ordered(self, op: str, *members: tuple[int, ...]) -> int:
        """A function of the order of members; of none it is unknown."""
        return self.nodes.add("set", op, *members) if members[0] else self._unknown()

    def _unknown(self) -> int:
        return self.nodes.constant(math.nan)

    def _compile(self, expr: object, it: int) -> int:
        match expr:
            case Literal(value=value):
                return self.nodes.constant(value)
            case Negate(operand=operand):
                return self.nodes.add("neg", self.expression(operand, it))
            case Arithmetic(op=op, left=left, right=right) | Comparison(op=op, left=left, right=right):
                return self.nodes.add(op, self.expression(left, it), self.expression(right, it))
            case Logic(op=op, operands=operands):
                slots = [self.expression(o, it) for o in operands]
                combined = slots[0]
                for other in slots[1:]:
                    combined = self.nodes.add(op, combined, other)
                return combined
            case Not(operand=operand):
                return self.nodes.add("not", self.expression(operand, it))
            case RecordRef(value=value):
                return self.expression(value, -1)
            case Call(function=function, args=args):
                return LOWERINGS[function](self, args, it)
        msg = f"{expr!r} is no expression"
        raise TypeError(msg)

    def _numbered(self, asset: Asset) -> int:
        if asset not in self._assets:
            self._assets[asset] = len(self._asset_list)
            self._asset_list.append(asset)
        return self._assets[asset]

    def _bound(self, arg: object, it: int) -> int:
        if isinstance(arg, It):
            return it
        assert isinstance(arg, Instrument | Basket)  # noqa: S101 - the checker's promise
        return self._numbered(arg)

    def _universe(self, universe: object) -> list[int]:
        assert isinstance(universe, Universe)  # noqa: S101 - the checker's promise
        if id(universe) not in self._members:
            self._members[id(universe)] = [self._numbered(m) for m in universe.members]
            self._alive.append(universe)
        return self._members[id(universe)]

    # --- the plan -----------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Everything added so far, in an order in which each step finds its inputs ready."""
        nodes = self.nodes
        by_step: dict[tuple[int, str, object], list[int]] = defaultdict(list)
        for number, node in enumerate(nodes.all):
            by_step[nodes.levels[number], str(node[0]), _part(node)].append(number)
        constants = by_step.pop((0, "const", None), [])
        series = tuple(sorted(self._series))
        steps = [
            self._step(op, part, slots, series)
            for (_, op, part), slots in sorted(by_step.items(), key=lambda step: step[0][0])
        ]
        reach = furthest(set(nodes.reach))
        return Plan(
            size=len(nodes.all),
            constants=(_slots(constants), np.array([nodes.all[c][1] for c in constants], np.float64)),
            steps=tuple(steps),
            readings=tuple(dict.fromkeys(r for step in steps for r in readings_of(step))),
            requirements=Requirements(
                instruments=tuple(self._instruments),
                series=series,
                sessions=reach.sessions,
                since=reach.since,
                clock_ns=reach.clock_ns,
                shortest_clock_ns=reach.shortest_clock_ns,
                volume_sessions=reach.volume_sessions,
                volume_clock_ns=reach.volume_clock_ns,
                profile_sessions=reach.profile_sessions,
            ),
            history={r: _slots(list(c)) for r, c in nodes.columns.items()},
            kept=dict(nodes.kept),
            rebuild={r: max((depth[r] for depth in nodes.depth), default=0) for r in RESOLUTIONS},
        )

    def _step(self, op: str, part: Any, out: list[int], series: tuple[str, ...]) -> AnyStep:  # noqa: ANN401 - see _part
        keys: list[tuple[Any, ...]] = [self.nodes.all[o][1:] for o in out]
        match op:
            case "source":
                columns = [series.index(k[2]) if k[0] is Field.EXTERNAL else k[2] for k in keys]
                return SourceStep(Reading(*part), _slots(out), _slots(columns))
            case "return":
                rows: dict[Window | None, list[int]] = defaultdict(list)
                for row, (_, window, _) in enumerate(keys):
                    rows[window].append(row)
                bases = tuple((_base(window), _slots(of)) for window, of in rows.items())
                return ReturnStep(Reading(part), _slots(out), _slots([k[2] for k in keys]), bases)
            case "segment":
                starts = np.cumsum([0, *(len(k[1]) for k in keys)])[:-1].astype(np.int64)
                weights = np.array([w for k in keys for w in k[2]], np.float64)
                whole = np.add.reduceat(weights, starts)
                return SegmentStep(part, _slots(out), _slots([m for k in keys for m in k[1]]), starts, weights, whole)
            case "set":
                expressions = zip(*(k[1:] for k in keys), strict=True)
                return SetStep(part[0], _slots(out), tuple(_slots(members) for members in expressions))
            case "rank":
                return RankStep(_slots(out), _slots(part), _slots([k[1] for k in keys]))
            case "window":
                function, resolution, samples = part
                sources, past = (tuple(_slots(s) for s in zip(*(k[n] for k in keys), strict=True)) for n in (3, 4))
                known = self.nodes.columns[resolution]
                places = tuple(_slots([known[slot] for slot in slots.tolist()]) for slots in past)
                return WindowStep(function, resolution, samples, _slots(out), sources, past, places)
            case _:
                return Step(op, _slots(out), tuple(_slots(a) for a in zip(*keys, strict=True)))


def _base(window: Window | None) -> Reading:
    """Where a return starts; without a window, where a basket's index does."""
    return Reading(Field.FIRST) if window is None else Reading(Field.BASE, window)


def _part(node: tuple[object, ...]) -> object:
    """What nodes of one operation must share to be computed together."""
    match node:
        case ("source", field, window, _):
            return field, window
        case ("return", field, _, _):
            return field
        case ("segment", op, *_):
            return op
        case ("set", op, members, *_):
            return op, len(members)  # type: ignore[arg-type]
        case ("rank", members, _):
            return members
        case ("window", op, resolution, samples, *_):
            return op, resolution, samples
        case _:
            return None


def _slots(numbers: Sequence[object]) -> Slots:
    return np.array(numbers, np.int64)
