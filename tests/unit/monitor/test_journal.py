from __future__ import annotations

import io
import math
from pathlib import Path

import polars as pl
import pyarrow.ipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.batch import BARS, CORRECTIONS, QUOTES, SCHEMAS, SERIES, STATUSES, TIME, TRADES
from monitor import journal
from monitor.ingest import CleanBatch
from monitor.journal import JournalFormatError
from tests.unit.monitor.ingest.frames import Row, at, bars, frame, quotes, trades

numbers = st.one_of(st.none(), st.floats())
stamps = st.integers(-(10**5), 10**5)
names = st.text(max_size=20)


@st.composite
def batches(draw: st.DrawFn) -> CleanBatch:
    many = draw(st.sampled_from([1, 1, 40]))
    rows: dict[str, list[Row]] = {
        "quotes": draw(st.lists(st.tuples(stamps, names, numbers, numbers, numbers, numbers), max_size=4)),
        "trades": draw(
            st.lists(st.tuples(stamps, names, numbers, numbers, st.none() | st.integers(0, 2**60)), max_size=4)
        ),
        "bars": draw(st.lists(st.tuples(stamps, stamps, names, *[numbers] * 5), max_size=4)),
        "series": draw(st.lists(st.tuples(stamps, names, numbers), max_size=4)),
    }
    frames = {kind: frame(SCHEMAS[kind], r * many) for kind, r in rows.items()}
    return CleanBatch(**frames, event_time=draw(st.integers(0, 2**62)))


@given(batches(), st.integers(0, 2**62), st.dictionaries(st.sampled_from(["feed", "seq"]), st.binary()))
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(batch, now, meta):
    fields = journal.encode(batch, now, meta)
    read, read_now = journal.decode(fields)
    assert read_now == now
    assert read.event_time == batch.event_time
    for kind, written in batch.frames().items():
        assert read.frames()[kind].equals(written)
        assert read.frames()[kind].schema == SCHEMAS[kind]
        assert (kind in fields) == (written.height > 0)
    assert {k: fields[k] for k in meta} == meta


def test_not_a_number_and_unknown_stay_apart():
    written = CleanBatch(trades=trades((0, "IWM", 1.0, None), (0, "IWM", 1.0, math.nan)), event_time=at(0))
    sizes = journal.decode(journal.encode(written, 0))[0].trades["size"]
    assert sizes.is_null().to_list() == [True, False]


def test_an_empty_batch_is_an_entry():
    assert journal.decode(journal.encode(CleanBatch(), 7)) == (CleanBatch(), 7)


def test_many_chunks_are_written_as_one():
    parts = [quotes((n, "IWM", 1.0, 1.0)) for n in range(100)]
    chunked = CleanBatch(quotes=pl.concat(parts, rechunk=False), event_time=at(99))
    whole = CleanBatch(quotes=chunked.quotes.rechunk(), event_time=at(99))
    assert chunked.quotes.n_chunks() == 100
    assert journal.encode(chunked, 0) == journal.encode(whole, 0)


def test_any_arrow_program_reads_it():
    batch = CleanBatch(quotes=quotes(*[(n, "IWM", 1.0, 2.0) for n in range(50)]), event_time=at(49))
    table = pyarrow.ipc.open_stream(io.BytesIO(journal.encode(batch, 0)["quotes"])).read_all()
    assert table.column_names == list(QUOTES)
    assert table.num_rows == 50
    assert str(table.schema.field("ts").type) == "timestamp[ns, tz=UTC]"


def test_meta_may_not_stand_in_for_data():
    with pytest.raises(ValueError, match="quotes already"):
        journal.encode(CleanBatch(), 0, {"quotes": b""})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": b"2"}, r"version b'2': this program reads version b'1'"),
        ({"now": b"soon"}, "without a readable time"),
        ({"event_time": None}, "without a readable time"),
        ({"bars": b"torn"}, "unreadable bars"),
        ({"bars": b""}, "unreadable bars"),
    ],
)
def test_what_cannot_be_read(change, message):
    fields = journal.encode(CleanBatch(bars=bars((0, 60, "IWM", 1.0)), event_time=at(60)), 0)
    damaged = {k: v for k, v in {**fields, **change}.items() if v is not None}
    with pytest.raises(JournalFormatError, match=message) as caught:
        journal.decode(damaged)
    assert "\n" not in str(caught.value)


def test_a_torn_stream_and_other_columns():
    fields = journal.encode(CleanBatch(quotes=quotes(*[(n, "IWM", 1.0, 1.0) for n in range(50)]), event_time=at(49)), 0)
    with pytest.raises(JournalFormatError, match="quotes"):
        journal.decode(fields | {"quotes": fields["quotes"][:300]})
    with pytest.raises(JournalFormatError, match="trades of other columns"):
        journal.decode(fields | {"trades": fields["quotes"]})


@pytest.mark.realdata
def test_recorded_quotes_take_few_bytes(shared_data: Path):
    ticks = pl.scan_parquet(shared_data / "ticks_fx.parquet").head(200_000).collect()
    sizes = {"bid_size": pl.lit(None, pl.Float64), "ask_size": pl.lit(None, pl.Float64)}
    rows = ticks.select(pl.col("ts").cast(TIME), "symbol", "bid", "ask", **sizes)
    entries = [journal.encode(CleanBatch(quotes=part, event_time=1), 0) for part in rows.iter_slices(5000)]
    assert sum(len(e["quotes"]) for e in entries) / rows.height < 12
    assert pl.concat([journal.decode(e)[0].quotes for e in entries]).equals(rows)


def test_the_schemas_of_all_kinds_are_known():
    assert {k: SCHEMAS[k] for k in journal._KINDS} == {
        "quotes": QUOTES,
        "trades": TRADES,
        "bars": BARS,
        "statuses": STATUSES,
        "corrections": CORRECTIONS,
        "series": SERIES,
    }
