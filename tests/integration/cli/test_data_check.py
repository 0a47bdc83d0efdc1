"""What is refused of data files and what misfits, as ``doctor`` and ``history import`` tell it."""

from __future__ import annotations

import pytest

HEAD = "ts,symbol,open,high,low,close,volume"
DAYS = ("2024-06-05", "2024-06-06", "2024-06-07", "2024-06-10", "2024-06-11")
NVDA = ((1195, 1224.4), (1240, 1209.98), (1197, 1208.88), (120.37, 121.79), (121.77, 120.91))
SPY = ((530, 534.7), (534, 534.66), (533, 534.01), (533, 535.66), (533, 536.95))


def bars(path, *, divided=1.0):
    """NVDA as traded across its split of 10:1, or `divided`, and SPY."""
    rows = []
    for day, nvda, spy in zip(DAYS, NVDA, SPY, strict=True):
        for symbol, (first, last), by in (("NVDA", nvda, divided if day < "2024-06-10" else 1.0), ("SPY", spy, 1.0)):
            values = first / by, max(first, last) / by, min(first, last) / by, last / by
            rows.append(",".join([day, symbol, *map(str, values), "100"]))
    path.write_text("\n".join([HEAD, *rows]))
    return path


@pytest.fixture
def actions(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text("ts,symbol,kind,ratio\n2024-06-10,NVDA,split,10:1\n")
    return path


def test_rows_are_counted_by_the_cause_they_are_refused_for(rotation, tmp_path):
    path = tmp_path / "ticks.csv"
    good = "2026-01-05T15:00:{:02d}Z,IWM,250.0,250.1"
    bad = ["2026-01-05T15:01:00Z,IWM,250.2,250.1", "2026-01-05T15:01:01Z,IWM,0,250.1", "2026-01-05T15:01:02Z,IWM,5,5.1"]
    path.write_text("\n".join(["ts,symbol,bid,ask", *(good.format(second) for second in range(30)), *bad]))
    said = rotation("doctor", "--data", path, "--format", "json")
    (record,) = said.records
    assert (said.code, record["rows"], record["kept"]) == (1, 33, 30)
    assert record["refused"] == {"crossed": 1, "non-positive": 1, "spike": 1}
    table = rotation("doctor", "--data", path).out
    assert "crossed" in table
    assert "bid 250.2, ask 250.1" in table


def test_missing_and_short_sessions_are_listed(rotation, tmp_path):
    path = tmp_path / "bars.csv"
    minutes = [(day, minute) for day in (5, 7) for minute in range(0, 390, 30)]
    times = [f"2026-01-{day:02d}T{14 + (30 + m) // 60}:{(30 + m) % 60:02d}:00Z" for day, m in minutes]
    path.write_text("\n".join(["ts,symbol,close", *(f"{time},IWM,250" for time in times[:-2])]))
    (record,) = rotation("doctor", "--data", path, "--format", "json").records
    assert record["gaps"] == [{"symbol": "IWM", "from": "2026-01-06", "to": "2026-01-06", "sessions": 1}]
    assert record["short_sessions"] == [
        {"session": "2026-01-07", "instruments": 1, "fewest": 11, "most": 11, "full": 13}
    ]


def test_a_split_that_nobody_named_is_asked_about(rotation, tmp_path, actions):
    path = bars(tmp_path / "raw.csv")
    said = rotation("doctor", "--data", path)
    assert said.code == 1
    assert "add the line `2024-06-10,NVDA,split,10:1`" in said.out
    told = rotation("doctor", "--data", path, "--actions", actions, "--format", "json")
    assert (told.code, told.records[0]["refused"], told.records[0]["suspected_splits"]) == (0, {}, [])


def test_a_split_is_no_crash_in_a_backtest(rotation, tmp_path, actions):
    path = bars(tmp_path / "raw.csv")
    rules = tmp_path / "rules.yaml"
    rules.write_text("groups: [{name: g, rules: [{alert: crash, when: 'ret(NVDA, 1d) < -300bp', for: 0}]}]")
    for more in ((), ("--actions", actions)):
        assert rotation("backtest", "--rules", rules, "--data", path, "--format", "json", *more).records == []
    words = ("eval", "ret(NVDA, 1d)", "--data", path, "--actions", actions, "--format", "json")
    values = [r["value"] for r in rotation(*words).records]
    assert values[1:] == pytest.approx(
        [1209.98 / 1224.4 - 1, 1208.88 / 1209.98 - 1, 1217.9 / 1208.88 - 1, 120.91 / 121.79 - 1]
    )
    asked = rotation("backtest", "--rules", rules, "--data", path)
    assert "2 rows refused: split-suspected" in asked.err
    assert "`2024-06-10,NVDA,split,10:1` to a file for --actions" in asked.err


def test_a_dividend_adjusts_the_past_where_it_is_asked_for(rotation, tmp_path, actions):
    actions.write_text("ts,symbol,kind,ratio,amount\n2024-06-10,NVDA,split,10:1,\n2024-06-11,NVDA,dividend,,0.01\n")
    path = bars(tmp_path / "raw.csv")
    words = ("eval", "ret(NVDA, 1d)", "--data", path, "--actions", actions, "--format", "json", "--at", "2024-06-11")
    paid = rotation(*words, "--dividends", "adjust").records[0]["value"]
    assert paid == pytest.approx(120.91 / (121.79 - 0.01) - 1, abs=1e-9)
    assert rotation(*words).records[0]["value"] == pytest.approx(120.91 / 121.79 - 1, abs=1e-9)


def test_adjusted_prices_are_not_imported_over_prices_as_traded(rotation, tmp_path):
    assert rotation("history", "import", bars(tmp_path / "raw.csv")).code == 0
    # Of prices until before the split the newest are a tenth of what is stored.
    adjusted = bars(tmp_path / "adjusted.csv", divided=10.0)
    adjusted.write_text("\n".join(adjusted.read_text().splitlines()[:7]))
    dry = rotation("history", "import", adjusted, "--dry-run")
    assert (dry.code, "adjusted history does not fit" in dry.err) == (1, True)
    refused = rotation("history", "import", adjusted)
    assert (refused.code, "nothing was stored" in refused.err) == (1, True)
    assert "NVDA: the close of 2024-06-07 is 120.888 in the history and 1208.88 as traded" in refused.err
    assert rotation("history", "import", adjusted, "--replace").code == 0


def test_doctor_says_that_history_is_adjusted_and_that_a_split_has_no_name(rotation, tmp_path):
    assert rotation("history", "import", bars(tmp_path / "raw.csv")).code == 0
    traded = (tmp_path / "raw.csv").read_text()
    (tmp_path / "raw.csv").write_text(traded.replace("SPY,533.0,536.95,533.0,536.95", "SPY,260,270,260,268.475"))
    (tmp_path / "rotation.yaml").write_text("history: [{type: file, data: raw.csv}]\n")
    found = {r["check"]: r for r in rotation("doctor", "--format", "json").records}
    assert (found["history NVDA"]["ok"], found["history NVDA"]["detail"]) == (False, "split-suspected")
    assert "rotation history split NVDA 10:1 --on 2024-06-10" in found["history NVDA"]["advice"]
    assert (found["history SPY"]["ok"], found["history SPY"]["detail"]) == (False, "history-adjusted")
    assert "Import prices as traded" in found["history SPY"]["advice"]
    (tmp_path / "raw.csv").write_text(traded)
    assert rotation("history", "split", "NVDA", "10:1", "--on", "2024-06-10").code == 0
    found = {r["check"]: r for r in rotation("doctor", "--format", "json").records}
    assert found["history"]["ok"]
    assert not [name for name in found if name.startswith("history ")]


REFUSED = [
    ("ticks_fx.parquet", {"crossed": 135_829, "duplicate": 437}, 5_097_583),
    ("daily_ohlcv_iex_noisy.parquet", {}, 54_334),
    ("bars_5min.parquet", {}, 111_489),
]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "refused", "rows"), REFUSED)
def test_real_dirt_is_counted_exactly(rotation, shared_data, name, refused, rows):
    (record,) = rotation("doctor", "--data", shared_data / name, "--format", "json").records
    assert (record["rows"], record["refused"]) == (rows, refused)
    assert record["kept"] == rows - sum(refused.values())


@pytest.mark.realdata
def test_what_is_missing_of_real_data_is_listed(rotation, shared_data):
    noisy, bars = rotation(
        "doctor",
        "--data",
        shared_data / "daily_ohlcv_iex_noisy.parquet",
        shared_data / "bars_5min.parquet",
        "--format",
        "json",
    ).records
    assert sum(gap["sessions"] for gap in noisy["gaps"]) == 745
    assert not bars["gaps"]
    short = {(s["session"], s["instruments"], s["fewest"], s["most"], s["full"]) for s in bars["short_sessions"]}
    assert short == {
        ("2025-12-23", 1, 76, 76, 78),
        ("2025-12-24", 17, 40, 40, 42),
        ("2026-01-06", 14, 76, 77, 78),
        ("2026-01-07", 1, 77, 77, 78),
        ("2026-01-20", 14, 77, 77, 78),
        ("2026-01-21", 43, 77, 77, 78),
        ("2026-01-30", 43, 10, 13, 78),
    }


def test_a_close_that_the_next_session_takes_back_is_named_by_its_row_and_not_stored(rotation, tmp_path):
    path = tmp_path / "closes.csv"
    days = [f"2026-01-{day:02d}" for day in (5, 6, 7, 8, 9, 12, 13, 14)]
    prices = [250.0, 251.0, 249.5, 2505.0, 250.2, 251.4, 250.9, 252.0]
    path.write_text("\n".join(["ts,symbol,close", *(f"{d},IWM,{p}" for d, p in zip(days, prices, strict=True))]))
    said = rotation("doctor", "--data", path, "--format", "json")
    assert said.code == 1
    assert said.records[0]["refused"] == {"spike": 1}
    assert said.records[0]["spikes"] == [
        {"row": 4, "symbol": "IWM", "ts": "2026-01-08", "before": 249.5, "close": 2505.0, "after": 250.2}
    ]
    assert said.records[0]["suspected_splits"] == []
    assert (
        "closes.csv: row 4: IWM: 249.5 to 2505 on 2026-01-08, and back to 250.2"
        in rotation("doctor", "--data", path).out
    )
