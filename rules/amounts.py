"""Arguments of functions that are amounts: a level to cross, a ratio to lead by, how many samples."""

from __future__ import annotations

from collections.abc import Sequence

from rules.arguments import samples
from rules.ast import Clock, Expr, Literal, Sessions, Type
from rules.functions import Parameter, Signature
from rules.syntax import Application, ExpressionError, Node, Number, Period, Prefix, brief
from rules.units import Side, UnitError, article, as_ratio, bare, compared


def check_together(node: Application, function: Signature, args: Sequence[object]) -> None:
    """Checks arguments against each other, each of which is right by itself.

    Raises:
        ExpressionError: They are not right together.
    """
    match function.name, args:
        case (("crosses_above" | "crosses_below"), (watched, level, _)) if isinstance(watched, Expr) and isinstance(
            level, Expr
        ):
            _check_level((node.args[0], watched, watched.type), (node.args[1], level, level.type), function)
        case "held", (_, Literal(value=k), Sessions() | Clock() as window) if k > (most := samples(window)):
            count, given = node.args[1:]
            message = f"held {brief(count)} of {most} can never be: {brief(given)} has {most} samples"
            raise ExpressionError(message, count.span, f"{function.usage}: {function.summary}")
        case "reversal", (_, _, Sessions() | Clock() as long, Sessions() | Clock() as short, _):
            whole, end = brief(node.args[2]), brief(node.args[3])
            if type(long) is not type(short):
                message = f"{function.usage} needs both windows in sessions or both in clock time: {whole} and {end}"
                raise ExpressionError(message, node.args[3].span, "such as 60d and 10d, or 60m and 10m")
            if samples(short) >= samples(long):
                message = f"`short` has to be shorter than `long`, and {end} is not shorter than {whole}"
                raise ExpressionError(message, node.args[3].span, f"{function.usage}: {function.summary}")


def _check_level(watched: Side, level: Side, function: Signature) -> None:
    """The units of a level are those of what is to cross it."""
    try:
        compared(">", watched, level)
    except UnitError as error:
        at = level[0] if error.at is None else error.at
        raise ExpressionError(error.message, at.span, error.hint or f"{function.usage}: {function.summary}") from None


def as_margin(node: Node, expr: Expr, function: Signature, parameter: Parameter) -> Expr:
    """A ratio that is not below zero; a bare 0 is one.

    Raises:
        ExpressionError: It is something else, or negative.
    """
    number = bare(expr)
    if number == 0:
        return Literal(0.0, Type.RATIO, node.span)
    if number is not None:
        message = f"{brief(node)} is a bare number and `{parameter.name}` is a ratio: write {as_ratio(abs(number))}"
        raise ExpressionError(message, node.span)
    if expr.type is not Type.RATIO:
        message = f"{function.usage} needs a ratio as {parameter.name}, and {brief(node)} is {article(expr.type)}"
        raise ExpressionError(message, node.span, "such as 3% or 300bp")
    if isinstance(expr, Literal) and expr.value < 0:
        message = f"`{parameter.name}` cannot be negative: it is a distance, above for the one and below for the other"
        raise ExpressionError(message, node.span, f"write {brief(node).lstrip('-')}")
    return expr


def read_whole(node: Node, function: Signature, parameter: Parameter) -> Literal:
    """A whole number of samples, written as one.

    Raises:
        ExpressionError: It is anything else.
    """
    needs = f"{function.usage} needs a whole number as {parameter.name}, and here is {brief(node)}"
    match node:
        case Number(value=value, type=Type.SCORE) if value >= 1 and value == int(value):
            return Literal(value, Type.SCORE, node.span)
        case Number(value=value, type=Type.SCORE):
            hint = "1 or more" if value < 1 else f"write {int(value)} or {int(value) + 1}"
        case Number():
            hint = f"it is counted in samples, not as a part of them: {parameter.name} of the samples in the window"
        case Period(text=text) if text[:-1].isdigit():
            hint = f"write {text[:-1]}"
        case Prefix(op="-"):
            hint = "1 or more"
        case _:
            hint = "write the number itself, such as 3"
    raise ExpressionError(needs, node.span, hint)
