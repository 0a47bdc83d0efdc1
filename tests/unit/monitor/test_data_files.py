from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import polars as pl
import pytest

from connectors.batch import BARS, QUOTES, TIME, TRADES
from monitor.calendar import TradingCalendar
from monitor.data_files import DataFileError, Kind, read
from monitor.data_playback import batches
from monitor.ingest import Cause, TruthFilter
from monitor.ingest.clean_batch import nanoseconds

MINUTE = 60_000_000_000
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def calendar() -> TradingCalendar:
    return TradingCalendar("XNYS")


def ns(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * SECOND


@pytest.fixture
def csv(tmp_path: Path):
    numbers = itertools.count()

    def write(text: str) -> Path:
        path = tmp_path / f"data{next(numbers)}.csv"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def parquet(tmp_path: Path):
    def write(**columns) -> Path:
        path = tmp_path / "data.parquet"
        pl.DataFrame(columns).write_parquet(path)
        return path

    return write


def refusal(path: Path, **options) -> str:
    with pytest.raises(DataFileError) as caught:
        read(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


# --- what a file is -----------------------------------------------------------------------------------------------


def test_session_closes(csv):
    file = read(csv("ts,symbol,close\n2026-01-02,IWM,250.5\n2026-01-02,SPY,690\n2026-01-05,IWM,251\n"))
    assert (file.kind, file.sessions, file.bar_ns, file.notes) == (Kind.BARS, True, None, ())
    assert file.frame.row(0) == (dt.date(2026, 1, 2), "IWM", 250.5, 250.5, 250.5, 250.5, None)
    assert file.frame.columns == ["ts", "symbol", "open", "high", "low", "close", "volume"]


def test_bars_of_a_length(csv):
    rows = (
        "2026-01-02T14:30:00Z,IWM,1,4,1,3,100\n2026-01-02T14:40:00Z,IWM,1,4,1,3,\n2026-01-02T14:45:00Z,IWM,1,4,1,3,0\n"
    )
    path = csv("ts,symbol,open,high,low,close,volume\n" + rows)
    file = read(path)
    assert file.frame.schema == BARS
    assert file.bar_ns == 5 * MINUTE
    assert file.frame["ts"].to_physical()[0] == ns("2026-01-02T14:30")
    assert file.frame["end"].to_physical()[0] == ns("2026-01-02T14:35")
    assert file.frame["volume"].to_list() == [100, None, 0]
    ended = read(path, label="end")
    assert (ended.frame["ts"].to_physical()[0], ended.frame["end"].to_physical()[0]) == (
        ns("2026-01-02T14:25"),
        ns("2026-01-02T14:30"),
    )
    assert read(path, bar_ns=MINUTE).frame["end"].to_physical()[0] == ns("2026-01-02T14:31")


def test_the_smallest_step_is_that_of_one_instrument(csv):
    rows = "2026-01-02T14:30:00Z,A,1\n2026-01-02T14:31:00Z,B,1\n2026-01-02T14:35:00Z,A,1\n2026-01-02T14:36:00Z,B,1\n"
    assert read(csv("ts,symbol,close\n" + rows)).bar_ns == 5 * MINUTE


def test_bars_of_which_the_length_cannot_be_known(csv):
    path = csv("ts,symbol,close\n2026-01-02T14:30:00Z,A,1\n2026-01-02T14:31:00Z,B,1\n")
    assert "say it with --bar" in refusal(path)
    assert read(path, bar_ns=MINUTE).bar_ns == MINUTE


def test_columns_that_bars_lack_follow_from_the_others(csv):
    file = read(csv("ts,symbol,open,close\n2026-01-02,A,1,2\n2026-01-02,B,5,3\n"))
    assert file.frame.select("open", "high", "low", "close").rows() == [(1, 2, 1, 2), (5, 5, 3, 3)]


def test_quotes(csv):
    file = read(
        csv("ts,symbol,bid,ask\n2026-01-02T14:30:00.123456789Z,IWM,2,1\n2026-01-02T14:30:00.123456789Z,IWM,0,1\n")
    )
    assert file.kind is Kind.QUOTES
    assert file.frame.schema == QUOTES
    assert file.frame["ts"].to_physical()[0] == ns("2026-01-02T14:30") + 123456789
    assert file.frame["bid_size"].is_null().all()


def test_trades(csv):
    file = read(csv("ts,symbol,price,size\n2026-01-02 14:30,IWM,250,\n2026-01-02 14:30,IWM,250,5\n"))
    assert file.kind is Kind.TRADES
    assert file.frame.schema == TRADES
    assert file.frame["size"].to_list() == [None, 5]


def test_series(csv):
    file = read(csv("ts,series,value\n2026-01-02,DGS10,-4.18\n2026-01-05,DGS10,4.16\n"))
    assert (file.kind, file.sessions) == (Kind.SERIES, True)
    assert file.frame.rows() == [(dt.date(2026, 1, 2), "DGS10", -4.18), (dt.date(2026, 1, 5), "DGS10", 4.16)]
    timed = read(csv("ts,series,value\n2026-01-02T08:30:00-05:00,DGS10,4.18\n"))
    assert not timed.sessions
    assert timed.frame["ts"].to_physical().to_list() == [ns("2026-01-02T13:30")]


def test_columns_that_are_not_read_are_named(csv):
    path = csv("ts,symbol,close,adjclose,source\n2026-01-02,IWM,250,250,x\n")
    assert read(path).notes == (f"{path.name}: not read: adjclose, source",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T14:30:00Z", "2026-01-02T14:30:00"),
        ("2026-01-02 14:30:00", "2026-01-02T14:30:00"),
        ("2026-01-02T14:30", "2026-01-02T14:30:00"),
        ("2026-01-02T09:30:00-05:00", "2026-01-02T14:30:00"),
        ("2026-01-02 09:30-0500", "2026-01-02T14:30:00"),
        ("2026-01-02T09:30:00-05", "2026-01-02T14:30:00"),
        (" 2026-01-02T14:30:00.000z ", "2026-01-02T14:30:00"),
        ("2026-01-02T14:30:00.5", None),
    ],
)
def test_forms_of_a_time(csv, text, expected):
    path = csv(f"ts,symbol,price,size\n{text},IWM,250,1\n")
    assert read(path).frame["ts"].to_physical()[0] == (
        ns(expected) if expected else ns("2026-01-02T14:30") + SECOND // 2
    )


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_parquet(parquet, unit, zone):
    local = dt.datetime(2026, 1, 2, 9, 30)  # noqa: DTZ001  # the zone, or its absence, is what is tested
    stamps = pl.Series([local], dtype=pl.Datetime(unit)).dt.replace_time_zone(zone)
    file = read(parquet(ts=stamps, symbol=["IWM"], price=[1.0], size=[1]))
    assert file.frame.schema == TRADES
    expected = "2026-01-02T14:30" if zone == "America/New_York" else "2026-01-02T09:30"
    assert file.frame["ts"].to_physical()[0] == ns(expected)


def test_midnights_without_a_zone_are_dates(parquet, csv):
    days = pl.Series([dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 5)], dtype=pl.Datetime("ns"))  # noqa: DTZ001
    path = parquet(ts=days, symbol=["IWM", "IWM"], close=[1.0, 2.0])
    file = read(path)
    assert file.sessions
    assert file.frame["ts"].to_list() == [dt.date(2026, 1, 2), dt.date(2026, 1, 5)]
    assert "taken as dates" in file.notes[0]
    assert read(csv("ts,symbol,close\n2026-01-02 00:00:00,IWM,1\n")).sessions
    assert not read(csv("ts,symbol,close\n2026-01-02T00:00:00Z,IWM,1\n"), bar_ns=MINUTE).sessions


def test_single_precision_and_whole_numbers(parquet):
    path = parquet(
        ts=[dt.date(2026, 1, 2)] * 2,
        symbol=pl.Series(["A", "B"], dtype=pl.Categorical),
        close=pl.Series([0.5, 2.25], dtype=pl.Float32),
        volume=pl.Series([1, None], dtype=pl.Int32),
    )
    frame = read(path).frame
    assert frame.schema["close"] == pl.Float64
    assert frame.select("symbol", "close", "volume").rows() == [("A", 0.5, 1), ("B", 2.25, None)]


def test_symbols_that_look_like_something_else(csv):
    file = read(csv("ts,symbol,close\n2026-01-02,NA,1\n2026-01-02,TRUE,1\n2026-01-02,123,1\n2026-01-02,BRK.B,1\n"))
    assert file.frame["symbol"].to_list() == ["NA", "TRUE", "123", "BRK.B"]


# --- what cannot be read ------------------------------------------------------------------------------------------

GOOD = "2026-01-02,IWM,250\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GOOD + "2026-01-05,IWM,\n", "row 2: close is missing"),
        (GOOD + "2026-01-05,IWM,NaN\n", "row 2: close 'NaN' is no number"),
        (GOOD + "2026-01-05,IWM,inf\n", "row 2: close 'inf' is no number"),
        (GOOD + '2026-01-05,IWM,"1,250"\n', "row 2: close '1,250' is no number"),
        (GOOD + "2026-01-05,IWM,-1\n", "row 2: close '-1' is not above 0"),
        (GOOD + "2026-01-05,IWM,0\n", "row 2: close '0' is not above 0"),
        (GOOD + "2026-13-05,IWM,1\n", "row 2: ts '2026-13-05' is no date or time"),
        (GOOD + "2026-01-05T10:00:00Z,IWM,1\n", "row 2: ts '2026-01-05T10:00:00Z' is no date or time"),
        (GOOD + ",IWM,1\n", "row 2: ts is missing"),
        (GOOD + "2026-01-05,,1\n", "row 2: symbol is missing"),
        (GOOD + GOOD, "row 2: ts '2026-01-02' stands in an earlier row with the same symbol"),
        (GOOD + "2026-01-05,IWM,x\n2026-01-06,,1\n,A,1\n", "row 2: close 'x' is no number (and 2 more rows)"),
        ("yesterday,IWM,1\n" + GOOD, "row 1: ts 'yesterday' is no date or time"),
    ],
)
def test_a_bad_row_is_named(csv, rows, message):
    text = refusal(csv("ts,symbol,close\n" + rows))
    assert text.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ts,symbol,bid,ask\n2026-01-02T10:00,A,-1,2\n", "row 1: bid '-1' is negative"),
        ("ts,symbol,bid,ask,bid_size\n2026-01-02T10:00,A,1,2,-3\n", "row 1: bid_size '-3' is negative"),
        ("ts,symbol,bid,ask,bid_size\n2026-01-02T10:00,A,1,2,many\n", "row 1: bid_size 'many' is no number"),
        ("ts,symbol,price,size\n2026-01-02T10:00,A,,2\n", "row 1: price is missing"),
        ("ts,symbol,bid,ask\n2026-01-02,A,1,2\n", "ts is a date: quotes need a time"),
        ("ts,series,value\n2026-01-02,A,.\n", "row 1: value '.' is no number"),
        ("ts,series,value\n2026-01-02,A,1\n2026-01-02,A,1\n", "row 2: ts '2026-01-02' stands in an earlier row"),
        ("ts,symbol,close,volume\n2026-01-02,A,1,-5\n", "row 1: volume '-5' is negative"),
        ("ts,symbol\n2026-01-02,A\n", "columns ts, symbol are none of: ts, series, value (series);"),
        ("ts,symbol,close\n", "no rows"),
        ("", "no rows"),
        ("ts,symbol,close\n2026-01-02,A,1,2,3\n", "not readable as CSV: "),
    ],
)
def test_other_things_that_cannot_be_read(csv, text, message):
    assert refusal(csv(text)).startswith(message)


def test_a_file_that_is_not_there_and_one_that_is_not_parquet(tmp_path):
    for name in ("absent.csv", "absent.parquet"):
        assert refusal(tmp_path / name) == "No such file or directory"
    path = tmp_path / "text.parquet"
    path.write_text("ts,symbol,close\n")
    assert refusal(path).startswith("not readable as Parquet: ")
    assert refusal(tmp_path)


def test_times_that_are_numbers(parquet):
    assert refusal(parquet(ts=[1], symbol=["A"], close=[1.0])).startswith("ts is Int64: a date, a time")


def test_bad_rows_of_parquet_are_shown_as_they_are(parquet):
    path = parquet(ts=[dt.date(2026, 1, 2)] * 2, symbol=["A", "B"], close=[1.0, float("nan")])
    assert refusal(path) == "row 2: close nan is no number"


# --- in order of time ---------------------------------------------------------------------------------------------


def test_a_session_is_known_at_its_close(csv, calendar):
    file = read(csv("ts,symbol,close\n2025-12-24,IWM,1\n2025-12-26,IWM,2\n2025-12-24,SPY,3\n"))
    (first, one), (second, two) = batches([file], calendar)
    assert first == ns("2025-12-24T18:00"), "a half day"
    assert second == ns("2025-12-26T21:00")
    assert one.bars.schema == BARS
    assert one.bars["symbol"].to_list() == ["IWM", "SPY"]
    assert one.bars["ts"].to_physical().to_list() == [ns("2025-12-24T14:30")] * 2
    assert two.bars["end"].to_physical().to_list() == [second]
    assert one.received_at == first


def test_a_date_that_is_no_session_is_named(csv, calendar):
    path = csv("ts,symbol,close\n2025-12-24,IWM,1\n2025-12-24,SPY,1\n2025-12-25,SPY,1\n")
    with pytest.raises(DataFileError, match=r"row 3: ts 2025-12-25 is no session of XNYS"):
        batches([read(path)], calendar)
    with pytest.raises(DataFileError, match=r"row 1: ts 1901-01-02 is no session of XNYS"):
        batches([read(csv("ts,symbol,close\n1901-01-02,IWM,1\n"))], calendar)


def test_files_are_merged_in_order_of_time(csv, calendar):
    minutes = read(csv("ts,symbol,close\n2026-01-02T14:31Z,A,1\n2026-01-02T14:30Z,A,2\n2026-01-02T14:30Z,B,3\n"))
    rows = "14:31:00.2,A,1,1\n2026-01-02T14:30:59.9,A,2,2\n2026-01-02T14:31:00,A,3,3\n2026-01-02T14:31:00.9,A,4,4\n"
    ticks = read(csv("ts,symbol,bid,ask\n2026-01-02T" + rows))
    prints = read(csv("ts,symbol,price,size\n2026-01-02T14:31:00.5,A,7,1\n2026-01-02T14:33:00,A,8,1\n"))
    got = [
        (
            time - ns("2026-01-02T14:30"),
            b.bars["close"].to_list(),
            b.quotes["bid"].to_list(),
            b.trades["price"].to_list(),
        )
        for time, b in batches([prints, minutes, ticks], calendar)
    ]
    assert got == [
        (60 * SECOND, [2, 3], [2, 3], []),
        (60 * SECOND + 900_000_000, [], [1, 4], [7]),
        (120 * SECOND, [1], [], []),
        (180 * SECOND, [], [], [8]),
    ]


def test_only_event_times_that_are_asked_for(csv, calendar):
    file = read(csv("ts,symbol,close\n2026-01-02,A,1\n2026-01-05,A,2\n2026-01-06,A,3\n2026-01-07,A,4\n"))
    times = [ns(f"2026-01-0{day}T21:00") for day in (2, 5, 6, 7)]
    assert [t for t, _ in batches([file], calendar)] == times
    assert [t for t, _ in batches([file], calendar, times[1], times[2])] == times[1:3]
    assert [t for t, _ in batches([file], calendar, times[1] + 1)] == times[2:]
    assert not list(batches([file], calendar, times[3] + 1))


def test_series_are_played_when_they_became_known(csv, calendar):
    [(time, batch)] = batches([read(csv("ts,series,value\n2026-01-02,DGS10,4\n"))], calendar)
    assert time == ns("2026-01-02 21:00")
    assert batch.series.select("series", "value").rows() == [("DGS10", 4.0)]
    assert nanoseconds(batch.series["ts"]).tolist() == [time]
    assert not list(batches([], calendar))


# --- real files ---------------------------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "kind", "sessions", "bar_ns", "rows"),
    [
        ("bars_5min", Kind.BARS, False, 5 * MINUTE, 111_489),
        ("daily_close", Kind.BARS, True, None, 454_727),
        ("daily_close_all_us", Kind.BARS, True, None, 650_157),
        ("daily_ohlcv_raw", Kind.BARS, True, None, 11_610),
        ("daily_ohlcv_iex_noisy", Kind.BARS, True, None, 54_334),
        ("quotes_crypto", Kind.QUOTES, False, None, 3_548),
        ("macro", Kind.SERIES, True, None, 380_346),
    ],
)
def test_recorded_files_are_read_whole(shared_data, name, kind, sessions, bar_ns, rows):
    file = read(shared_data / f"{name}.parquet")
    assert (file.kind, file.sessions, file.bar_ns, file.frame.height) == (kind, sessions, bar_ns, rows)


@pytest.mark.realdata
def test_recorded_bars_are_played_whole(shared_data, calendar):
    files = [read(shared_data / f"{name}.parquet") for name in ("bars_5min", "quotes_crypto")]
    truth, rows, passed, before = TruthFilter(), 0, 0, 0
    for time, batch in batches(files, calendar):
        assert time > before
        before = time
        rows += batch.rows
        passed += truth.clean(batch).rows
        assert all(batch.bars["end"].to_physical() == time)
    assert rows == passed == sum(file.frame.height for file in files)


@pytest.mark.realdata
def test_recorded_ticks_are_played_whole_a_day(shared_data, calendar):
    file = read(shared_data / "ticks_fx.parquet")
    assert file.frame.height == 5_097_583
    start, end = ns("2014-05-06T13:00"), ns("2014-05-06T13:10")
    truth, passed = TruthFilter(), 0
    for time, batch in batches([file], calendar, start, end):
        assert time - SECOND < batch.quotes["ts"].to_physical()[0] <= batch.quotes["ts"].to_physical()[-1] == time
        passed += truth.clean(batch).rows
    part = file.frame.filter(pl.col("ts").cast(TIME).to_physical().is_between(start, end))
    assert part.height > 1000
    crossed = part.filter(pl.col("bid") > pl.col("ask")).height
    assert truth.rejects.total(Cause.CROSSED) == crossed > 0
    assert passed + sum(truth.rejects.counts.values()) == part.height


@pytest.mark.parametrize("year", ["2500", "1600", "9999"])
def test_a_year_that_nanoseconds_cannot_count_is_refused_and_not_another_one(csv, year):
    path = csv(f"ts,symbol,close\n2026-01-05T15:00Z,A,1\n{year}-01-05T15:05Z,A,2\n")
    with pytest.raises(DataFileError, match=r"row 2: ts .* is no date or time"):
        read(path, bar_ns=MINUTE)


def test_such_a_year_in_parquet_is_refused_too(tmp_path):
    path = tmp_path / "far.parquet"
    times = ["2026-01-05T15:00", "2500-01-05T15:00"]
    frame = pl.DataFrame({"ts": times, "symbol": "A", "close": [1.0, 2.0]})
    frame.with_columns(pl.col("ts").str.to_datetime(time_unit="us")).write_parquet(path)
    with pytest.raises(DataFileError, match=r"row 2: ts .* is no date or time"):
        read(path, bar_ns=MINUTE)
