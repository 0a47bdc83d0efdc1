"""Arguments of functions that are no expressions: instruments, universes, windows and external series."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rules.ast import Asset, Basket, Clock, Instrument, It, Series, Sessions, Since, Universe, Window, Word
from rules.diagnostics import did_you_mean
from rules.functions import Kind, Parameter, Signature
from rules.literals import SECOND
from rules.scope import Scope
from rules.symbols import MAX_SYMBOL, is_plain_symbol
from rules.syntax import ExpressionError, Member, Name, Node, Number, Period, Prefix, brief

MINUTE: Final = 60 * SECOND
SESSIONS_EXAMPLE: Final = "20d or 4w"

MOST_SHOWN: Final = 12
"""Members of a universe in a hint."""
OUTSIDE_LOOP: Final = "`it` is the member of a universe, and here is no loop over one"
OUTSIDE_LOOP_HINT: Final = "give the alert `each: a_universe`, or use `it` inside share(...) or rank(...)"

_DEFINE_UNIVERSE: Final = "universes are defined under `universes`"


def unknown_name(node: Name, known: Iterable[str]) -> ExpressionError:
    """A word that is no symbol by its looks and that nothing defines."""
    found = did_you_mean(node.text, known)
    if "." in node.text:
        hint = f"a symbol that is not a plain word is quoted: '{node.text}'"
    else:
        hint = "" if found else f"a symbol is in capitals or quoted: {node.text.upper()}, '{node.text}'"
    return ExpressionError(f"unknown name `{node.text}`{found}", node.span, hint)


def read_asset(
    node: Node, function: Signature, parameter: Parameter, scope: Scope, it: Universe | None
) -> Asset | It | None:
    """The instrument, basket or `it` that an argument names; None where its definition is wrong.

    Raises:
        ExpressionError: It names none.
    """
    if isinstance(node, Member):
        if it is None:
            raise ExpressionError(OUTSIDE_LOOP, node.span, OUTSIDE_LOOP_HINT)
        return It(node.span)
    needs = f"{function.usage} needs an instrument as {parameter.name}"
    if not isinstance(node, Name):
        raise ExpressionError(f"{needs}, and here is {brief(node)}", node.span)
    if node.quoted:
        return Instrument(node.text)
    text = node.text
    if (found := scope.aliases.get(text) or scope.baskets.get(text)) is not None:
        return found
    if text in scope.broken:
        return None
    if text in scope.universes:
        hint = "loop over it with `each`, or make a basket of it if you mean it as a portfolio"
        raise ExpressionError(f"{needs}, and `{text}` is a universe", node.span, hint)
    if text in scope.records:
        raise ExpressionError(f"{needs}, and `{text}` is a record: a value already", node.span)
    if is_plain_symbol(text):
        return Instrument(text)
    raise unknown_name(node, [*scope.assets(), *(["it"] if it is not None else [])])


def read_universe(node: Node, function: Signature, parameter: Parameter, scope: Scope) -> Universe | None:
    """The universe that an argument names; None where its definition is wrong.

    Raises:
        ExpressionError: It names none.
    """
    needs = f"{function.usage} needs a universe as {parameter.name}"
    if not isinstance(node, Name) or node.quoted:
        raise ExpressionError(f"{needs}, and here is {brief(node)}", node.span, _DEFINE_UNIVERSE)
    if (found := scope.universe(node.text)) is not None:
        return found
    if node.text in scope.broken:
        return None
    message, hint = unknown_universe(node.text, scope, needs)
    raise ExpressionError(message, node.span, hint)


def unknown_universe(name: str, scope: Scope, needs: str) -> tuple[str, str]:
    """Message and hint for a name that is no universe; `needs` begins the message where it is something else."""
    if name in scope.aliases or name in scope.records:
        return f"{needs}, and `{name}` is {'an alias' if name in scope.aliases else 'a record'}", _DEFINE_UNIVERSE
    found = did_you_mean(name, [*scope.universes, *scope.baskets])
    return f"unknown universe `{name}`{found}", "" if found else _DEFINE_UNIVERSE


def read_window(node: Node, function: Signature, parameter: Parameter) -> Window:
    """The window of an argument.

    Raises:
        ExpressionError: It is none, or none that this function can use.
    """
    needs = f"{function.usage} needs a window as {parameter.name}"
    if not isinstance(node, Period):
        raise ExpressionError(f"{needs}, and here is {brief(node)}", node.span, _window_hint(node))
    if parameter.kind is Kind.SESSIONS and not isinstance(node.window, Sessions):
        message = f"{function.usage} looks at whole sessions, and {node.text} is {_sort_of(node.window)}"
        raise ExpressionError(message, node.span, f"write trading sessions, such as {SESSIONS_EXAMPLE}")
    if parameter.kind is not Kind.WINDOW:
        _check_samples(node, function, parameter)
    return node.window


def _sort_of(window: Window) -> str:
    match window:
        case Clock():
            return "clock time"
        case Since():
            return "a date"
        case _:
            return "a word for a date"


def _window_hint(node: Node) -> str:
    match node:
        case Number(text=text) if text.isdigit():
            return f"write {text}d for trading sessions, {text}m for minutes"
        case Name(text=text) if found := did_you_mean(text, [*Word]):
            return f"`{text}` is no window{found}"
        case Prefix(op="-", operand=Period(text=text)):
            return f"windows look back anyway: write {text}"
        case _:
            return "windows are 14d, 2w, 30m, 2h, open, wtd, mtd, qtd, ytd or a date"


def _check_samples(node: Period, function: Signature, parameter: Parameter) -> None:
    """One sample a session, or one a minute."""
    window = node.window
    if isinstance(window, Word | Since):
        message = f"{function.usage} needs a number of samples, and {node.text} has none of its own"
        raise ExpressionError(message, node.span, "write sessions, such as 20d, or minutes, such as 30m")
    if isinstance(window, Clock) and window.ns % MINUTE:
        message = f"{function.usage} takes one sample a minute: write whole minutes instead of {node.text}"
        raise ExpressionError(message, node.span)
    samples, unit = (window.count, "d") if isinstance(window, Sessions) else (window.ns // MINUTE, "m")
    if samples < parameter.minimum:
        message = f"{function.usage} needs {parameter.minimum} samples or more, and {node.text} has {samples}"
        raise ExpressionError(message, node.span, f"{parameter.minimum}{unit} is the shortest window")


def samples(window: Window) -> int:
    """How many samples a window of sessions or minutes has."""
    match window:
        case Sessions(count=count):
            return count
        case Clock(ns=ns):
            return ns // MINUTE
        case _:
            msg = f"{window} has no number of samples"
            raise ValueError(msg)


def read_series(node: Node, function: Signature, scope: Scope) -> Series:
    """The external series that an argument names: a word, words with dots, or anything in quotes.

    Raises:
        ExpressionError: It is none, or a name of something else.
    """
    needs = f"{function.usage} needs the name of an external series"
    if not isinstance(node, Name):
        raise ExpressionError(f"{needs}, and here is {brief(node)}", node.span, "such as value(rates.ust_10y)")
    text = node.text
    if len(text) > MAX_SYMBOL:
        raise ExpressionError(f"a name of {len(text)} characters; {MAX_SYMBOL} are the most", node.span)
    if node.quoted:
        return Series(text)
    quote = f"quote it if a series has this name: value('{text}')"
    if text in scope.aliases or text in scope.baskets:
        what = "an alias" if text in scope.aliases else "a basket"
        raise ExpressionError(f"{needs}, and `{text}` is {what}: write price({text})", node.span, quote)
    if text in scope.universes:
        raise ExpressionError(f"{needs}, and `{text}` is a universe", node.span, quote)
    if text in scope.records:
        raise ExpressionError(f"{needs}, and `{text}` is a record: write {text} alone", node.span, quote)
    return Series(text)


def not_a_member(node: Node, member: Asset | It, universe: Universe, it: Universe | None) -> ExpressionError | None:
    """Why an instrument cannot be ranked in a universe, if it cannot."""
    if isinstance(member, It):
        if it is None or it.members == universe.members:
            return None
        ranked = frozenset(universe.members)
        outside = next((m for m in it.members if m not in ranked), None)
        if outside is None:
            return None
        message = f"`it` is a member of `{it.name}`, and {label(outside)} is not in `{universe.name}`"
        return ExpressionError(message, node.span, f"loop with `each: {universe.name}`, or rank in `{it.name}`")
    if member in universe.members:
        return None
    found = did_you_mean(brief(node), map(label, universe.members))
    message = f"{brief(node)} is no member of `{universe.name}`, so it has no rank there{found}"
    return ExpressionError(message, node.span, "" if found else f"it has {_some(universe)}")


def _some(universe: Universe) -> str:
    labels = [label(member) for member in universe.members]
    return ", ".join(labels) if len(labels) <= MOST_SHOWN else f"{', '.join(labels[:MOST_SHOWN])}, ..."


def label(asset: Instrument | Basket) -> str:
    """An instrument's symbol or a basket's name."""
    return asset.symbol if isinstance(asset, Instrument) else asset.name
