"""The numbers of an evaluation as a graph without repeats: equal nodes are one, wherever they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rules import reach
from rules.ast import Window
from rules.kernels import KERNELS, ema_samples
from rules.reach import NOWHERE, Reach, Resolution
from rules.steps import Field

Node = tuple[object, ...]
"""An operation and what it is of. Numbers of other nodes among these are its inputs; see :func:`inputs`."""

RESOLUTIONS: Final[tuple[Resolution, ...]] = ("session", "minute")


class Members(tuple[int, ...]):  # noqa: SLOT001 - a tuple's subclass cannot have slots
    """The nodes of a universe's members. One object for all that look at them, so that it is hashed and read once."""

    def __init__(self, _: Iterable[int] = ()) -> None:
        self._hash = tuple.__hash__(self)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or tuple.__eq__(self, other)


class Nodes:
    """Nodes by number, each with its level (above all its inputs) and how far back it looks."""

    def __init__(self, session_ns: int) -> None:
        self._session_ns = session_ns
        self._numbers: dict[Node, int] = {}
        self._like: dict[Members, int] = {}  # the first node of these members: others are as far from what they need
        self.all: list[Node] = []
        self.levels: list[int] = []
        self.reach: list[Reach] = []
        self.columns: dict[Resolution, dict[int, int]] = {"session": {}, "minute": {}}
        """Nodes whose samples are kept, and their columns."""
        self.kept: dict[Resolution, int] = {"session": 0, "minute": 0}
        """How many samples are kept."""
        self.depth: list[dict[Resolution, int]] = []
        """How many samples back each node looks through all windows inside it."""

    def add(self, op: str, *of: object) -> int:
        """The number of a node; a new one only where there is no equal one."""
        node = (op, *of)
        if (known := self._numbers.get(node)) is not None:
            return known
        number = self._numbers[node] = len(self.all)
        self.all.append(node)
        below = inputs(node)
        if isinstance(below, Members) and (like := self._like.setdefault(below, number)) != number:
            self.levels.append(self.levels[like])
            self.reach.append(self.reach[like])
            self.depth.append(self.depth[like])
            return number
        self.levels.append(1 + max((self.levels[i] for i in below), default=-1))
        self.reach.append(self._reach(node, below))
        self.depth.append(self._depth(node, below))
        return number

    def constant(self, value: float) -> int:
        """A number that never changes."""
        return self.add("const", value)

    def instrument(self, field: Field, instrument: int, window: Window | int | None = None) -> int:
        """What a view says of an instrument."""
        return self.add("source", field, window, instrument)

    def window(
        self, op: str, resolution: Resolution, samples: int, sources: tuple[int, ...], past: tuple[int, ...] = ()
    ) -> int:
        """A window function of the samples of `past` (of the sources themselves, if left out)."""
        past = past or sources
        columns = self.columns[resolution]
        for slot in past:
            columns.setdefault(slot, len(columns))
        self.kept[resolution] = max(self.kept[resolution], KERNELS[op].length(samples))
        return self.add("window", op, resolution, samples, sources, past)

    def _reach(self, node: Node, below: Sequence[int]) -> Reach:
        match node:
            case ("source", Field.VOLUME, window, _):
                return reach.of_volume(window)
            case ("source", Field.RELATIVE_VOLUME, int(sessions), _):
                return reach.of_profile(sessions)
            case ("return", _, window, _) if window is not None:
                return reach.of_price(window)
        whole = self.reach[below[0]] if below else NOWHERE
        for i in below[1:]:
            whole = whole.join(self.reach[i])
        if node[0] == "window":
            resolution, samples = _sampled(node)
            return whole.further(resolution, samples, self._session_ns)
        return whole

    def _depth(self, node: Node, below: Sequence[int]) -> dict[Resolution, int]:
        if node[0] != "window" and len(below) == 1:
            return self.depth[below[0]]
        depth = {r: max((self.depth[i][r] for i in below), default=0) for r in RESOLUTIONS} if below else _FLAT
        if node[0] == "window":
            resolution, samples = _sampled(node)
            return {**depth, resolution: depth[resolution] + samples}
        return depth


_FLAT: Final[dict[Resolution, int]] = {"session": 0, "minute": 0}


def inputs(node: Node) -> Sequence[int]:
    """The nodes that a node is calculated from."""
    match node:
        case ("const" | "source" | "return", *_):
            return ()
        case ("segment", _, members, _) | ("rank", members, _):
            return members  # type: ignore[return-value]
        case ("set", _, *expressions):
            return [member for members in expressions for member in members]  # type: ignore[attr-defined]
        case ("window", _, _, _, sources, past):
            return (*sources, *past)  # type: ignore[misc]
        case (_, *operands):
            return operands  # type: ignore[return-value]
    msg = f"{node} is no node"
    raise ValueError(msg)


def _sampled(node: Node) -> tuple[Resolution, int]:
    """The resolution of a window node and how many samples back it looks, the current one included."""
    _, op, resolution, samples, *_ = node
    return resolution, ema_samples(samples) if op == "ema" else samples  # type: ignore[return-value,arg-type]
