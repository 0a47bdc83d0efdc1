"""``POST /api/v1/ingest``: market data sent in by other programs, once each, answered when the journal has them.

A body with a row that cannot be is refused whole, by the row's number and its column: nobody needs to find out which
rows were taken. A key (the header ``Idempotency-Key`` or ``key`` in the body) makes sending again harmless: what came
under it counts once, and the answer is the first one's. Keys are remembered for a day, the newest 100,000 of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final

import msgspec
import polars as pl
from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct
from starlette.exceptions import HTTPException
from typing_extensions import TypedDict

from connectors.backlog import Backlog
from connectors.batch import SCHEMAS, TIME, Batch, Receipt
from connectors.timestamps import UNREADABLE, rfc3339_column
from monitor import clock
from monitor.positions import Place, Positions
from monitor.web.audit import audit
from monitor.web.scopes import Scope, needs

FEED: Final = "http"
"""The feed that these data are of."""
BODY: Final = 16 * 2**20
ROWS: Final = 100_000
"""Of one request."""
PATIENCE: Final = 10.0
"""Seconds for the journal; then 202, and the key tells later whether it has them."""
KEEP: Final = 24 * 3600 * 10**9
KEYS: Final = 100_000
_PREFIX: Final = "ingest-key/"

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Key = Annotated[str, Meta(min_length=1, max_length=200)]
Price = Annotated[float, Meta(ge=0, le=1e15)]
Size = Annotated[float, Meta(ge=0, le=1e18)] | None
Time = Annotated[int, Meta(ge=0, le=2**63 - 1)] | str
Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None


class _Row(Struct, forbid_unknown_fields=True):
    ts: Time


class _Quote(_Row, forbid_unknown_fields=True):
    symbol: Name
    bid: Price
    ask: Price
    bid_size: Size = None
    ask_size: Size = None


class _Trade(_Row, forbid_unknown_fields=True):
    symbol: Name
    price: Price
    size: Size = None
    id: Id = None


class _Bar(_Row, forbid_unknown_fields=True):
    end: Time
    symbol: Name
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size = None


class _Value(_Row, forbid_unknown_fields=True):
    series: Name
    value: Annotated[float, Meta(ge=-1e300, le=1e300)]


class _Body(Struct, forbid_unknown_fields=True):
    key: Key | None = None
    quotes: list[_Quote] = []
    trades: list[_Trade] = []
    bars: list[_Bar] = []
    series: list[_Value] = []


KINDS: Final = ("quotes", "trades", "bars", "series")
_JSON: Final = msgspec.json.Decoder(_Body)
_PACKED: Final = msgspec.msgpack.Decoder(_Body)
_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<kind>\w*)(?:\[(?P<row>\d+)\])?\.?(?P<column>\w*)`)?")


class Ingested(TypedDict):
    """How many rows were taken, by kind; `repeated` where they had come before under the same key."""

    accepted: dict[str, int]
    repeated: bool
    durable: bool


class Wrong(ValueError):
    """A body that cannot be read; the text names the row, counted from 1, and its column."""


def batch_of(content: bytes, *, packed: bool, received_at: int) -> tuple[Batch, str | None]:
    """The batch of a body, and its key.

    Raises:
        Wrong: The body, or a row of it, cannot be read.
    """
    try:
        body = (_PACKED if packed else _JSON).decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Wrong(_words(str(error), content, packed=packed)) from error
    if sum(len(getattr(body, kind)) for kind in KINDS) > ROWS:
        raise Wrong(f"more than {ROWS:,} rows: send them in several requests")
    frames: dict[str, Any] = {kind: _frame(kind, rows) for kind in KINDS if (rows := getattr(body, kind))}
    return Batch(FEED, received_at, **frames), body.key


def _frame(kind: str, rows: list[Any]) -> pl.DataFrame:
    schema = SCHEMAS[kind]
    columns = []
    for name, dtype in schema.items():
        values = [getattr(row, name) for row in rows]
        columns.append(_times(kind, name, values) if dtype == TIME else pl.Series(name, values, dtype=dtype))
    return pl.DataFrame(columns)


def _times(kind: str, name: str, values: list[int | str]) -> pl.Series:
    """RFC 3339 or nanoseconds since 1970. Raises Wrong."""
    texts = [value for value in values if isinstance(value, str)]
    read = iter(rfc3339_column(texts).tolist() if texts else ())
    stamps = [next(read) if isinstance(value, str) else value for value in values]
    if UNREADABLE in stamps:
        row = stamps.index(UNREADABLE)
        raise Wrong(f"{kind}, row {row + 1}: {name} {str(values[row])[:40]!r} is no RFC 3339 time with a zone")
    return pl.Series(name, stamps, dtype=pl.Int64).cast(TIME)


def _words(text: str, content: bytes, *, packed: bool) -> str:
    """The decoder's words, with the row and column they are about."""
    found = _PLACE.fullmatch(text)
    if not content:
        return "there is no body"
    if found is None or not found["kind"]:
        form = "MessagePack" if packed else "JSON"
        return f"the body is not what it should be ({form}): {text.removesuffix(' - at `$`')}"
    what = found["what"][:1].lower() + found["what"][1:].replace("`", "")
    if found["row"] is None:
        return f"{found['kind']}: {what}"
    column = f" {found['column']}:" if found["column"] else ""
    return f"{found['kind']}, row {int(found['row']) + 1}:{column} {what}"


@dataclass(slots=True)
class _Known:
    """What came under a key: when, a digest of the content, and how many rows; `done` once the journal has them."""

    at: int
    digest: str
    accepted: dict[str, int]
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Keys:
    """The keys of what was sent in, bounded in time and number. For one event loop."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._known: OrderedDict[str, _Known] | None = None

    def find(self, key: str, now: int) -> _Known | None:
        """What came under the key."""
        known = self._open()
        while known and (len(known) > KEYS or next(iter(known.values())).at < now - KEEP):
            oldest, _ = known.popitem(last=False)
            self._positions.forget(_PREFIX + oldest)
        return known.get(key)

    def begin(self, key: str, came: _Known) -> None:
        """It comes under this key now."""
        self._open()[key] = came

    def receipt(self, key: str | None, came: _Known) -> Receipt:
        """What is called once the journal has it; the key gets there in the same step."""
        return came.done.set if key is None else Place(self._positions, *self._record(key, came), then=came.done.set)

    def done(self, key: str | None, came: _Known) -> None:
        """There is nothing of it for the journal."""
        came.done.set()
        if key is not None:
            self._positions.set(*self._record(key, came))

    @staticmethod
    def _record(key: str, came: _Known) -> tuple[str, str]:
        record = {"at": came.at, "digest": came.digest, "accepted": came.accepted}
        return _PREFIX + key, msgspec.json.encode(record).decode()

    def _open(self) -> OrderedDict[str, _Known]:
        """Those that the store remembers, at first use: by then it is open."""
        if self._known is None:
            stored = {k: msgspec.json.decode(text) for k, text in self._positions.below(_PREFIX).items()}
            self._known = OrderedDict()
            for key, record in sorted(stored.items(), key=lambda item: item[1]["at"]):
                self._known[key] = known = _Known(record["at"], record["digest"], record["accepted"])
                known.done.set()
        return self._known


def ingest(backlog: Backlog, positions: Positions) -> APIRouter:
    """The route. `positions` is where keys are remembered."""
    router, keys = APIRouter(), Keys(positions)

    @router.post(
        "/api/v1/ingest",
        response_model=Ingested,
        responses={
            202: {"model": Ingested, "description": "Taken; the journal does not have it yet."},
            409: {"description": "The key came with other data before."},
            413: {"description": "The body is too large."},
            422: {"description": "A row cannot be; nothing was taken."},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": _SCHEMA},
                    "application/msgpack": {"schema": {"type": "string", "format": "binary"}},
                },
            }
        },
    )
    @needs(Scope.OPERATE, body=BODY)
    async def send(request: Request) -> Response:
        """Quotes, trades, bars and external series, as JSON or MessagePack; 200 when the journal has them.

        With a key (`Idempotency-Key`, or `key` in the body) it is safe to send again.
        """
        audit(request, "data sent in", often=True)
        content = await request.body()
        packed = "msgpack" in request.headers.get("content-type", "")
        now = clock.wall_ns()
        try:
            batch, key = await asyncio.to_thread(batch_of, content, packed=packed, received_at=now)
        except Wrong as error:
            raise HTTPException(422, str(error)) from None
        key = request.headers.get("idempotency-key") or key
        if key is not None and len(key) > 200:  # noqa: PLR2004 - as in the body
            raise HTTPException(422, "Idempotency-Key: at most 200 characters")
        digest = hashlib.sha256(content).hexdigest()
        came = keys.find(key, now) if key is not None else None
        repeated = came is not None
        if came is None:
            counts = {kind: frame.height for kind, frame in batch.frames().items() if frame.height}
            came = _Known(now, digest, counts)
            if key is not None:
                keys.begin(key, came)
            await _hand_on(backlog, keys, key, came, batch)
        elif came.digest != digest:
            raise HTTPException(409, f"the key {key!r} came with other data before: use a new key for new data")
        durable = await _in_time(came.done)
        answer: Ingested = {"accepted": came.accepted, "repeated": repeated, "durable": durable}
        return Response(msgspec.json.encode(answer), 200 if durable else 202, media_type="application/json")

    return router


async def _hand_on(backlog: Backlog, keys: Keys, key: str | None, came: _Known, batch: Batch) -> None:
    if not batch.rows:
        keys.done(key, came)
        return
    # Shielded: a client that hangs up must not leave a key behind whose data never arrive.
    await asyncio.shield(backlog.put(replace(batch, receipts=(keys.receipt(key, came),))))


async def _in_time(done: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await done.wait()
    except TimeoutError:
        return False
    return True


_ROW_TYPES: Final[dict[str, type[Struct]]] = {"quotes": _Quote, "trades": _Trade, "bars": _Bar, "series": _Value}
_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "key": {"type": "string", "minLength": 1, "maxLength": 200},
        **{
            kind: {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": [f.name for f in msgspec.structs.fields(row) if f.required],
                    "properties": {f.name: {} for f in msgspec.structs.fields(row)},
                },
            }
            for kind, row in _ROW_TYPES.items()
        },
    },
}
