"""Why a text is no expression, in words: from what the parser could not go on with to a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from rules.ast import Span
from rules.diagnostics import listed
from rules.symbols import looks_like, named
from rules.syntax import ExpressionError

UNCLOSED: Final = "`(` is never closed"

_OPERATORS: Final = {"COMPARE", "PLUS", "MINUS", "TIMES", "DIVIDE", "AND", "OR"}

_INSTEAD: Final = {
    "=": "equality is written `==`",
    "!": "write `not`, or `!=` for is-not-equal",
    "&": "write `and`",
    "|": "write `or`",
    "%": "a percentage is written without a space: 4%",
    ".": "a symbol that is not a plain word is quoted: 'BRK.B'",
    "^": "a symbol that is not a plain word is quoted: '^RUT'",
    ":": "a symbol that is not a plain word is quoted: 'NYSE:IBM'",
    '"': "a symbol is quoted with single quotes: 'BRK.B'",
    "$": "write prices as plain numbers",
    "#": "a comment stands outside the expression",
    "[": "parentheses are round; a list has a name, under `baskets` or `universes`",
    "{": "templates are for annotations; here names stand by themselves",
}  # fmt: skip
_WORDS: Final = {"AND": "and", "OR": "or", "NOT": "not", "IT": "it"}


def explained(error: UnexpectedInput, text: str) -> ExpressionError:
    """The message for what the parser raised over `text`."""
    if isinstance(error, UnexpectedCharacters):
        return _stray(text, error.pos_in_stream)  # type: ignore[arg-type] # lark's annotation is of None only
    assert isinstance(error, UnexpectedToken)  # noqa: S101 - the only other kind there is
    expected = _expected(error.accepts)
    token = error.token
    if token.type == "$END":
        unclosed = _unclosed(text)
        if unclosed is not None:
            return ExpressionError(UNCLOSED, Span(unclosed, unclosed + 1), f"{expected} at the end")
        end = len(text.rstrip())
        return ExpressionError(f"the expression ends too early: expected {expected} here", Span(end, end))
    start = token.start_pos or 0
    span = Span(start, start + len(token))
    if token.type == "CLOSE" and _unclosed(text[:start]) is None:
        return ExpressionError("`)` closes nothing", span)
    return ExpressionError(
        f"expected {expected} here, found `{token}`", span, _advice(token.type, str(token), text[:start])
    )


def _stray(text: str, place: int) -> ExpressionError:
    character = text[place]
    span = Span(place, place + 1)
    if character == "'":
        return ExpressionError("the quote is never closed", span)
    if character.isascii() and character.isprintable():
        return ExpressionError(f"`{character}` means nothing here", span, _INSTEAD.get(character, ""))
    return ExpressionError(f"{named(character)} means nothing here", span, looks_like(character))


def _advice(kind: str, token: str, before: str) -> str:
    if kind == "NAME" and token in {"AND", "OR", "NOT"}:
        return f"write `{token.lower()}`"
    if kind == "NAME" and before.rstrip()[-1:].isdigit():
        return "a number and its unit are written without a space: 4%, 400bp, 14d"
    if kind == "TIMES" and before.rstrip().endswith("*"):
        return "there are no powers"
    if kind == "COMPARE" and before.rstrip()[-1:] in {"<", ">", "="}:
        return "comparisons are < <= > >= == !="
    if kind in {"AND", "OR", "NOT", "IT", "WORD"}:
        return f"`{token}` is a word of the language"
    return ""


def _expected(kinds: Iterable[str]) -> str:
    """What could have come, in words: a value, or an operator and what may close or go on."""
    expected = set(kinds)
    if "LITERAL" in expected:
        return "a value or `)`" if "CLOSE" in expected else "a value"
    words = ["an operator"] if expected & _OPERATORS else []
    words += [text for kind, text in (("COMMA", "`,`"), ("CLOSE", "`)`")) if kind in expected]
    words += ["the end"] if "$END" in expected else []
    return listed(words or [_WORDS.get(k, k) for k in sorted(expected)])


def _unclosed(text: str) -> int | None:
    """Where the innermost parenthesis that is still open at the end of `text` was opened."""
    opened: list[int] = []
    quoted = False
    for place, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif character == "(" and not quoted:
            opened.append(place)
        elif character == ")" and not quoted and opened:
            opened.pop()
    return opened[-1] if opened else None
