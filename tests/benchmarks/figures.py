"""What a benchmark hands back: figures with their unit, and those that have a target."""

from __future__ import annotations

import operator
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_HOLDS: Final = {"<": operator.lt, "<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Target:
    """What a figure must reach: `op` is one of ``<``, ``<=``, ``>=``."""

    op: str
    value: float

    def met(self, value: float) -> bool:
        """Whether the figure is good enough."""
        return bool(_HOLDS[self.op](value, self.value))


@dataclass(frozen=True)
class Figure:
    """One number of a benchmark."""

    name: str
    value: float
    unit: str
    target: Target | None = None
    note: str = ""

    @property
    def shown(self) -> str:
        """The value with three significant digits, or in thousands."""
        return f"{self.value:,.0f}" if abs(self.value) >= 100 else f"{self.value:.3g}"


@dataclass
class Report:
    """All figures of one benchmark; `load` is the machine's as it began and as it ended."""

    benchmark: str
    about: str
    figures: list[Figure] = field(default_factory=list)
    seconds: float = 0.0
    load: list[float] = field(default_factory=lambda: [load()])

    def add(self, name: str, value: float, unit: str, target: Target | None = None, note: str = "") -> None:
        """Note a figure."""
        self.figures.append(Figure(name, value, unit, target, note))

    @property
    def missed(self) -> list[Figure]:
        """Figures short of their target."""
        return [f for f in self.figures if f.target and not f.target.met(f.value)]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        figures = [{**asdict(f), "met": f.target.met(f.value) if f.target else None} for f in self.figures]
        return {
            "benchmark": self.benchmark,
            "about": self.about,
            "seconds": round(self.seconds, 1),
            "load": self.load,
            "figures": figures,
        }

    def show(self, console: Console) -> None:
        """Print the table."""
        table = Table(title=f"{self.benchmark}: {self.about}", title_justify="left", title_style="bold")
        for name, justify in (
            ("figure", "left"),
            ("value", "right"),
            ("unit", "left"),
            ("target", "right"),
            ("", "left"),
        ):
            table.add_column(name, justify=justify)
        for figure in self.figures:
            target = figure.target
            wanted = f"{target.op} {target.value:g}" if target else ""
            verdict = "" if target is None else "met" if target.met(figure.value) else "[bold]MISSED[/bold]"
            notes = "; ".join(filter(None, (verdict, figure.note)))
            table.add_row(figure.name, figure.shown, figure.unit, wanted, notes)
        console.print(table)
        console.print(f"load {' to '.join(map(str, self.load))} on {os.cpu_count()} cores, {self.seconds:.0f} s\n")


def load() -> float:
    """Processes that wanted a core in the last minute, our own included."""
    return round(os.getloadavg()[0], 1)


def median(values: Sequence[float]) -> float:
    """The middle of the values: a busy machine disturbs some of them."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
