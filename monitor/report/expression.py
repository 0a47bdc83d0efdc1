"""An expression over history with what it compares: the same evaluation as its value alone, read in more places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from monitor.calendar import TradingCalendar
from monitor.charts.lines import LineChart
from monitor.report.pictures import of_condition, of_expression
from monitor.report.watched import Limit, deciding, written_in
from rules.ast import Type
from rules.evaluator import Evaluator
from rules.plan import Compiler
from rules.ruleset import Formula
from rules.view import View


class Compared:
    """One expression and, where it is a condition, the watched side of its first comparison and its level."""

    def __init__(self, formula: Formula, calendar: TradingCalendar) -> None:
        self._formula, self._calendar = formula, calendar
        compiler = Compiler(calendar.session_ns)
        self._comparison = deciding(formula.expr) if formula.expr.type is Type.CONDITION else None
        parts = [formula.expr, *((self._comparison[0], self._comparison[2]) if self._comparison else ())]
        self._slots = np.array([compiler.slot(part) for part in parts], np.int64)
        plan = compiler.plan()
        self.requirements = plan.requirements
        self._evaluator = Evaluator(plan)
        self._times: list[int] = []
        self._rows: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []

    def values(self, views: Iterable[View]) -> Iterator[tuple[int, float]]:
        """Time (UTC nanoseconds) and value, NaN where unknown; kept for :meth:`chart`."""
        for chunk in self._evaluator.evaluate_many(self._noted(views)):
            for row in chunk.reshape(len(chunk), -1)[self._slots].T:
                self._rows.append(row)
                yield self._times[len(self._rows) - 1], float(row[0])

    def _noted(self, views: Iterable[View]) -> Iterator[View]:
        for view in views:
            self._times.append(view.now)
            yield view

    def chart(self, note: str) -> LineChart:
        """What was read so far, as a picture."""
        text = " ".join(self._formula.text.split())
        times = np.array(self._times[: len(self._rows)], np.int64)
        rows = np.array(self._rows).reshape(len(times), len(self._slots)).T
        if self._comparison is None:
            return of_expression(text, str(self._formula.expr.type), times, rows[0], self._calendar, note=note)
        watched, op, level = self._comparison
        holds, values, levels = rows
        return of_condition(
            text,
            (written_in(self._formula, watched), str(watched.type), values),
            (Limit(op, level, written_in(self._formula, level)), levels),
            holds,
            times,
            self._calendar,
            note=note,
        )
