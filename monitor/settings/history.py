"""What can be set of the past: files, and vendors that have bars of it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from monitor.settings.base import ExistingPath, Model, Text, not_empty

Secret = Annotated[SecretStr, AfterValidator(not_empty)]


class FileHistory(Model):
    """Bars of a file, imported at start."""

    type: Literal["file"]
    data: ExistingPath


class VendorHistory(Model):
    """Bars asked of a vendor: what is missing is filled in at start, and by ``rotation history backfill``."""

    type: str
    since: dt.date = Field(alias="from", description="the first session: 2024-01-01")
    feed: Text | None = Field(default=None, description="the feed whose key is used, where none stands here")
    symbols: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        default=None, description="without it, what the rules need"
    )
    url: str | None = Field(default=None, description="another address that speaks the same protocol: https://HOST")
    per_minute: float | None = Field(default=None, gt=0, description="requests; without it, those of the free plan")

    @field_validator("url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise PydanticCustomError("feed_url", "is no web address: write https://HOST")
        return url


class AlpacaHistory(VendorHistory):
    """Alpaca's bars. Prices are adjusted for splits, as those of today are to be compared with them."""

    type: Literal["alpaca"]
    key: Secret | None = None
    secret: Secret | None = None
    source: Literal["iex", "sip"] = Field(default="iex", description="iex: one venue, free")
    adjustment: Literal["raw", "split", "dividend", "all"] = "split"


class MassiveHistory(VendorHistory):
    """Massive's aggregates, adjusted for splits."""

    type: Literal["massive"]
    key: Secret | None = None
    adjusted: bool = True


HistorySettings = FileHistory | AlpacaHistory | MassiveHistory
"""One source of the past, told apart by `type`."""
