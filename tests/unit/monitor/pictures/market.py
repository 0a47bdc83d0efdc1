"""A market of sectors and small caps in which rules fire on a known morning, on a real pipeline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from connectors.batch import TRADES, Batch
from monitor.alerting.alert import of_transition
from monitor.notify.compose import message
from monitor.notify.message import AlertNotice, Notification
from monitor.pictures.past import instance
from monitor.pictures.subject import MINUTES_SHOWN, Subject, subject
from monitor.pipeline import Pipeline
from tests.integration.web.desk import CALENDAR, MINUTE, SECOND, Desk, ny

SECTORS = ["XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY"]
NAMES = ["IWM", "AAPL", "MSFT", "NVDA", "SPY", *SECTORS]
OPEN = ny("2026-01-23 09:30")

RULES = """\
version: 1
universes:
  sectors: [XLB, XLC, XLE, XLF, XLI, XLK, XLP, XLRE, XLU, XLV, XLY]
baskets:
  mag3: [AAPL, MSFT, NVDA]
groups:
  - name: pictures
    rules:
      - alert: lead
        when: ret(IWM, 14d) - ret(mag3, 14d) > 400bp
        until: ret(IWM, 14d) - ret(mag3, 14d) < 300bp
        for: 10m
        annotations: {summary: "Small caps lead by {{ value | bp }} over 14 sessions"}
      - alert: fall
        each: sectors
        when: ret(it, 1d) - ret(SPY, 1d) < -150bp
        severity: critical
      - alert: fast
        when: ret(IWM, 30m) > 60bp
      - alert: quad
        each: sectors
        when: quadrant(it, SPY, 10d) == lagging
        for: 30m
"""


class Market(Desk):
    """A desk that keeps what was told."""

    def __init__(self, folder: Path, rules: str = RULES) -> None:
        (folder / "rules.yaml").write_text(rules)
        chance = np.random.default_rng(3)
        steps = chance.normal(0.0003, 0.005, (120, len(NAMES)))
        self.closes = 100 * np.exp(np.cumsum(steps, axis=0))
        end = CALENDAR.ordinal_on_or_before(dt.date(2026, 1, 22))
        super().__init__(
            folder / "rules.yaml",
            pl.DataFrame(
                [
                    (CALENDAR.date(end - 119 + i), name, float(self.closes[i, j]))
                    for i in range(120)
                    for j, name in enumerate(NAMES)
                ],
                schema={"ts": pl.Date, "symbol": pl.String, "close": pl.Float64},
                orient="row",
            ),
        )
        state = self.pipeline.state
        state._keep_minutes = MINUTES_SHOWN + 2  # what the daemon's state is made with where pictures are wanted
        self.told: list[AlertNotice] = []
        self.minute = 0
        self._price = self.closes[-1].copy()

    async def morning(self, until: Callable[[AlertNotice], bool] = lambda _: False, minutes: int = 120) -> None:
        """Minute by minute small caps rise and XLK falls, up to the first news that `until` is true of."""
        for _ in range(minutes):
            moves = np.zeros(len(NAMES))
            moves[NAMES.index("IWM")] = 0.0008 if self.minute > 20 else 0.0
            moves[NAMES.index("XLK")] = -0.0004
            self._price = self._price * np.exp(moves)
            at = OPEN + self.minute * MINUTE + SECOND
            rows = [(at, name, float(price), 100.0, None) for name, price in zip(NAMES, self._price, strict=True)]
            batch = Batch("sim", at, trades=pl.DataFrame(rows, schema=TRADES, orient="row"))
            self.minute += 1
            fresh = []
            for result in await self.compute.run(Pipeline.process, [batch], at):
                for transition, notice in zip(result.transitions, result.notices, strict=True):
                    if notice is not None:
                        fresh.append(of_transition(transition, notice, transition.at).notice(notice.kind, 1))
            self.told += fresh
            if any(map(until, fresh)):
                return

    def about(self, alert: str, member: str = "") -> Subject:
        """What the picture of an instance shows."""
        found = instance(self.pipeline, alert, member)
        assert found is not None
        return subject(*found, CALENDAR.session_ns)

    def message(self, alert: str, member: str = "") -> Notification:
        """The newest news of an alert, to `desk`."""
        told = next(n for n in reversed(self.told) if (n.alert, n.member) == (alert, member))
        return message("desk", [told])
