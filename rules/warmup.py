"""How much history each instrument of a rule needs, and when what is stored will be enough."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rules.arguments import samples
from rules.ast import Asset, Basket, Call, Expr, Instrument, It, RecordRef, Sessions, Since, Universe
from rules.ruleset import AlertRule, Formula, RecordRule, RuleSet
from rules.scope import children

Asked = tuple[str, int, dt.date | None]
"""A symbol, the sessions before the current one that are looked at, and the date a window starts from."""

_REACH: Final[Mapping[str, Callable[[int], int]]] = {
    # the current value is the newest of the n samples
    **dict.fromkeys(("mean", "std", "min", "max", "sum", "median", "slope", "held", "drawdown"), lambda n: n - 1),
    # the n samples before the current one
    **dict.fromkeys(("change", "zscore", "percentile", "crosses_above", "crosses_below", "then"), lambda n: n),
    "ema": lambda n: 4 * n - 1,
    # n returns, of which the first is measured from a close before it
    **dict.fromkeys(("vol", "beta", "corr", "rel_volume", "ret", "excess", "reversal"), lambda n: n),
    "volume": lambda n: n - 1,
    "rs_ratio": lambda n: n - 1,
    # n changes of rs_ratio, each of which has its own n samples
    **dict.fromkeys(("rs_momentum", "quadrant"), lambda n: 2 * n - 1),
}
"""Sessions before the current one that a window of n sessions looks at. A streak is as long as there is history."""


@dataclass(frozen=True, slots=True)
class Cold:
    """A rule that is unknown for want of history; `warm` is the session, by its number, from which on it is known.

    It is None where no later session helps: a window starts at a date before the history.
    """

    rule: AlertRule | RecordRule
    symbol: str
    needed: int
    stored: int
    since: dt.date | None
    warm: int | None


def warm_up(ruleset: RuleSet, first: Mapping[str, int], current: int, number: Callable[[dt.date], int]) -> list[Cold]:
    """The rules for which the stored history is too short, each with the instrument that takes longest.

    Args:
        ruleset: The rules.
        first: For each symbol, the number (in the trading calendar) of the first session whose close is stored.
            A symbol that is not in it has no history: its first close will be that of the current session.
        current: The number of the current session.
        number: The number of the last session on or before a date.
    """
    cold: list[Cold] = []
    rules: list[AlertRule | RecordRule] = [*ruleset.records, *ruleset.alerts]
    for rule in rules:
        worst: Cold | None = None
        for symbol, sessions, since in sorted(asked_by(rule), key=str):
            begins = first.get(symbol, current)
            if since is not None and number(since) < begins:
                warm, needed = None, current - number(since)
            else:
                warm, needed = begins + sessions, sessions
            if warm is not None and warm <= current:
                continue
            found = Cold(rule, symbol, needed, max(0, current - begins), since if warm is None else None, warm)
            if worst is None or _longer(found, worst):
                worst = found
        if worst is not None:
            cold.append(worst)
    return cold


def _longer(one: Cold, other: Cold) -> bool:
    if one.warm is None or other.warm is None:
        return other.warm is not None
    return one.warm > other.warm


def asked_by(rule: AlertRule | RecordRule) -> set[Asked]:
    """What a rule asks of the history of each instrument."""
    each = rule.each if isinstance(rule, AlertRule) else None
    formulas = (rule.value,) if isinstance(rule, RecordRule) else (rule.when, rule.until, rule.value)
    asked: set[Asked] = set()
    for formula in formulas:
        if isinstance(formula, Formula):
            asked.update(_asked(formula.expr, 0, () if each is None else each.members))
    return asked


def _asked(expr: Expr, before: int, it: tuple[Asset, ...]) -> Iterator[Asked]:
    """Of an expression that is looked at as of so many sessions before the current one."""
    if isinstance(expr, RecordRef):
        yield from _asked(expr.value, before, ())
        return
    if not isinstance(expr, Call):
        for child in children(expr):
            yield from _asked(child, before, it)
        return
    since = next((arg.date for arg in expr.args if isinstance(arg, Since)), None)
    windows = [samples(arg) for arg in expr.args if isinstance(arg, Sessions)]
    further = before + (_REACH[expr.function](max(windows)) if windows else 0)
    universe = next((arg for arg in expr.args if isinstance(arg, Universe)), None)
    members = it if universe is None else universe.members
    for arg in expr.args:
        if isinstance(arg, Expr):
            yield from _asked(arg, further, members)
        elif isinstance(arg, It | Instrument | Basket):
            for asset in it if isinstance(arg, It) else (arg,):
                for symbol in [asset.symbol] if isinstance(asset, Instrument) else [s for s, _ in asset.weights]:
                    yield symbol, further, since
