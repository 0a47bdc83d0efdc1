"""Colours and type of every picture.

An SVG names roles only, by CSS classes. In a page the page's style sheet gives them their colours (:func:`page_css`,
CSS variables that a page may set anew); a picture that stands alone brings them with it. The palette is told apart by
people with colour-blindness, and no meaning rests on colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Theme(StrEnum):
    """How a picture gets its colours: its own, for light or dark ground, or those of the page around it."""

    LIGHT = "light"
    DARK = "dark"
    PAGE = "page"


FONT: Final = "Open Sans"
"""The family in the font wheel that PNGs are drawn with."""

LIGHT: Final[Mapping[str, str]] = {
    "ground": "#ffffff",
    "ink": "#1c1f24",
    "quiet": "#5d6670",
    "grid": "#e3e6e9",
    "axis": "#8a929b",
    "line": "#0f5499",
    "second": "#d55e00",
    "third": "#00796b",
    "fourth": "#8e4a9e",
    "limit": "#990f3d",
    "clear": "#b0728a",
    "band": "#f6dfb4",
    "up": "#0f5499",
    "down": "#c8560b",
    "leading": "#00796b",
    "weakening": "#a06a00",
    "lagging": "#b3123f",
    "improving": "#0f5499",
}
DARK: Final[Mapping[str, str]] = {
    "ground": "#10151b",
    "ink": "#e8edf2",
    "quiet": "#9aa7b5",
    "grid": "#252e38",
    "axis": "#66727f",
    "line": "#6fb3ff",
    "second": "#ff9e4a",
    "third": "#4ec9b0",
    "fourth": "#cf9be0",
    "limit": "#ff7a9c",
    "clear": "#b98a9a",
    "band": "#4a3a17",
    "up": "#6fb3ff",
    "down": "#ff9e4a",
    "leading": "#4ec9b0",
    "weakening": "#e0b050",
    "lagging": "#ff7a8c",
    "improving": "#6fb3ff",
}

SERIES: Final = ("line", "second", "third", "fourth")
"""Roles of lines that share a picture, in order."""

_TINT: Final = 0.07

_FILLS: Final = ("ground", "ink", "quiet", "band", *SERIES, "limit", "clear", "up", "down")
_QUADRANTS: Final = ("leading", "weakening", "lagging", "improving")


def page_css(prefix: str = "") -> str:
    """The style sheet for pictures drawn with :attr:`Theme.PAGE`, light or dark as the reader's system is.

    `prefix` is a selector to which the dark colours are kept, such as ``.auto``; a page that is printed always uses
    the light ones.
    """
    scope = prefix or ":root"
    light = "".join(f"--chart-{role}:{colour};" for role, colour in LIGHT.items())
    dark = "".join(f"--chart-{role}:{colour};" for role, colour in DARK.items())
    return f"{scope}{{{light}}}\n@media screen and (prefers-color-scheme: dark){{{scope}{{{dark}}}}}\n" + _rules(
        {role: f"var(--chart-{role})" for role in LIGHT}
    )


def style(theme: Theme) -> str:
    """The ``<style>`` of a picture that stands alone; empty for one in a page."""
    if theme is Theme.PAGE:
        return ""
    return f"<style>{_rules(LIGHT if theme is Theme.LIGHT else DARK)}</style>"


def _rules(colour: Mapping[str, str]) -> str:
    """CSS of all classes; they start with ``rc`` so that no page has them already."""
    lines = [
        f".rc text{{font-family:'{FONT}',system-ui,sans-serif;font-size:12px;fill:{colour['ink']}}}",
        ".rc .rc-title{font-size:17px;font-weight:600}",
        f".rc .rc-small{{font-size:11px;fill:{colour['quiet']}}}",
        f".rc .rc-tick{{fill:{colour['quiet']}}}",
        ".rc .rc-strong{font-weight:600}",
        f".rc .rc-halo{{paint-order:stroke;stroke:{colour['ground']};stroke-width:3.5px;stroke-linejoin:round}}",
        f".rc .rc-grid{{stroke:{colour['grid']};stroke-width:1;fill:none}}",
        f".rc .rc-axis{{stroke:{colour['axis']};stroke-width:1;fill:none}}",
        f".rc .rc-limit{{stroke:{colour['limit']};stroke-width:1.2;fill:none}}",
        f".rc .rc-clear{{stroke:{colour['clear']};stroke-width:1.2;stroke-dasharray:4 3;fill:none}}",
        f".rc .rc-moment{{stroke:{colour['limit']};stroke-width:1;stroke-dasharray:1.5 2.5;fill:none}}",
        f".rc .rc-dot{{stroke:{colour['ground']};stroke-width:1.5}}",
    ]
    lines += [f".rc .rc-fill-{role},.rc text.rc-fill-{role}{{fill:{colour[role]}}}" for role in (*_FILLS, *_QUADRANTS)]
    lines += [
        f".rc .rc-line-{role}{{stroke:{colour[role]};stroke-width:1.8;fill:none;stroke-linejoin:round;"
        "stroke-linecap:round}"
        for role in (*SERIES, *_QUADRANTS)
    ]
    lines.append(".rc .rc-thin{stroke-width:1.1}")
    lines += [f".rc .rc-tint-{role}{{{_tint(colour[role], colour['ground'])}}}" for role in _QUADRANTS]
    return "".join(lines)


def _tint(colour: str, ground: str) -> str:
    """A quadrant's ground: mixed here where the colours are known, since see-through areas take resvg twice as long."""
    if not (colour.startswith("#") and ground.startswith("#")):
        return f"fill:{colour};fill-opacity:{_TINT}"
    mixed = (
        round(_TINT * int(colour[i : i + 2], 16) + (1 - _TINT) * int(ground[i : i + 2], 16)) for i in range(1, 7, 2)
    )
    return f"fill:#{''.join(f'{part:02x}' for part in mixed)}"
