"""One value a step: ``240 252x4 240..252x5 _ _x3``.

A literal is one value, ``NxK`` K times N, ``A..BxK`` K values from A to B inclusive, ``_`` nothing at that step,
``_xK`` nothing at K steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from rules.ast import Clock, Quadrant, Type
from rules.ast import Span as _Span
from rules.document import ListNode, Node, ScalarNode
from rules.fields import FieldReader
from rules.literals import CLOCK_UNITS, SCALES, read_literal
from rules.syntax import ExpressionError, Number, Period
from rules.testing.cases import UNKNOWN, ValueExpected
from rules.units import as_ratio

MAX_VALUES: Final = 100_000
"""Values of one instrument in one test."""

EXAMPLE: Final = "240 252x4 240..252x5 _x3"
_NUMBER: Final = r"[-+]?(?:[0-9]{1,15}(?:\.[0-9]{1,15})?|\.[0-9]{1,15})(?:%|bp)?"
_TOKEN: Final = re.compile(
    rf"(?:(?P<missing>_)|(?P<first>{_NUMBER})(?:\.\.(?P<last>{_NUMBER}))?)(?:x(?P<count>[0-9]{{1,9}}))?\Z"
)


def read_values(reader: FieldReader, node: Node, key: str, *, positive: bool) -> tuple[float, ...] | None:
    """The values of a text, or of a list of texts; NaN is missing. `positive`: prices, which are above 0, no unit."""
    scalars = _scalars(reader, node, key)
    if scalars is None:
        return None
    values: list[float] = []
    whole = True
    for scalar in scalars:
        for match in re.finditer(r"[^\s,]+", scalar.text):
            word, found = match[0], _read_word(match[0], positive=positive)
            if isinstance(found, tuple):
                reader.wrong_inside(scalar, match.start(), f"`{key}`: {found[0]}", found[1])
                whole = False
            elif len(values) + found.count > MAX_VALUES:
                reader.wrong_inside(scalar, match.start(), f"`{word}`: more than {MAX_VALUES} values for `{key}`")
                return None
            else:
                values.extend(found.values())
    return tuple(values) if whole else None


class _Run:
    """Values from `first` to `last`."""

    def __init__(self, first: float, last: float, count: int) -> None:
        self.first, self.last, self.count = first, last, count

    def values(self) -> Iterator[float]:
        if self.first == self.last or self.count == 1 or math.isnan(self.first):
            yield from [self.first] * self.count
            return
        step = (self.last - self.first) / (self.count - 1)
        yield from (self.first + step * i for i in range(self.count - 1))
        yield self.last  # exactly, whatever the rounding of the steps


def _read_word(word: str, *, positive: bool) -> _Run | tuple[str, str]:
    """A run, or what is wrong and what to write."""
    match = _TOKEN.match(word)
    if match is None:
        return f"`{word}` is no value", f"write one value a step: {EXAMPLE}"
    count = 1 if match["count"] is None else int(match["count"])
    if count == 0:
        return f"`{word}` is no value: 0 times is never", "leave it out"
    if match["missing"]:
        return _Run(math.nan, math.nan, count)
    first = _read_number(match["first"])
    last = first if match["last"] is None else _read_number(match["last"])
    if match["last"] is not None and match["count"] is None:
        return f"`{word}`: in how many steps?", f"write {word}x5: five values, both ends among them"
    if count == 1 and first != last:
        return f"`{word}`: one step cannot go from one value to another", f"write x2 or more: {word[:-1]}2"
    if positive and (word.endswith("%") or "bp" in word or "%" in word):
        return f"`{word}`: a price has no unit", "write 252"
    if positive and min(first, last) <= 0:
        return f"`{word}`: a price has to be above 0", "a missing one is written _"
    return _Run(first, last, count)


def _read_number(text: str) -> float:
    unit = next((u for u in ("%", "bp") if text.endswith(u)), "")
    return float(Decimal(text.removesuffix(unit)) / SCALES[unit])


def _scalars(reader: FieldReader, node: Node, key: str) -> list[ScalarNode] | None:
    hint = f"write one value a step: {EXAMPLE}"
    given = node.items if isinstance(node, ListNode) and node.items else (node,)
    found = [reader.text(item, key, hint) for item in given]
    return None if None in found else [scalar for scalar in found if scalar is not None]


# --- the value that an expectation names


def read_expected(reader: FieldReader, node: Node, type_: Type | None) -> ValueExpected | None:
    """A value in the unit of a type; None as the type: any unit."""
    scalar = reader.text(node, "value", "such as 500bp, 5%, 2.5 or unknown")
    if scalar is None:
        return None
    text = scalar.text.strip()
    if text == UNKNOWN:
        return ValueExpected(text, math.nan, 0.0)
    if type_ is Type.CONDITION:
        if text.lower() in {"true", "false"}:
            return ValueExpected(text, float(text.lower() == "true"), 0.0)
        reader.wrong(scalar, f"`value` cannot be `{text}`: it is a condition", "write true, false or unknown")
        return None
    if type_ is Type.CATEGORY:
        words = {q.name.lower(): float(q) for q in Quadrant}
        if text in words:
            return ValueExpected(text, words[text], 0.0)
        reader.wrong(scalar, f"`value` cannot be `{text}`", f"write {', '.join(words)} or unknown")
        return None
    return _read_amount(reader, scalar, text, type_)


def _read_amount(reader: FieldReader, scalar: ScalarNode, text: str, type_: Type | None) -> ValueExpected | None:
    sign = -1.0 if text.startswith("-") else 1.0
    digits = text.lstrip("+-").strip()
    try:
        literal = read_literal(digits, _Span(0, len(text)))
    except ExpressionError as error:
        reader.wrong(scalar, error.message, error.hint)
        return None
    number = re.match(r"[0-9.]+", digits)
    half = 0.5 * 10.0 ** -len(number[0].partition(".")[2]) if number else 0.0
    match literal:
        case Number(value=value, type=kind):
            unit = digits[len(number[0]) :] if number else ""
            if (wrong := _unit_fault(value, kind, type_, text)) is not None:
                reader.wrong(scalar, *wrong)
                return None
            scale = float(SCALES[unit]) if kind is Type.RATIO else 10_000.0 if type_ is Type.RATIO else 1.0
            return ValueExpected(text, sign * value, half / scale)
        case Period(window=Clock(ns=ns)) if type_ in {None, Type.DURATION}:
            return ValueExpected(text, sign * ns, 0.5 * CLOCK_UNITS[digits[-1]])
        case _:
            reader.wrong(scalar, f"`value` cannot be `{text}`{_is(type_)}", _write(type_))
            return None


def _unit_fault(value: float, kind: Type, type_: Type | None, text: str) -> tuple[str, str] | None:
    """What is wrong with the unit of a number, and what to write."""
    if type_ is None:
        return None
    if type_ is Type.RATIO and kind is not Type.RATIO and value != 0:
        return f"{text} is a bare number and the value is a ratio: write {as_ratio(value)}", ""
    if type_ is Type.DURATION and value != 0:
        return f"`value` cannot be `{text}`{_is(type_)}", _write(type_)
    if type_ not in {Type.RATIO, Type.DURATION} and kind is Type.RATIO:
        return f"`value` cannot be `{text}`{_is(type_)}", _write(type_)
    return None


def _is(type_: Type | None) -> str:
    return "" if type_ is None else f": it is a {type_}"


def _write(type_: Type | None) -> str:
    match type_:
        case Type.RATIO:
            return "write 500bp or 5%"
        case Type.DURATION:
            return "write clock time: 30s, 5m or 2h"
        case _:
            return "write a number without a unit"
