"""From the text of an expression to its structure, by the grammar in ``grammar.lark``.

Texts come from files that anybody may have written: length and nesting are bounded before anything recursive sees them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput

from rules.ast import Span, Word
from rules.literals import read_date, read_literal
from rules.symbols import read_symbol, read_word
from rules.syntax import (
    Application,
    Chain,
    ExpressionError,
    Infix,
    Member,
    Name,
    Node,
    Number,
    Period,
    Prefix,
    brief,
    children,
)
from rules.syntax_errors import explained

MAX_LENGTH: Final = 4_000
MAX_DEPTH: Final = 100
"""Levels of nesting; ``a + b + c`` has two, since each sum is the left side of the next."""


@lru_cache(maxsize=4_096)
def parse(text: str) -> Node:
    """The structure of an expression.

    Spans are positions in `text`. A parenthesised expression's span includes its parentheses.

    Raises:
        ExpressionError: It is no expression; the first place where it cannot go on.

    Examples:
        >>> parse("ret(IWM, 14d) > 4%").op
        '>'
    """
    if not text.strip():
        raise ExpressionError("an expression is missing here", Span(0, 0))
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression of {len(text)} characters; {MAX_LENGTH} are the most", Span(0, 1))
    _refuse_deep_brackets(text)
    try:
        tree: object = _parser().parse(text)  # the transformer's, not lark's
    except UnexpectedInput as error:
        raise explained(error, text) from None
    assert isinstance(tree, Node)  # noqa: S101 - what the transformer makes
    _refuse_deep(tree)
    return tree


@v_args(inline=True)
class _Build(Transformer[Token, Node]):
    """Called by the parser as it goes, bottom up, so that no tree of lark's is built or walked."""

    def literal(self, token: Token) -> Number | Period:
        return read_literal(str(token), _span(token))

    def date(self, token: Token) -> Period:
        return read_date(str(token), _span(token))

    def word(self, token: Token) -> Period:
        return Period(Word(str(token)), str(token), _span(token))

    def member(self, token: Token) -> Member:
        return Member(_span(token))

    def name(self, token: Token) -> Name:
        return Name(read_word(str(token), _span(token)), quoted=False, span=_span(token))

    def quoted(self, token: Token) -> Name:
        return Name(read_symbol(str(token)[1:-1], _span(token)), quoted=True, span=_span(token))

    def group(self, opening: Token, inner: Node, closing: Token) -> Node:
        return replace(inner, span=Span(_span(opening).start, _span(closing).end))

    def prefix(self, op: Token, operand: Node) -> Prefix:
        return Prefix(str(op), operand, Span(_span(op).start, operand.span.end))

    def infix(self, left: Node, op: Token, right: Node) -> Infix:
        return Infix(str(op), left, right, _span(op), Span(left.span.start, right.span.end))

    def chained_comparison(self, *parts: Node | Token) -> Node:
        first, op, middle, other_op, last = parts[:5]
        assert isinstance(other_op, Token)  # noqa: S101 - the grammar's
        a, b, c = (brief(p) for p in (first, middle, last) if not isinstance(p, Token))
        raise ExpressionError(
            "comparisons cannot be chained", _span(other_op), f"write `{a} {op} {b} and {b} {other_op} {c}`"
        )

    def any_of(self, *operands: Node) -> Chain:
        return Chain("or", operands, Span(operands[0].span.start, operands[-1].span.end))

    def all_of(self, *operands: Node) -> Chain:
        return Chain("and", operands, Span(operands[0].span.start, operands[-1].span.end))

    def arguments(self, *parts: Node | Token) -> tuple[Node, ...]:
        return tuple(p for p in parts if not isinstance(p, Token))

    def application(self, name: Token, _open: Token, args: tuple[Node, ...] | None, closing: Token) -> Application:
        return Application(
            read_word(str(name), _span(name)), args or (), _span(name), Span(_span(name).start, _span(closing).end)
        )


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", transformer=_Build(), maybe_placeholders=True)


def _span(token: Token) -> Span:
    start = token.start_pos
    assert start is not None  # noqa: S101 - every token comes from a text
    return Span(start, start + len(token))


def _at(place: int) -> Span:
    return Span(place, place + 1)


# --- limits


def _refuse_deep_brackets(text: str) -> None:
    depth = 0
    for match in re.finditer(r"'[^'\n]*'|[()]", text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            raise ExpressionError(f"parentheses are nested more than {MAX_DEPTH} deep", _at(match.start()))


def _refuse_deep(tree: Node) -> None:
    level: Sequence[Node] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in children(node)]
        if not level:
            return
    raise ExpressionError(
        f"the expression is nested more than {MAX_DEPTH} deep", level[0].span, "give its parts names with `record`"
    )
