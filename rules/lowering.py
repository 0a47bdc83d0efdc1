"""The functions of the language, each in terms of a small set of nodes. One function a row of the signature table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rules.ast import (
    Basket,
    Clock,
    Instrument,
    Series,
    Sessions,
    Since,
    Window,
    Word,
)
from rules.reach import MINUTE, Resolution
from rules.steps import Field

if TYPE_CHECKING:
    from rules.plan import Compiler

STREAK_SESSIONS: Final = 260
"""How far back a streak is followed; longer ones are reported as this long."""

YEAR: Final = 252
"""Sessions of a year, by which volatility is scaled."""

CENTRE: Final = 100.0
"""Where an index begins, and the middle of the rotation map."""

Arguments = Sequence[object]
Lowering = Callable[["Compiler", Arguments, int], int]

ONE_SESSION: Final = Sessions(1)


# --- of an instrument or a basket, now --------------------------------------------------------------------------------


def _quote(field: Field) -> Lowering:
    """A price of an instrument; a basket's is its index, 100 at the start of the stored history."""

    def lower(c: Compiler, args: Arguments, it: int) -> int:
        match c.asset(args[0], it):
            case Instrument(symbol=symbol):
                return c.nodes.instrument(field, c.instrument(symbol))
            case Basket(weights=weights):
                members = [c.nodes.add("return", field, None, c.instrument(s)) for s, _ in weights]
                growth = c.segment("mean", members, [w for _, w in weights])
                return c.nodes.add("*", c.nodes.constant(CENTRE), c.nodes.add("+", c.nodes.constant(1.0), growth))

    return lower


_price, _bid, _ask = _quote(Field.PRICE), _quote(Field.BID), _quote(Field.ASK)


def _quoted_spread(c: Compiler, args: Arguments, it: int) -> int:
    bid, ask = _bid(c, args, it), _ask(c, args, it)
    middle = c.nodes.add("*", c.nodes.constant(0.5), c.nodes.add("+", ask, bid))
    return c.nodes.add("/", c.nodes.add("-", ask, bid), middle)


def _of_members(field: Field, reduction: str) -> Lowering:
    """What a view says of an instrument; a basket's is a reduction of its members'."""

    def lower(c: Compiler, args: Arguments, it: int) -> int:
        window = _window(args[1]) if len(args) > 1 else None
        asked = window.count if field is Field.RELATIVE_VOLUME and isinstance(window, Sessions) else window
        match c.asset(args[0], it):
            case Instrument(symbol=symbol):
                return c.nodes.instrument(field, c.instrument(symbol), asked)
            case Basket(weights=weights):
                members = [c.nodes.instrument(field, c.instrument(s), asked) for s, _ in weights]
                return c.segment(reduction, members, [w for _, w in weights])

    return lower


# --- returns ----------------------------------------------------------------------------------------------------------


def _return(c: Compiler, args: Arguments, it: int) -> int:
    window = _window(args[1])
    match c.asset(args[0], it):
        case Instrument(symbol=symbol):
            return c.nodes.add("return", Field.PRICE, window, c.instrument(symbol))
        case Basket(weights=weights):
            members = [c.nodes.add("return", Field.PRICE, window, c.instrument(s)) for s, _ in weights]
            return c.segment("mean", members, [w for _, w in weights])


def _excess(c: Compiler, args: Arguments, it: int) -> int:
    x, y, window = args
    return c.nodes.add("-", _return(c, (x, window), it), _return(c, (y, window), it))


def _ratio(c: Compiler, args: Arguments, it: int) -> int:
    return c.nodes.add("/", _price(c, args[:1], it), _price(c, args[1:], it))


# --- of an expression's samples ---------------------------------------------------------------------------------------


def _windowed(op: str) -> Lowering:
    """A window kernel of an expression."""

    def lower(c: Compiler, args: Arguments, it: int) -> int:
        return c.nodes.window(op, *_samples(args[1]), (c.expression(args[0], it),))

    return lower


def _lag(c: Compiler, slot: int, resolution: Resolution, samples: int) -> int:
    return c.nodes.window("lag", resolution, samples, (slot,))


def _change(c: Compiler, args: Arguments, it: int) -> int:
    now = c.expression(args[0], it)
    return c.nodes.add("-", now, _lag(c, now, *_samples(args[1])))


def _crosses(op: str) -> Lowering:
    """Beyond the level now, and not at the sample before. Both have to be known: a crossing is seen or it is not."""

    def lower(c: Compiler, args: Arguments, it: int) -> int:
        beyond = c.nodes.add(op, c.expression(args[0], it), c.expression(args[1], it))
        return c.nodes.add("*", beyond, c.nodes.add("not", _lag(c, beyond, *_samples(args[2]))))

    return lower


def _streak(c: Compiler, args: Arguments, it: int) -> int:
    return c.nodes.window("streak", "session", STREAK_SESSIONS, (c.expression(args[0], it),))


def _held(c: Compiler, args: Arguments, it: int) -> int:
    times = c.nodes.window("sum", *_samples(args[2]), (c.expression(args[0], it),))
    return c.nodes.add(">=", times, c.expression(args[1], it))


def _then(c: Compiler, args: Arguments, it: int) -> int:
    first, second = (c.expression(condition, it) for condition in args[:2])
    return c.nodes.window("then", *_samples(args[2]), (second,), (first,))


# --- of one-session returns and prices --------------------------------------------------------------------------------


def _vol(c: Compiler, args: Arguments, it: int) -> int:
    deviation = c.nodes.window("std", *_samples(args[1]), (_return(c, (args[0], ONE_SESSION), it),))
    return c.nodes.add("*", deviation, c.nodes.constant(math.sqrt(YEAR)))


def _pair(op: str) -> Lowering:
    """A window kernel of the one-session returns of two assets."""

    def lower(c: Compiler, args: Arguments, it: int) -> int:
        sources = tuple(_return(c, (asset, ONE_SESSION), it) for asset in args[:2])
        return c.nodes.window(op, *_samples(args[2]), sources)

    return lower


def _drawdown(c: Compiler, args: Arguments, it: int) -> int:
    price = _price(c, args[:1], it)
    highest = c.nodes.window("max", *_samples(args[1]), (price,))
    return c.nodes.add("-", c.nodes.add("/", price, highest), c.nodes.constant(1.0))


# --- across a universe ------------------------------------------------------------------------------------------------


def _across(op: str) -> Lowering:
    """A reduction over the members."""

    def lower(c: Compiler, args: Arguments, it: int) -> int:  # noqa: ARG001 - inside, `it` is the member
        members = c.of_members(args[0], args[1])
        return c.segment(op, members, [1.0] * len(members))

    return lower


def _spread(c: Compiler, args: Arguments, it: int) -> int:
    return c.nodes.add("-", _across("highest")(c, args, it), _across("lowest")(c, args, it))


def _median(c: Compiler, args: Arguments, it: int) -> int:  # noqa: ARG001 - inside, `it` is the member
    return c.ordered("median", tuple(c.of_members(args[0], args[1])))


def _rank_correlation(c: Compiler, args: Arguments, it: int) -> int:  # noqa: ARG001 - inside, `it` is the member
    universe, *expressions = args
    return c.ordered("rank correlation", *(tuple(c.of_members(universe, e)) for e in expressions))


def _rank(c: Compiler, args: Arguments, it: int) -> int:
    place = c.place(args[0], args[1], it)
    return c.nodes.add("rank", c.of_members(args[1], args[2]), place)


# --- of leadership ----------------------------------------------------------------------------------------------------


def _standing(c: Compiler, value: int, resolution: Resolution, samples: int) -> int:
    """100 + the distance from the mean of the last samples, the current one included, in their deviations."""
    mean, std = (c.nodes.window(op, resolution, samples, (value,)) for op in ("mean", "std"))
    return c.nodes.add("+", c.nodes.constant(CENTRE), c.nodes.add("/", c.nodes.add("-", value, mean), std))


def _rs_ratio(c: Compiler, args: Arguments, it: int) -> int:
    strength = c.nodes.add("*", c.nodes.constant(CENTRE), _ratio(c, args[:2], it))
    return _standing(c, strength, *_samples(args[2]))


def _rs_momentum(c: Compiler, args: Arguments, it: int) -> int:
    resolution, samples = _samples(args[2])
    now = _rs_ratio(c, args, it)
    before = _lag(c, now, resolution, 1)
    return _standing(c, c.nodes.add("/", c.nodes.add("-", now, before), before), resolution, samples)


def _quadrant(c: Compiler, args: Arguments, it: int) -> int:
    return c.nodes.add("quadrant", _rs_ratio(c, args, it), _rs_momentum(c, args, it))


def _reversal(c: Compiler, args: Arguments, it: int) -> int:
    x, y, long, short, by = args
    level = c.expression(by, it)
    led = c.nodes.add(">", _lag(c, _excess(c, (x, y, long), it), *_samples(short)), level)
    trails = c.nodes.add("<", _excess(c, (x, y, short), it), c.nodes.add("neg", level))
    return c.nodes.add("and", led, trails)


def _value(c: Compiler, args: Arguments, it: int) -> int:  # noqa: ARG001 - a series is of nobody
    assert isinstance(args[0], Series)  # noqa: S101 - the checker's promise
    return c.series(args[0].name)


LOWERINGS: Final[dict[str, Lowering]] = {
    "price": _price,
    "bid": _bid,
    "ask": _ask,
    "quoted_spread": _quoted_spread,
    "volume": _of_members(Field.VOLUME, "total"),
    "rel_volume": _of_members(Field.RELATIVE_VOLUME, "mean"),
    "age": _of_members(Field.AGE, "highest"),
    "ret": _return,
    "excess": _excess,
    "ratio": _ratio,
    **{op: _windowed(op) for op in ("mean", "std", "min", "max", "sum", "median", "ema", "slope")},
    "change": _change,
    "zscore": _windowed("zscore"),
    "percentile": _windowed("percentile"),
    "crosses_above": _crosses(">"),
    "crosses_below": _crosses("<"),
    "streak": _streak,
    "held": _held,
    "then": _then,
    "vol": _vol,
    "beta": _pair("beta"),
    "corr": _pair("corr"),
    "drawdown": _drawdown,
    "count": _across("total"),
    "share": _across("mean"),
    "avg": _across("mean"),
    "med": _median,
    "stdev": _across("deviation"),
    "best": _across("highest"),
    "worst": _across("lowest"),
    "spread": _spread,
    "rank": _rank,
    "rank_corr": _rank_correlation,
    "rs_ratio": _rs_ratio,
    "rs_momentum": _rs_momentum,
    "quadrant": _quadrant,
    "reversal": _reversal,
    "value": _value,
}

CLOSED: Final = frozenset({"count", "share", "avg", "med", "stdev", "best", "worst", "spread", "rank_corr", "value"})
"""Functions that are the same for every `it` around them: inside, it is the member, or there is none."""


def _window(arg: object) -> Window:
    assert isinstance(arg, Sessions | Clock | Word | Since)  # noqa: S101 - the checker's promise
    return arg


def _samples(arg: object) -> tuple[Resolution, int]:
    match arg:
        case Sessions(count=count):
            return "session", count
        case Clock(ns=ns):
            return "minute", max(1, -(-ns // MINUTE))
        case _:
            msg = f"a window function cannot sample over {arg}"
            raise ValueError(msg)
