"""How a micro-batch is written in the journal: an Arrow IPC stream for each kind that has rows.

Any Arrow program can read it. Measured on one core: 5,000 recorded quotes of three symbols take 0.6 ms and 9.5 bytes
each, 5,000 made-up ones of 2,000 symbols 1.1 ms and 14.5 bytes each.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Final

import polars as pl

from connectors.batch import SCHEMAS
from monitor.ingest.clean_batch import CleanBatch

_VERSION: Final = b"1"
_KINDS: Final = ("quotes", "trades", "bars", "statuses", "corrections", "series")
_OWN: Final = frozenset({*_KINDS, "version", "now", "event_time"})
_SMALL: Final = 32
"""Rows below which compression costs twice the time and saves a fifth: most of such a stream is its schema."""


class JournalFormatError(Exception):
    """A journal entry is not one this version can read: it is damaged, or another version wrote it."""


def encode(clean: CleanBatch, now_ns: int, meta: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """The fields of the journal entry of a batch evaluated as of `now_ns`, and `meta`, which is stored as it is.

    Raises ValueError where `meta` uses the name of a field of its own.
    """
    meta = meta or {}
    if taken := _OWN & meta.keys():
        raise ValueError(f"a journal entry has a field {min(taken)} already: name the meta field otherwise")
    fields = {"version": _VERSION, "now": b"%d" % now_ns, "event_time": b"%d" % clean.event_time}
    fields.update({kind: _write(frame) for kind, frame in clean.frames().items() if frame.height})
    fields.update(meta)
    return fields


def decode(fields: Mapping[str, bytes]) -> tuple[CleanBatch, int]:
    """The batch and the time it was evaluated as of, exactly as they were given to :func:`encode`.

    Raises :class:`JournalFormatError`.
    """
    if (version := fields.get("version")) != _VERSION:
        raise JournalFormatError(f"journal entry of version {version!r}: this program reads version {_VERSION!r}")
    try:
        now, event_time = int(fields["now"]), int(fields["event_time"])
    except (KeyError, ValueError) as error:
        raise JournalFormatError(f"journal entry without a readable time: {error}") from error
    frames = {kind: _read(kind, fields[kind]) for kind in _KINDS if kind in fields}
    return CleanBatch(**frames, event_time=event_time), now


def _write(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    # One chunk is one record batch: many small ones would each bring their own overhead.
    frame.rechunk().write_ipc_stream(buffer, compression="zstd" if frame.height >= _SMALL else "uncompressed")
    return buffer.getvalue()


def _read(kind: str, data: bytes) -> pl.DataFrame:
    try:
        frame = pl.read_ipc_stream(BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise JournalFormatError(f"journal entry with unreadable {kind}: {error}") from error
    if frame.schema != SCHEMAS[kind]:
        raise JournalFormatError(f"journal entry with {kind} of other columns: {dict(frame.schema)}")
    return frame
