"""An expression as written, before its names and types are looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rules.ast import Span, Type, Window

COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})


class ExpressionError(ValueError):
    """What is wrong with an expression, and where in its text."""

    def __init__(self, message: str, span: Span, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Number:
    """``1.5``, ``4%``, ``400bp``: the value in base units, and the type its unit gives it."""

    value: float
    type: Type
    text: str = field(compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Period:
    """``14d``, ``5m``, ``ytd``, ``2025-12-31``: a window where a function asks for one; clock time also is a value."""

    window: Window
    text: str = field(compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A word, or a quoted symbol (its quotes removed)."""

    text: str
    quoted: bool
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """``it``."""

    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Prefix:
    """``-e`` or ``not e``."""

    op: str
    operand: Node
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Infix:
    """``left op right`` for ``+ - * / < <= > >= == !=``; `op_span` is the operator's place."""

    op: str
    left: Node
    right: Node
    op_span: Span = field(compare=False)
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """``and`` or ``or`` of two or more."""

    op: str
    operands: tuple[Node, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Application:
    """``function(args)``."""

    function: str
    args: tuple[Node, ...]
    function_span: Span = field(compare=False)
    span: Span = field(compare=False)


Node = Number | Period | Name | Member | Prefix | Infix | Chain | Application


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    match node:
        case Prefix(operand=operand):
            return (operand,)
        case Infix(left=left, right=right):
            return (left, right)
        case Chain(operands=operands):
            return operands
        case Application(args=args):
            return args
        case _:
            return ()


def brief(node: Node) -> str:
    """An expression in few words, for messages: a call's arguments are left out.

    ``ret(IWM, 14d) - ret(SPY, 14d)`` is ``ret(...) - ret(...)``.
    """
    match node:
        case Number(text=text) | Period(text=text):
            return text
        case Name(text=text, quoted=quoted):
            return f"'{text}'" if quoted else text
        case Member():
            return "it"
        case Prefix(op=op, operand=operand):
            return f"{op}{' ' if op == 'not' else ''}{_operand(operand)}"
        case Infix(op=op, left=left, right=right) if op in COMPARISONS:
            return f"{_side(left)} {op} {_side(right)}"
        case Infix(op=op, left=left, right=right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case Chain(op=op):
            return f"... {op} ..."
        case Application(function=function, args=args):
            return f"{function}({'...' if args else ''})"


def _side(node: Node) -> str:
    """A side of a comparison, whose arithmetic needs no parentheses."""
    return brief(node) if isinstance(node, Infix) and node.op not in COMPARISONS else _operand(node)


def _operand(node: Node) -> str:
    """An operand inside a brief expression: only the outermost operation is spelled out."""
    return "(...)" if isinstance(node, Infix | Chain) else brief(node)
