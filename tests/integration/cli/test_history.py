"""``rotation history``: backfill from a vendor on loopback, what is missing, and two vendors beside each other."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from tests.servers.alpaca_bars import KEY, SECRET, alpaca_bars
from tests.servers.corporate_actions import corporate_actions

DAYS = ("2026-01-20", "2026-01-21", "2026-01-22", "2026-01-23")
BACKFILL = ("history", "backfill", "--from", "2026-01-20", "--to", "2026-01-23", "--symbol", "IWM", "--symbol", "SPY")


def days(close, *dates):
    """Day bars as the vendor stamps them: midnight in New York."""
    return [{"t": f"{d}T05:00:00Z", "o": close, "h": close, "l": close, "c": close, "v": 10} for d in dates]


@contextlib.contextmanager
def vendor(serving):
    """A vendor in a thread of its own: a command has its own loop."""
    told, stop = threading.Event(), None
    found: dict[str, Any] = {}

    async def serve():
        nonlocal stop
        stop = asyncio.Event()
        async with serving as server:
            found.update(server=server, loop=asyncio.get_running_loop())
            told.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert told.wait(10)
    try:
        yield found["server"]
    finally:
        found["loop"].call_soon_threadsafe(stop.set)
        thread.join(10)


def configure(folder, *bases):
    """A feed of its own for each vendor: `a`, `b`."""
    feeds = dict.fromkeys("ab"[: len(bases)], f"{{type: alpaca, key: {KEY}, secret: {SECRET}}}")
    lines = ["feeds:", *(f"  {name}: {feed}" for name, feed in feeds.items()), "history:"]
    lines += [
        f"  - {{type: alpaca, from: 2026-01-20, feed: {name}, url: '{base}', per_minute: 60000}}"
        for name, base in zip(feeds, bases, strict=True)
    ]
    (folder / "rotation.yaml").write_text("\n".join(lines) + "\n")


def test_bars_that_cannot_be_are_listed_by_cause_with_an_example(rotation, tmp_path):
    wrong = [*days(250, *DAYS[:3]), days(250, DAYS[3])[0] | {"l": 251}]
    with vendor(alpaca_bars({"IWM": wrong, "SPY": days(600, *DAYS)})) as server:
        configure(tmp_path, server.base)
        outcome = rotation(*BACKFILL, "--feed", "a")
        text = "IWM 2026-01-23 05:00:00+00:00: open 250, high 250, low 251, close 250, volume 10"
        assert f"1 bar left out: crossed, such as {text}" in " ".join(outcome.out.split())
        assert outcome.code == 1
        again = rotation(*BACKFILL, "--feed", "a", "--format", "json")
        assert {"refused": "crossed", "bars": 1, "example": text} in again.records


def test_what_is_missing_is_asked_for_once_and_gaps_are_listed(rotation, tmp_path):
    with vendor(alpaca_bars({"IWM": days(250, *DAYS), "SPY": days(600, DAYS[0], *DAYS[2:])})) as server:
        configure(tmp_path, server.base)
        said = rotation(*BACKFILL, "--feed", "a", "--format", "json")
        assert (said.code, said.records) == (1, [{"symbol": "SPY", "from": DAYS[1], "to": DAYS[1], "sessions": 1}])
        asked = len(server.asked)
        again = rotation(*BACKFILL, "--feed", "a")
        assert (again.code, "0 bars stored, 1 instruments asked for, 1 gaps left" in again.out) == (1, True)
        assert len(server.asked) > asked  # for the gap, and nothing else
    shown = rotation("history", "show", "--gaps", "--format", "json")
    assert shown.records == [{"symbol": "SPY", "from": DAYS[1], "to": DAYS[1], "sessions": 1}]
    assert [r["sessions"] for r in rotation("history", "show", "--format", "json").records] == [4, 3]


def test_two_vendors_are_compared_and_nothing_is_stored(rotation, tmp_path):
    one, other = {"IWM": days(250, *DAYS)}, {"IWM": [*days(250, *DAYS[:3]), *days(251, DAYS[3])]}
    with vendor(alpaca_bars(one)) as first, vendor(alpaca_bars(other)) as second:
        configure(tmp_path, first.base, second.base)
        said = rotation(*BACKFILL, "--feed", "a", "--compare", "b", "--format", "json")
        assert said.code == 1
        assert said.records == [
            {"ts": DAYS[3], "symbol": "IWM", "a": 250.0, "b": 251.0, "bp": pytest.approx(1 / 250.5 * 1e4)}
        ]
        assert rotation(*BACKFILL, "--feed", "a", "--compare", "b", "--apart", "50").code == 0
    assert rotation("history", "show", "--format", "json").records == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--feed", "x", "--from", "2026-01-20"), "there is no feed `x`"),
        (("--feed", "a", "--from", "2999-01-01"), "the last session asked for that has closed"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(rotation, tmp_path, words, said):
    configure(tmp_path, "http://127.0.0.1:1")
    outcome = rotation("history", "backfill", "--symbol", "IWM", *words)
    assert outcome.code == 2
    assert said in outcome.err


def test_the_vendors_splits_dividends_and_new_symbols_are_stored_once(rotation, tmp_path):
    closes = {
        "2024-06-05": 1224.4,
        "2024-06-06": 1209.9,
        "2024-06-07": 1208.8,
        "2024-06-10": 121.79,
        "2024-06-11": 120.91,
    }
    rows = [f"{day},NVDA,{close}\n{day},SPY,530" for day, close in closes.items()]
    (tmp_path / "nvda.csv").write_text("\n".join(["ts,symbol,close", *rows]) + "\n")
    asked = rotation("history", "import", tmp_path / "nvda.csv")
    assert "as by a split of 10:1" in asked.out + asked.err
    words = ("history", "actions", "--feed", "a", "--from", "2024-01-01", "--to", "2026-03-01", "--symbol", "NVDA")
    with vendor(corporate_actions()) as server:
        configure(tmp_path, server.base)
        for _ in range(2):
            told = rotation(*words, "--symbol", "META", "--format", "json").records
            assert [(a["ts"], a["symbol"], a["kind"], a["ratio"], a["amount"], a["new"]) for a in told] == [
                ("2024-06-10", "FB", "symbol", "1", "0", "META"),
                ("2024-06-10", "NVDA", "split", "10", "0", ""),
                ("2024-06-11", "NVDA", "dividend", "1", "0.01", ""),
            ]
    again = rotation("history", "import", tmp_path / "nvda.csv")
    assert (again.code, "as by a split" in again.out + again.err) == (0, False), "the vendor has answered"
