"""Where labels go: rectangles that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle, pixels, y growing downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Place) -> bool:
        """Whether the two share more than an edge."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def shared(self, other: Place) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0

    def within(self, outer: Place) -> bool:
        """Whether it lies in another."""
        return (
            self.left >= outer.left
            and self.right <= outer.right
            and self.top >= outer.top
            and self.bottom <= outer.bottom
        )


def freest(spots: Iterable[Place], taken: Sequence[Place], outer: Place) -> Place | None:
    """The first of `spots` that is within `outer` and overlaps nothing; None where there is no such."""
    return next((s for s in spots if s.within(outer) and not any(s.overlaps(t) for t in taken)), None)


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights as near as may be to those wanted, at least `gap` apart, between `low` and `high` where they fit."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed: list[float] = []
    for i in order:
        placed.append(max(wanted[i], placed[-1] + gap) if placed else max(wanted[i], low))
    limit = high
    for k in range(len(placed) - 1, -1, -1):
        placed[k] = min(placed[k], limit)
        limit = placed[k] - gap
    result = [0.0] * len(wanted)
    for i, height in zip(order, placed, strict=True):
        result[i] = height
    return result
