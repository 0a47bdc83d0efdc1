import json

import pytest

from connectors.alpaca import AlpacaFeed
from connectors.batch import Batch
from connectors.capture import FRAME, HEADER, OPENED, Capture, captured, records, replay

SECOND = 10**9


def trade(price):
    return json.dumps(
        [{"T": "t", "S": "SPY", "p": price, "s": 1, "t": "2026-01-23T14:30:00Z"}],
    ).encode()


def feed():
    return AlpacaFeed("iex", key="k", secret="s")


class Kept:
    def __init__(self):
        self.batches: list[Batch] = []

    async def __call__(self, batch):
        self.batches.append(batch)

    @property
    def prices(self):
        return [batch.trades["price"].to_list() for batch in self.batches]


def test_records_come_back_as_they_were(tmp_path):
    capture = Capture(tmp_path / "new" / "folder", "iex")
    capture.opened(1)
    capture.received(2, [b"one", b"", b"three"])
    capture.received(3, [])
    (path,) = captured(tmp_path / "new" / "folder", "iex")
    # Before close: what was received is in the kernel's hands.
    assert [(r.received_at, r.kind, r.content) for r in records(path)] == [
        (1, OPENED, b""),
        (2, FRAME, b"one"),
        (2, FRAME, b""),
        (2, FRAME, b"three"),
    ]
    capture.close()


def test_a_torn_last_record_is_left_out(tmp_path):
    capture = Capture(tmp_path, "iex")
    capture.received(1, [b"whole", b"torn off"])
    capture.close()
    (path,) = captured(tmp_path, "iex")
    data = path.read_bytes()
    whole = HEADER.size + len(b"whole")
    for cut in range(whole, len(data)):
        path.write_bytes(data[:cut])
        assert [r.content for r in records(path)] == [b"whole"]


def test_a_restart_starts_a_new_file(tmp_path):
    for at in (5, 6):
        capture = Capture(tmp_path, "iex")
        capture.received(at, [b"x"])
        capture.close()
    assert [[r.received_at for r in records(path)] for path in captured(tmp_path, "iex")] == [[5], [6]]


def test_files_rotate_and_only_the_newest_stay(tmp_path):
    capture = Capture(tmp_path, "iex", max_bytes=100, files=3)
    for number in range(50):
        capture.received(7, [f"{number:030d}".encode()])  # a clock that stands still as well
    capture.close()
    paths = captured(tmp_path, "iex")
    assert len(paths) == 3
    assert all(path.stat().st_size < 200 for path in paths)
    kept = [int(r.content) for path in paths for r in records(path)]
    assert kept == list(range(kept[0], 50))


def test_feeds_of_similar_names_do_not_mix(tmp_path):
    for name in ("iex", "iex-2", "i*x"):
        capture = Capture(tmp_path, name)
        capture.received(1, [name.encode()])
        capture.close()
    for name in ("iex", "iex-2", "i*x"):
        (path,) = captured(tmp_path, name)
        assert [r.content for r in records(path)] == [name.encode()]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Capture(tmp_path / "file", "iex")


async def test_replay_groups_frames_as_they_arrived(tmp_path):
    capture = Capture(tmp_path, "iex", max_bytes=200)
    capture.opened(0)
    capture.received(1 * SECOND, [trade(1), trade(2)])
    capture.received(2 * SECOND, [b"[]"])
    capture.received(3 * SECOND, [trade(3)])
    capture.close()
    for _ in range(2):
        kept = Kept()
        assert await replay(captured(tmp_path, "iex"), feed(), kept) == 4
        assert kept.prices == [[1.0, 2.0], [3.0]]
        assert [b.received_at for b in kept.batches] == [1 * SECOND, 3 * SECOND]


async def test_replay_keeps_the_recordings_pace(tmp_path):
    capture = Capture(tmp_path, "iex")
    for second in (10, 11, 14):
        capture.received(second * SECOND, [trade(second)])
    capture.close()
    slept: list[float] = []

    async def sleep(seconds):
        slept.append(seconds)

    await replay(captured(tmp_path, "iex"), feed(), Kept(), speed=2, sleep=sleep)
    assert slept == [0.5, 1.5]


async def test_replay_signs_in_again_after_a_reconnect(tmp_path):
    capture = Capture(tmp_path, "iex")
    signed_in = b'[{"T":"success","msg":"authenticated"}]'
    capture.opened(1)
    capture.received(2, [signed_in])
    capture.opened(3)
    capture.close()
    iex = feed()
    await replay(captured(tmp_path, "iex"), iex, Kept())
    assert iex.subscribe(["SPY"]) == (), "the last connection had not signed in"
