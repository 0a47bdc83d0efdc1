"""What a name and a symbol may look like, and the characters that only look as if they belonged in one."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from rules.ast import Span
from rules.syntax import ExpressionError

MAX_SYMBOL: Final = 64
RESERVED: Final = frozenset({"and", "or", "not", "it", "open", "wtd", "mtd", "qtd", "ytd"})
"""Words of the language, which cannot be names."""

WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
RULE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_PLAIN_SYMBOL: Final = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_SYMBOL: Final = re.compile(r"[!-~]+(?: [!-~]+)*\Z")

_CONFUSED: Final = {
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{MINUS SIGN}": "-", "\N{NON-BREAKING HYPHEN}": "-", "\N{HYPHEN}": "-",
    "\N{MULTIPLICATION SIGN}": "*", "\N{DIVISION SIGN}": "/", "\N{DIVISION SLASH}": "/",
    "\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{LESS-THAN OR EQUAL TO}": "<=", "\N{NOT EQUAL TO}": "!=",
    "\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "'", "\N{RIGHT DOUBLE QUOTATION MARK}": "'",
    "\N{NO-BREAK SPACE}": " ", "\N{ZERO WIDTH SPACE}": "",
    "\N{CYRILLIC SMALL LETTER A}": "a", "\N{CYRILLIC SMALL LETTER IE}": "e", "\N{CYRILLIC SMALL LETTER O}": "o",
    "\N{CYRILLIC SMALL LETTER ER}": "p", "\N{CYRILLIC SMALL LETTER ES}": "c", "\N{CYRILLIC SMALL LETTER HA}": "x",
    "\N{CYRILLIC SMALL LETTER U}": "y", "\N{CYRILLIC SMALL LETTER DZE}": "s",
    "\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}": "i",
    "\N{CYRILLIC CAPITAL LETTER A}": "A", "\N{CYRILLIC CAPITAL LETTER VE}": "B", "\N{CYRILLIC CAPITAL LETTER IE}": "E",
    "\N{CYRILLIC CAPITAL LETTER KA}": "K", "\N{CYRILLIC CAPITAL LETTER EM}": "M", "\N{CYRILLIC CAPITAL LETTER EN}": "H",
    "\N{CYRILLIC CAPITAL LETTER O}": "O", "\N{CYRILLIC CAPITAL LETTER ER}": "P", "\N{CYRILLIC CAPITAL LETTER ES}": "C",
    "\N{CYRILLIC CAPITAL LETTER TE}": "T", "\N{CYRILLIC CAPITAL LETTER HA}": "X",
    "\N{CYRILLIC CAPITAL LETTER DZE}": "S",
    "\N{GREEK SMALL LETTER OMICRON}": "o", "\N{GREEK CAPITAL LETTER ALPHA}": "A", "\N{GREEK CAPITAL LETTER BETA}": "B",
    "\N{GREEK CAPITAL LETTER IOTA}": "I", "\N{GREEK CAPITAL LETTER MU}": "M", "\N{GREEK CAPITAL LETTER NU}": "N",
    "\N{GREEK CAPITAL LETTER TAU}": "T", "\N{GREEK CAPITAL LETTER CHI}": "X",
    "\N{GREEK CAPITAL LETTER EPSILON}": "E", "\N{GREEK CAPITAL LETTER ZETA}": "Z", "\N{GREEK CAPITAL LETTER ETA}": "H",
    "\N{GREEK CAPITAL LETTER KAPPA}": "K", "\N{GREEK CAPITAL LETTER OMICRON}": "O", "\N{GREEK CAPITAL LETTER RHO}": "P",
    "\N{GREEK CAPITAL LETTER UPSILON}": "Y", "\N{GREEK SMALL LETTER NU}": "v", "\N{GREEK SMALL LETTER IOTA}": "i",
    "\N{GREEK SMALL LETTER ALPHA}": "a", "\N{GREEK SMALL LETTER RHO}": "p", "\N{GREEK SMALL LETTER UPSILON}": "u",
    "\N{CYRILLIC CAPITAL LETTER BYELORUSSIAN-UKRAINIAN I}": "I", "\N{CYRILLIC CAPITAL LETTER JE}": "J",
    "\N{CYRILLIC SMALL LETTER JE}": "j", "\N{CYRILLIC CAPITAL LETTER U}": "Y", "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "\N{ZERO WIDTH JOINER}": "", "\N{ZERO WIDTH NON-JOINER}": "", "\N{WORD JOINER}": "", "\N{SOFT HYPHEN}": "",
}  # fmt: skip


def is_plain_symbol(word: str) -> bool:
    """Whether a word that nothing defines is taken for a symbol: capitals, digits and underscores."""
    return _PLAIN_SYMBOL.match(word) is not None


def read_word(text: str, span: Span) -> str:
    """A word, which has to be of ASCII: others only look like the name they are not.

    Raises:
        ExpressionError: Names the character.
    """
    for place, character in enumerate(text):
        if not character.isascii():
            at = span.start + place
            raise ExpressionError(f"`{text}` contains {named(character)}", Span(at, at + 1), looks_like(character))
    return text


def read_symbol(text: str, span: Span) -> str:
    """A symbol as the feed spells it, without quotes.

    Raises:
        ExpressionError: Empty, too long, or with a character no symbol has.
    """
    read_word(text, Span(span.start + (span.end - span.start > len(text)), span.end))
    if not text.strip():
        raise ExpressionError("an empty symbol", span)
    if len(text) > MAX_SYMBOL:
        raise ExpressionError(f"a symbol of {len(text)} characters; {MAX_SYMBOL} are the most", span)
    if not _SYMBOL.match(text) or set(text) & set("'\"\\`"):
        raise ExpressionError(f"`{text}` is no symbol", span, "no quotes, no spaces at its ends, nothing unprintable")
    return text


def named(character: str) -> str:
    """A character that may not be visible, or not what it looks like: itself, its name and its number."""
    name = unicodedata.name(character, "a character without a name")
    shown = f"`{character}`, " if character.isprintable() and not character.isspace() else ""
    return f"{shown}{name} (U+{ord(character):04X})"


def looks_like(character: str) -> str:
    """A hint what to write instead of a character that is easily taken for another."""
    meant = _CONFUSED.get(character) or unicodedata.normalize("NFKC", character)
    if character in _CONFUSED and not _CONFUSED[character].strip():
        return "it looks like a space, or like nothing: delete it"
    if meant.isascii() and meant != character:
        return f"it looks like `{meant}`: write that"
    return "names are written with a to z, digits and _"
