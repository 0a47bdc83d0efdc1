"""What a picture costs: the compute thread, which must not notice, and the message that waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from monitor.charts.png import rasterizer
from monitor.charts.theme import Theme
from monitor.pictures.drawing import drawing
from monitor.pictures.painter import Painter
from monitor.pictures.past import past
from tests.benchmarks.figures import Report, Target, median, percentile
from tests.integration.web.desk import CALENDAR
from tests.unit.monitor.pictures.market import Market

ROUNDS = 20
KINDS = {"line": ("lead", ""), "line and rotation map": ("fall", "XLK")}


async def measure() -> Report:
    """Both kinds of picture, the process warm; evaluations of the same rules as the measure of a compute thread."""
    report = Report("pictures", "from an alert to its PNG, drawn one at a time by a warm process")
    with TemporaryDirectory() as name:
        market = Market(Path(name))
        await market.morning(lambda told: told.alert == "lead")
        pipeline = market.pipeline
        views = pipeline.engine.requirements
        step = [_ms(lambda: pipeline.engine.evaluate(pipeline.state.view(views.instruments))) for _ in range(ROUNDS)]
        async with rasterizer() as worker:
            painter = Painter(worker, CALENDAR, deadline=10)
            painter.look_at(market.compute)
            await painter.warm_up()
            for kind, (alert, member) in KINDS.items():
                news = market.message(alert, member)
                about = market.about(alert, member)
                told = news.notices[0]
                looks = [_ms(lambda: past(pipeline, about, told.at, told.value)) for _ in range(ROUNDS)]  # noqa: B023
                seen = past(pipeline, about, told.at, told.value)
                svg = [_ms(lambda: drawing(told, about, seen, CALENDAR, Theme.LIGHT)) for _ in range(ROUNDS)]  # noqa: B023
                whole, size = [], 0
                for n in range(ROUNDS):
                    began = time.perf_counter()
                    picture = await painter.on(Theme.LIGHT).of(replace(news, episode=f"{news.episode}-{n}"))
                    whole.append(1e3 * (time.perf_counter() - began))
                    assert picture is not None
                    size = len(picture.png)
                report.add(f"{kind}: alert to PNG, p50", median(whole), "ms", Target("<", 300))
                report.add(f"{kind}: alert to PNG, p95", percentile(whole, 0.95), "ms")
                report.add(f"{kind}: drawing the SVG", median(svg), "ms")
                report.add(f"{kind}: PNG", size / 1024, "KB", Target("<", 512))
                report.add(
                    f"{kind}: compute thread",
                    median(looks) / median(whole),
                    "of the whole",
                    Target("<", 0.1),
                    f"{median(looks):.1f} ms; an evaluation of the rules takes {median(step):.2f} ms",
                )
            await painter.close()
        market.compute.close()
    return report


def _ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)
