"""What every feed keeps, whatever its vendor. A new feed adds one card in `cards.py`."""

from itertools import pairwise

import polars as pl
import pytest

from connectors.batch import SCHEMAS, Batch, Notice, NoticeKind
from connectors.capture import Capture, captured, replay
from connectors.feed import Frame, Remedy
from tests.contract.connectors.cards import BROKERS, CARDS, SECRET, Card


@pytest.fixture(params=[*CARDS, *BROKERS], name="card")
def _card(request) -> Card:
    return (CARDS | BROKERS)[request.param]


def content(batch: Batch):
    """All that a batch says, comparable."""
    return (
        {name: frame.rows() for name, frame in batch.frames().items()},
        batch.notices,
        dict(batch.rejected),
        dict(batch.unused),
        batch.feed,
    )


def test_the_session_is_read_in_full(card):
    feed = card.make()
    batch = feed.parse(card.session, 123)
    assert batch.rows == card.rows
    assert not batch.rejected
    assert batch.feed == feed.name
    assert batch.received_at == 123


def test_frames_have_the_declared_schemas_and_utc_times(card):
    for frames in (card.session, [], [b"\x00"]):
        batch = card.make().parse(frames, 0)
        for name, frame in batch.frames().items():
            assert frame.schema == SCHEMAS[name]


def test_bad_bytes_never_raise_and_are_counted(card):
    hostile: list[Frame] = [b"", "", b"\x00\xff", "\ud800", "null", "[]]", b"[" * 100_000, b"\x81" * 100_000]
    for frame in card.session:
        data = frame.encode() if isinstance(frame, str) else frame
        hostile += [data[:cut] for cut in range(1, len(data), 7)]
        hostile += [data[:at] + b"\xff" + data[at + 1 :] for at in range(0, len(data), 7)]
    for frame in hostile:
        batch = card.make().parse([frame], 0)
        assert batch.rejected or batch.notices or batch.rows or batch.unused
    whole = card.make().parse([*hostile, *card.session, *hostile], 0)
    assert whole.rows >= card.rows


def test_parsing_together_says_what_parsing_apart_says(card):
    together = card.make().parse(card.session, 9)
    feed = card.make()
    apart = Batch.merge([feed.parse([frame], 9) for frame in card.session])
    assert content(together) == content(apart)


def test_text_and_bytes_are_the_same(card):
    as_bytes = [frame.encode() if isinstance(frame, str) else frame for frame in card.session]
    assert content(card.make().parse(card.session, 0)) == content(card.make().parse(as_bytes, 0))


def test_parsing_keeps_arrival_order_within_an_instrument(card):
    batch = card.make().parse(card.session, 0)
    for frame in batch.frames().values():
        for _, rows in frame.group_by("symbol" if "symbol" in frame.columns else "series"):
            assert all(a <= b for a, b in pairwise(rows["ts"]))


async def test_a_capture_replays_to_the_same_batches(card, tmp_path):
    feed = card.make()
    capture = Capture(tmp_path, "card")
    live = []
    for at, frame in enumerate(card.session):
        data = frame.encode() if isinstance(frame, str) else frame
        capture.received(at, [data])
        live.append(feed.parse([data], at))
    capture.close()
    replayed: list[Batch] = []

    async def keep(batch: Batch) -> None:
        replayed.append(batch)

    assert await replay(captured(tmp_path, "card"), card.make(), keep) == len(card.session)
    assert [(content(b), b.received_at) for b in replayed] == [(content(b), b.received_at) for b in live if b.rows]


def test_a_new_connection_forgets_the_old_one(card):
    feed = card.make()

    def connect():
        sent = [*feed.greeting()]
        for frame in card.session:
            for notice in feed.parse([frame], 0).notices:
                sent += feed.reply(notice)
        return sent

    first = connect()
    assert connect() == first, "sign-in and the full subscription again"
    feed.greeting()
    asked = list(feed.subscribe(card.others[:1]))
    assert not (card.signs_in and asked), "nothing is asked before sign-in"


def test_the_wanted_set_is_sent_as_a_difference(card):
    feed = card.make()
    feed.greeting()
    for frame in card.session:
        for notice in feed.parse([frame], 0).notices:
            feed.reply(notice)
    feed.subscribe(card.others[:1])
    assert list(feed.subscribe(card.others[:1])) == []
    assert len(feed.subscribe(card.others)) == card.requests


def test_an_error_nobody_knows_is_a_dropped_line(card):
    assert card.make().remedy(Notice(NoticeKind.ERROR, "news", 987_654)) is Remedy.RECONNECT


def test_the_secret_is_not_where_logs_look(card):
    feed = card.make()
    assert SECRET not in repr(feed)
    assert SECRET not in str(feed)
    assert SECRET not in repr(feed.address())


def test_numbers_in_frames_are_numbers(card):
    for frame in card.make().parse(card.session, 0).frames().values():
        for column in frame.select(pl.col(pl.Float64)):
            assert column.is_finite().all()
