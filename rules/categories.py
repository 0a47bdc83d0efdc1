"""Categories: the words that a quadrant is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rules.ast import Literal, Quadrant, RecordRef, Type
from rules.diagnostics import did_you_mean, listed
from rules.functions import FUNCTIONS
from rules.scope import Scope
from rules.syntax import Application, ExpressionError, Infix, Name, Node, Number, Period, Prefix, brief

WORDS: Final[Mapping[str, Quadrant]] = {quadrant.name.lower(): quadrant for quadrant in Quadrant}
LISTED: Final = listed(list(WORDS))
EXAMPLE: Final = "quadrant(IWM, SPY, 20d) == leading"


def is_category(node: Node, scope: Scope) -> bool:
    """Whether an expression is a category by its looks: a function that gives one, or a record of one."""
    match node:
        case Application(function=function):
            signature = FUNCTIONS.get(function)
            return signature is not None and signature.result is Type.CATEGORY
        case Name(text=text, quoted=False) if (record := scope.records.get(text)) is not None:
            return record.value.type is Type.CATEGORY
        case _:
            return False


def read_category(node: Node, other: Node, scope: Scope) -> Literal | RecordRef | None:
    """What `node` is where `other` is a category and the two are compared; None where it is an expression.

    Raises:
        ExpressionError: A word that is no category, or a number.
    """
    against = f"{brief(other)} is a category"
    match node:
        case Name(text=text) if text in WORDS:
            if node.quoted:
                raise ExpressionError(f"`'{text}'` in quotes is an instrument, and {against}: write {text}", node.span)
            return Literal(float(WORDS[text]), Type.CATEGORY, node.span)
        case Name(text=text) if not node.quoted and (text in scope.records or text in scope.broken):
            return None
        case Name(text=text):
            found = did_you_mean(text, WORDS)
            message = f"`{brief(node)}` is no category{found}" if found else f"`{brief(node)}` is no category"
            raise ExpressionError(message, node.span, f"categories are {LISTED}")
        case Number(text=text) | Period(text=text) | Prefix(op="-", operand=Number(text=text)):
            raise ExpressionError(f"{text} is a number and {against}: write {LISTED}", node.span)
        case _:
            return None


def refuse_order(node: Infix) -> None:
    """Refuses to order categories.

    Raises:
        ExpressionError: The operator is not `==` or `!=`.
    """
    if node.op not in {"==", "!="}:
        message = f"categories have no order, and cannot be compared with `{node.op}`"
        raise ExpressionError(message, node.op_span, f"write == or !=, as in {EXAMPLE}")
