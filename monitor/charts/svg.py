"""Pieces of SVG text: escaped strings, short numbers, the frame around every picture, and how wide a text is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from monitor.charts.theme import Theme, style

_FORBIDDEN: Final = {
    **{code: "\ufffd" for code in range(0x20) if code not in (0x9, 0xA, 0xD)},
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    0xFFFE: "\ufffd",
    0xFFFF: "\ufffd",
}
"""Characters that XML does not allow, however they are written."""

_NARROW: Final = frozenset("ijlIftr.,:;'|!()[] -")
_WIDE: Final = frozenset("mwMW@%")


@dataclass(frozen=True, slots=True)
class Size:
    """Of a picture, CSS pixels."""

    width: int = 900
    height: int = 420


def text_of(value: str) -> str:
    """Any string as the content or the quoted attribute of an element."""
    return escape(value.translate(_FORBIDDEN), {'"': "&quot;"})


def num(value: float) -> str:
    """A coordinate to a tenth of a pixel, as short as it can be written.

    Examples:
        >>> num(12.04), num(-0.02), num(7.25)
        ('12', '0', '7.2')
    """
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def width_of(text: str, size: float = 12.0) -> float:
    """About how wide a text is in Open Sans of `size` pixels: a little more rather than less."""
    ems = sum(0.33 if c in _NARROW else 0.88 if c in _WIDE else 0.66 if c.isupper() else 0.57 for c in text)
    return ems * size


def shortened(text: str, width: float, size: float = 12.0) -> str:
    """The text, its end replaced by an ellipsis where it is wider than `width` pixels."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def label(x: float, y: float, text: str, classes: str = "", anchor: str = "start") -> str:
    """A line of text; `anchor`: start, middle or end of it is at `x`, its base line at `y`."""
    named = f' class="{classes}"' if classes else ""
    placed = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{num(x)}" y="{num(y)}"{named}{placed}>{text_of(text)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, classes: str) -> str:
    """A straight line."""
    return f'<path class="{classes}" d="M{num(x1)},{num(y1)}L{num(x2)},{num(y2)}"/>'


def box(x: float, y: float, width: float, height: float, classes: str) -> str:
    """A rectangle."""
    return f'<rect class="{classes}" x="{num(x)}" y="{num(y)}" width="{num(width)}" height="{num(height)}"/>'


def document(parts: list[str], size: Size, theme: Theme, title: str, description: str) -> str:
    """A picture: `title` and `description` are what a screen reader says."""
    ground = box(0, 0, size.width, size.height, "rc-fill-ground")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rc" role="img" viewBox="0 0 {size.width} {size.height}"'
        f' width="{size.width}" height="{size.height}">'
        f"<title>{text_of(title)}</title><desc>{text_of(description)}</desc>{style(theme)}{ground}"
        f"{''.join(parts)}</svg>"
    )


def stacked(pictures: Sequence[str], sizes: Sequence[Size], scale: float = 1.0) -> str:
    """Pictures of :func:`document` below each other, as one; `scale`: CSS pixels of it for one of theirs."""
    width, height = max(size.width for size in sizes), sum(size.height for size in sizes)
    parts, y = [], 0
    for picture, size in zip(pictures, sizes, strict=True):
        # A picture stays within its own edges; cutting it off there would cost resvg a layer as large as the whole,
        # and near half of its time.
        parts.append(picture.replace("<svg ", f'<svg y="{y}" overflow="visible" ', 1))
        y += size.height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{num(width * scale)}"'
        f' height="{num(height * scale)}">{"".join(parts)}</svg>'
    )
