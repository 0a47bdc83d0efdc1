"""Links in messages by which whoever has the message takes an alert on: signed, for one use, for a week.

A link names the episode, the receiver and the message's number, signed with a key that is made once and kept in the
store, so that every monitor on it knows its links. The link is the credential: it is good for this one thing only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from monitor.notify.message import AlertNotice, Kind, Notification
from monitor.store.base import Store

ACK_LINKS: Final = "ack_links"
"""The hash of the key, and of links that were used."""
_KEY: Final = "key"
_KEY_BYTES: Final = 32
_DAY: Final = 24 * 3_600 * 1_000_000_000
_DAYS: Final = 7
"""Whole days for which a link is good, after the day on which it was sent."""
_LONGEST: Final = 4_000
"""Characters of a link's token that are looked at."""


class BadLink(ValueError):
    """The link was changed, or is none of ours."""


class OldLink(ValueError):
    """The link is no longer good."""


class UsedLink(ValueError):
    """The link was used before."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a good link says; `name` is what it is noted by once it is used, `expires` is UTC ns."""

    episode: str
    receiver: str
    expires: int
    name: str


class AckLinks:
    """Makes links below `page` (without a slash at its end; empty: makes none) and reads them.

    `used`: names of links that were used, and until when they would be good. Times are UTC ns by the machine's clock.
    """

    def __init__(self, store: Store, key: bytes, page: str, used: Mapping[str, int]) -> None:
        self._store, self._key, self._page, self._used = store, key, page, dict(used)

    @classmethod
    async def open(cls, store: Store, page: str) -> AckLinks:
        """The links of a store's monitors; the first one, which holds the lease, makes the key. Raises StoreError."""
        kept = await store.records(ACK_LINKS)
        key = kept.pop(_KEY, b"")
        if not key:
            key = secrets.token_bytes(_KEY_BYTES)
            await store.keep_records(ACK_LINKS, {_KEY: key})
        return cls(store, key, page, {name: int(expires) for name, expires in kept.items()})

    def linked(self, notification: Notification, wall: int) -> Notification:
        """The message with a link for each alert that it says fires and shows in full."""

        def url(each: AlertNotice) -> str:
            good = each.kind is Kind.FIRING and each.summary
            return self.url(each.episode, notification.receiver, each.sequence, wall) if good else ""

        if not self._page:
            return notification
        if notification.alerts:
            alerts = tuple(replace(each, ack_url=url(each)) for each in notification.alerts)
            return replace(notification, alerts=alerts)
        return replace(notification, ack_url=url(notification.notices[0]))

    def url(self, episode: str, receiver: str, sequence: int, wall: int) -> str:
        """The link of a message; the same all day, so that a message that is sent again has the one it had."""
        expires = (wall // _DAY + 1 + _DAYS) * _DAY
        said = msgspec.json.encode((episode, receiver, sequence, expires))
        return f"{self._page}/ack?token={_text(said)}.{_text(self._signature(said))}"

    def read(self, token: str, wall: int) -> Claim:
        """What a link's token says. Raises BadLink, OldLink, UsedLink."""
        said, _, signature = token[: _LONGEST + 1].partition(".")
        try:
            if len(token) > _LONGEST:
                raise BadLink
            content, given = _bytes(said), _bytes(signature)
            if not hmac.compare_digest(given, self._signature(content)):
                raise BadLink
            episode, receiver, _, expires = msgspec.json.decode(content, type=tuple[str, str, int, int])
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            raise BadLink("this link is not complete, or was changed") from None
        claim = Claim(episode, receiver, expires, hashlib.sha256(content).hexdigest())
        if wall >= expires:
            raise OldLink("this link is too old")
        if claim.name in self._used:
            raise UsedLink("this link was used before")
        return claim

    async def use(self, claim: Claim, wall: int) -> None:
        """Note that a link is used, for as long as it would be good. Raises StoreError; here it is used anyway."""
        gone: dict[str, bytes | None] = {name: None for name, expires in self._used.items() if expires <= wall}
        self._used = {n: e for n, e in self._used.items() if n not in gone} | {claim.name: claim.expires}
        await self._store.keep_records(ACK_LINKS, gone | {claim.name: str(claim.expires).encode()})

    def _signature(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Raises ValueError where it is no such text, or not the only way to write it."""
    data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(data) != text:
        raise ValueError
    return data
