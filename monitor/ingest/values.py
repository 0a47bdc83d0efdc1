"""What is wrong with a row by itself, whatever came before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from monitor.ingest.clean_batch import nanoseconds
from monitor.ingest.rejects import Cause, Verdict, number

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

WIDEST: Final = 10.0
"""Ask over bid beyond which a quote is a placeholder that a market maker leaves, not a price."""

ROUNDED: Final = 1.001
"""The factor by which a bar's open or close may be beyond its low and high: adjusted prices are rounded one by one."""

LARGEST: Final = 1e12
"""Shares, or units, beyond which a size or volume is absurd: of no share are there so many."""


def incomplete(kind: str, frame: pl.DataFrame) -> pl.Series | None:
    """Which rows have no time or no name; None where all have both."""
    columns = [c for c in ("ts", "end", "symbol", "series") if c in frame.columns]
    if not any(frame[c].null_count() for c in columns):
        return None
    return frame.select(pl.any_horizontal(pl.col(columns).is_null()).alias(kind)).to_series()


def screen(kind: str, frame: pl.DataFrame) -> Verdict | None:
    """The verdict on each row's own values; None where all are good. A size or volume may be unknown (null or NaN)."""
    return _SCREENS[kind](frame)


def _quotes(frame: pl.DataFrame) -> Verdict | None:
    bid, ask = _numbers(frame, "bid"), _numbers(frame, "ask")
    good = (bid > 0) & (ask >= bid) & (ask < np.inf) & (ask <= WIDEST * bid)
    if good.all():
        return None
    return _verdict(
        len(bid),
        {
            Cause.SPIKE: ask > WIDEST * bid,
            Cause.CROSSED: bid > ask,
            Cause.NON_POSITIVE: (bid <= 0) | (ask <= 0),
            Cause.NON_FINITE: ~(np.isfinite(bid) & np.isfinite(ask)),
        },
    )


def _trades(frame: pl.DataFrame) -> Verdict | None:
    price, size = _numbers(frame, "price"), _numbers(frame, "size")
    if frame["price"].null_count():  # volume alone, by its conditions
        price = np.where(frame["price"].is_null().to_numpy(), 1.0, price)
    bad_size = (size < 0) | (size > LARGEST)
    if ((price > 0) & (price < np.inf) & ~bad_size).all():
        return None
    return _verdict(
        len(price),
        {
            Cause.ABSURD_SIZE: size > LARGEST,
            Cause.NON_POSITIVE: (price <= 0) | (size < 0),
            Cause.NON_FINITE: ~np.isfinite(price) | np.isinf(size),
        },
    )


def _bars(frame: pl.DataFrame) -> Verdict | None:
    prices = np.stack([_numbers(frame, c) for c in ("open", "high", "low", "close")])
    volume = _numbers(frame, "volume")
    length = nanoseconds(frame["end"]) - nanoseconds(frame["ts"])
    verdict = _verdict(
        len(volume),
        {
            Cause.ABSURD_SIZE: volume > LARGEST,
            Cause.CROSSED: (prices[1] < prices[2])
            | (np.maximum(prices[0], prices[3]) > prices[1] * ROUNDED)
            | (np.minimum(prices[0], prices[3]) * ROUNDED < prices[2]),
            Cause.NON_POSITIVE: (prices <= 0).any(axis=0) | (volume < 0) | (length <= 0),
            Cause.NON_FINITE: ~np.isfinite(prices).all(axis=0) | np.isinf(volume),
        },
    )
    return verdict if verdict.any() else None


def _corrections(frame: pl.DataFrame) -> Verdict | None:
    price = _numbers(frame, "price")
    good = (price > 0) & (price < np.inf)
    return None if good.all() else _verdict(len(price), {Cause.NON_FINITE: ~good})


def _sound(_: pl.DataFrame) -> None:
    """Whatever the values are, they say something: a band that is none lifts it, an unknown status is passed over."""


def _series(frame: pl.DataFrame) -> Verdict | None:
    finite = np.isfinite(_numbers(frame, "value"))
    return None if finite.all() else _verdict(len(finite), {Cause.NON_FINITE: ~finite})


_SCREENS: Final[dict[str, Callable[[pl.DataFrame], Verdict | None]]] = {
    "quotes": _quotes,
    "trades": _trades,
    "bars": _bars,
    "statuses": _sound,
    "bands": _sound,
    "corrections": _corrections,
    "series": _series,
}


def _verdict(rows: int, wrong: dict[Cause, Mask]) -> Verdict:
    """The later a cause stands in `wrong`, the more it counts: the reverse of the order of :class:`Cause`."""
    verdict = np.zeros(rows, dtype=np.uint8)
    for cause, mask in wrong.items():
        verdict[mask] = number(cause)
    return verdict


def _numbers(frame: pl.DataFrame, column: str) -> Floats:
    """A column as floats; null is NaN."""
    array: npt.NDArray[Any] = frame[column].to_numpy()
    return array
