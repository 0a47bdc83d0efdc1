"""Texts for fuzzing: expressions grown from the table of functions, rule files around them, and both damaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import rules
from rules.ast import Type
from rules.categories import WORDS
from rules.functions import FUNCTIONS, Kind, Parameter, Signature

ROOT: Final = Path(__file__).parents[3]
LIBRARY: Final = [
    p.read_text(encoding="utf-8") for p in sorted((Path(rules.__file__).parent / "library").glob("*.yaml"))
]
GOLDEN: Final = [p.read_text(encoding="utf-8") for p in sorted((ROOT / "tests" / "golden" / "rules").glob("*.yaml"))]

HEADER: Final = """\
aliases: {small_caps: IWM, large_caps: SPY, leading: QQQ}
baskets:
  mag7: [AAPL, MSFT, GOOGL, AMZN, NVDA, META, TSLA]
  chips: {weights: {MU: 40%, TSM: 60%}}
universes:
  sectors: [XLB, XLC, XLE, XLF]
  mixed: [XLB, mag7, small_caps]
groups:
  - name: records
    rules:
      - {record: lead, value: "ret(small_caps, 14d) - ret(large_caps, 14d)"}
      - {record: unusual, value: "zscore(lead, 60d)"}
      - {record: ahead, value: lead > 3%}
      - {record: place, value: "quadrant(IWM, SPY, 20d)"}
"""

_ASSETS: Final = ("IWM", "SPY", "small_caps", "mag7", "chips", "'BRK.B'", "'^RUT'", "leading", "it")
_UNIVERSES: Final = ("sectors", "mixed", "mag7")
_SAMPLES: Final = ("1d", "2d", "5d", "20d", "4w", "250d", "10000d", "1m", "30m", "2h")
_SESSIONS: Final = ("2d", "5d", "20d", "4w", "250d")
_WINDOWS: Final = (*_SAMPLES, "30s", "open", "wtd", "mtd", "qtd", "ytd", "2025-12-31")
_NUMBERS: Final = ("0", "1", "2", "2.5", "100", "0.5", "1000000")
_LEVELS: Final = {
    Type.RATIO: ("4%", "400bp", "0", "-150bp", "100%", "0.5bp", "-100%"),
    Type.DURATION: ("30s", "5m", "2h", "0"),
    Type.CATEGORY: tuple(WORDS),
}
_VALUES: Final = (Type.RATIO, Type.PRICE, Type.SCORE, Type.COUNT, Type.VOLUME, Type.DURATION)
_COMPARISONS: Final = ("<", "<=", ">", ">=", "==", "!=")
_RECORDS: Final = {Type.RATIO: "lead", Type.SCORE: "unusual", Type.CONDITION: "ahead", Type.CATEGORY: "place"}
_PIECES: Final = (
    "", " ", "(", ")", ",", "'", '"', "%", "bp", "d", "not ", " and ", " or ", "it", "==", "!=", ">", "<", "=", "*",
    "/", "-", "+", ".", "..", ":", ": ", "\n", "\n  ", "\t", "#", "&a ", "*a", "<<: *a", "- ", "[", "]", "{", "}", "|",
    ">-", "\0", "\x1b[2J", "\x85", "\ufeff", "\u200b", "\ud800", "\N{GREEK CAPITAL LETTER IOTA}",
    "\N{CYRILLIC SMALL LETTER A}", "\N{GREATER-THAN OR EQUAL TO}", "\N{EN DASH}", "\N{RIGHT SINGLE QUOTATION MARK}",
    "\N{FULLWIDTH DIGIT ONE}", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\u65e5\u672c", "\N{ROCKET}", "9" * 40, "1e999",
    ".5", "0x1f", "~", "null", "{{ value | bp }}", "{% for a in labels %}", "2025-02-30", "ret(", "share(sectors, ",
    "rank(it, sectors, ", "quadrant(IWM, SPY, 20d) == ", "value(rates.ust_10y)", "((((((((",
    "!!python/object:os.system ",
)  # fmt: skip


class Grower:
    """Expressions that make sense, mostly: one argument in fifty is of the wrong kind."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._of_kind: dict[Kind, Callable[[int], str]] = {
            Kind.ASSET: lambda _: dice.choice(_ASSETS),
            Kind.UNIVERSE: lambda _: dice.choice(_UNIVERSES),
            Kind.WINDOW: lambda _: dice.choice(_WINDOWS),
            Kind.SAMPLES: lambda _: dice.choice(_SAMPLES),
            Kind.SESSIONS: lambda _: dice.choice(_SESSIONS),
            Kind.CONDITION: self.condition,
            Kind.WHOLE: lambda _: str(dice.randint(1, 4)),
            Kind.RATIO: lambda depth: self.value(Type.RATIO, depth),
            Kind.SERIES: lambda _: dice.choice(("ust_10y", "rates.ust_10y", "'P/E discount'")),
        }

    def any(self, depth: int) -> str:
        """A condition or a value."""
        return self.condition(depth) if self._dice.random() < 0.6 else self.value(self._dice.choice(_VALUES), depth)

    def condition(self, depth: int) -> str:
        """A condition of at most so many levels."""
        dice = self._dice
        match dice.randrange(10) if depth > 0 else 9:
            case 0 | 1:
                return f" {dice.choice(['and', 'or'])} ".join(
                    self._operand(depth - 1) for _ in range(dice.randint(2, 3))
                )
            case 2:
                return f"not {self._operand(depth - 1)}"
            case 3 | 4:
                return self._call(Type.CONDITION, depth - 1)
            case 5:
                op, word = dice.choice(_COMPARISONS[-2:]), dice.choice(_LEVELS[Type.CATEGORY])
                return f"{self._call(Type.CATEGORY, depth - 1)} {op} {word}"
            case 6 if depth > 1:
                return "ahead"
            case _:
                type_ = dice.choice(_VALUES)
                other = self._literal(type_) if dice.random() < 0.7 else self.value(type_, depth - 1)
                return f"{self.value(type_, depth - 1)} {dice.choice(_COMPARISONS)} {other}"

    def value(self, type_: Type, depth: int) -> str:
        """A value of a type."""
        dice = self._dice
        if depth <= 0 or dice.random() < 0.6:
            known = _RECORDS.get(type_)
            return known if known and dice.random() < 0.2 else self._call(type_, depth - 1)
        match dice.randrange(5):
            case 0:
                return f"({self.value(type_, depth - 1)} {dice.choice('+-')} {self.value(type_, depth - 1)})"
            case 1:
                return f"{self.value(type_, depth - 1)} {dice.choice('*/')} {dice.choice(_NUMBERS)}"
            case 2:
                return f"-{self.value(type_, depth - 1)}"
            case 3 if type_ is Type.SCORE:
                other = dice.choice(_VALUES)
                return f"({self.value(other, depth - 1)}) / ({self.value(other, depth - 1)})"
            case _:
                return self._literal(type_)

    def _operand(self, depth: int) -> str:
        inner = self.condition(depth)
        return f"({inner})" if self._dice.random() < 0.5 else inner

    def _literal(self, type_: Type) -> str:
        return self._dice.choice(_LEVELS.get(type_, _NUMBERS))

    def _call(self, type_: Type, depth: int) -> str:
        signature = self._dice.choice([s for s in FUNCTIONS.values() if s.result in {type_, None} or depth > 8])
        if depth <= 0 and signature.result is None:
            signature = self._dice.choice([s for s in FUNCTIONS.values() if s.result is type_])
        args = [self._argument(parameter, signature, type_, depth) for parameter in signature.parameters]
        return f"{signature.name}({', '.join(args)})"

    def _argument(self, parameter: Parameter, signature: Signature, type_: Type, depth: int) -> str:
        kind = parameter.kind
        if self._dice.random() < 0.02:
            kind = self._dice.choice(list(Kind))
        if kind in self._of_kind:
            return self._of_kind[kind](depth)
        wanted = type_ if signature.result is None and type_ in _VALUES else self._dice.choice(_VALUES)
        return self._literal(wanted) if kind is Kind.LEVEL else self.value(wanted, depth)


def expression(dice: random.Random) -> str:
    """An expression, every other one damaged."""
    text = Grower(dice).any(dice.choice((1, 2, 2, 3, 3, 4)))
    return damaged(text, dice) if dice.random() < 0.5 else text


def rule_file(dice: random.Random) -> str:
    """A rule file: a known one or a grown one, mostly damaged."""
    kind = dice.random()
    if kind < 0.35:
        text = dice.choice(GOLDEN)
    elif kind < 0.45:
        text = dice.choice(LIBRARY)
    else:
        text = HEADER + "".join(_rule(number, dice) for number in range(dice.randint(1, 4)))
    return damaged(text, dice) if dice.random() < 0.85 else text


def _rule(number: int, dice: random.Random) -> str:
    grower = Grower(dice)
    when, until, value = grower.condition(2), grower.condition(1), grower.any(2)
    keys = {
        "each": dice.choice(_UNIVERSES),
        "when": quoted(when, dice),
        "until": quoted(until, dice),
        "value": quoted(value, dice),
    }
    return f"      - alert: a{number}\n" + "".join(f"        {key}: {text}\n" for key, text in keys.items())


def quoted(text: str, dice: random.Random) -> str:
    """A scalar of YAML, in one of its styles."""
    match dice.randrange(4):
        case 0:
            return f'"{text}"'
        case 1:
            return "'" + text.replace("'", "''") + "'"
        case 2:
            return ">-\n          " + text.replace(" and ", "\n          and ")
        case _:
            return text


def damaged(text: str, dice: random.Random) -> str:
    """A text with some of it put in, taken out, doubled, exchanged or moved."""
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        at, to = sorted((dice.randint(0, len(text)), dice.randint(0, len(text))))
        match dice.randrange(8):
            case 0:
                text = text[:at] + text[min(to, at + 12) :]
            case 1:
                text = text[:at] + dice.choice(_PIECES) + text[at:]
            case 2:
                text = text[:at] + dice.choice(_PIECES) + text[at + 1 :]
            case 3:
                part = text[at : min(to, at + 40)]
                text = text[:at] + part * dice.choice((2, 2, 3, 50)) + text[at:]
            case 4:
                text = text[:at] + chr(dice.choice((dice.randrange(0x80), dice.randrange(0x3000), 0xFFFE))) + text[at:]
            case 5:
                text = text[:at]
            case 6:
                lines = text.split("\n")
                a, b = dice.randrange(len(lines)), dice.randrange(len(lines))
                lines[a], lines[b] = lines[b], lines[a]
                text = "\n".join(lines)
            case _:
                lines = text.split("\n")
                a = dice.randrange(len(lines))
                lines[a] = " " * dice.randrange(9) + lines[a].lstrip()
                text = "\n".join(lines)
    return text
