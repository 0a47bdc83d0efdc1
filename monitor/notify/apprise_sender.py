"""Mail, chat and webhooks through apprise; the only module that knows it.

apprise blocks for seconds and does not say why a send failed, except in its log. So each receiver has threads of its
own, each attempt has a deadline, and the log lines of an attempt are kept, without secrets, as the service's answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from difflib import get_close_matches
from html import escape
from typing import Final
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from apprise import Apprise, AppriseAsset, LogCapture, NotifyBase, NotifyFormat, NotifyType
from apprise.attachment.memory import AttachMemory
from apprise.common import OverflowMode, PersistentStoreMode
from apprise.manager_plugins import NotificationManager
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.slack import NotifySlack, SlackMode
from apprise.result import AppriseResult, AppriseResultStatus

from monitor.notify import apprise_slack, slack, values
from monitor.notify.apprise_http import bounded
from monitor.notify.apprise_slack import BlockSlack, Told, telling
from monitor.notify.http_client import verdict as http_verdict
from monitor.notify.message import Kind, Notification
from monitor.notify.redaction import pieces, redacted
from monitor.notify.render import header, payload, render
from monitor.notify.sender import Considerate, Delivery, FanOut, Picture, Pictures, Verdict
from monitor.notify.templates import clipped

with warnings.catch_warnings():
    # It tries a module that Python 3.11 and 3.12 deprecate and 3.13 lacks, which is no concern of ours.
    warnings.simplefilter("ignore", DeprecationWarning)
    from apprise.plugins.email import NotifyEmail

_THREADS: Final = 4
"""Messages under way to one address. A burst of alerts reaches a mail server in parallel, and no service is flooded."""
_UNCLEAR: Final = 1_000
_LONGEST: Final = 60.0
"""Seconds that the web requests of one attempt may take, all in all. An attempt may outlive its deadline: see
:class:`_Address`."""
_DETAIL_LIMIT: Final = 500
_CAPTION: Final = 300
"""Characters of the words that stand with a picture which is a message of its own."""
_WITH_PICTURE: Final = 2
"""Attempts that fail with their picture until it is left out: a line that is cut in mid-mail may take a short one."""
_SHOWN_WIDTH: Final = 900
"""CSS pixels of a picture in a mail; it has more of its own, for sharp screens."""
_HTTP_ERROR: Final = re.compile(r"error=(\d{3})\b")
_SMTP_ERROR: Final = re.compile(r"Socket Exception: .*?\((\d{3}), b|was refused: (\d{3}) ")
_SMTP_FOR_GOOD: Final = 500
_TYPES: Final = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING, "info": NotifyType.INFO}
_EXAMPLES: Final = ("slack", "mailto", "mailtos", "discord", "tgram", "msteams", "json", "jsons", "ntfy", "pover")

# What it logs is kept with the attempt it belongs to, where it is cleared of secrets, and goes nowhere else.
_log: Final = logging.getLogger("apprise")
_log.setLevel(logging.DEBUG)
_log.propagate = False


def validate(url: str) -> str | None:
    """What is wrong with a receiver's URL, as one line without secrets; None if apprise accepts it. Sends nothing."""
    scheme = urlsplit(url).scheme.lower() if "://" in url else ""
    if not scheme:
        return "not a URL: write the service, ://, and its address, such as mailto://user:password@example.com"
    known = NotificationManager().schemas()  # type: ignore[no-untyped-call]
    with LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        service = Apprise.instantiate(url, asset=_asset())
    if service is not None:
        return None
    if scheme not in known:
        near = get_close_matches(scheme, known, 3) or _EXAMPLES
        return f"no service of the kind {scheme}://; apprise knows {', '.join(near)} and {len(known) - len(near)} more"
    reasons = redacted((line for line in said.getvalue().splitlines() if " URL: " not in line), pieces(url))
    return (
        f"apprise cannot use this {scheme}:// address: {'; '.join(reasons) or 'a part of it is missing or malformed'}"
    )


def takes_pictures(url: str) -> bool:
    """Whether the service of an address takes pictures; Slack's incoming webhooks do not, its bots do."""
    service = Apprise.instantiate(url, asset=_asset())
    return service is not None and _takes_pictures(service)


def _takes_pictures(service: NotifyBase) -> bool:
    return bool(service.attachment_support) and not (
        isinstance(service, NotifySlack) and service.mode is not SlackMode.BOT
    )


def verdict(result: AppriseResult | None, said: Iterable[str]) -> Verdict:
    """Whether an attempt worked, and if not, whether trying again may help.

    apprise tells success from failure; the cause is only in its log: HTTP services say ``error=404``, mail servers
    answer ``(535, b'...')``. Refused for good are SMTP 5xx and the HTTP statuses of
    :func:`monitor.notify.http_client.verdict`; all else may pass.
    """
    if result is not None and result.status is AppriseResultStatus.SUCCESS:
        return Verdict.DELIVERED
    if result is not None and result.status is AppriseResultStatus.NOMATCH:
        return Verdict.FATAL
    refusals = [http_verdict(int(found[1])) for line in said for found in [_HTTP_ERROR.search(line)] if found]
    replies = [int(found[1] or found[2]) for line in said for found in [_SMTP_ERROR.search(line)] if found]
    refusals += [Verdict.FATAL if reply >= _SMTP_FOR_GOOD else Verdict.TRANSIENT for reply in replies]
    if not refusals or {Verdict.TRANSIENT, Verdict.DELIVERED}.intersection(refusals):
        return Verdict.TRANSIENT
    return Verdict.FATAL if Verdict.FATAL in refusals else Verdict.REJECTED


class AppriseSender:
    """Sends to one receiver's apprise URLs. `deadline`: seconds an attempt may take.

    Raises ValueError with :func:`validate`'s text for a URL that cannot be used.
    """

    def __init__(
        self,
        urls: Sequence[str],
        deadline: float = 30.0,
        zone: ZoneInfo = values.NEW_YORK,
        pictures: Pictures | None = None,
        page: str = "",
    ) -> None:
        """`page`: address of the monitor's page, for links."""
        self._pool = ThreadPoolExecutor(_THREADS * max(1, len(urls)), thread_name_prefix="notify")
        self._targets = FanOut([Considerate(_Address(url, self._pool, deadline, zone, pictures, page)) for url in urls])

    @property
    def target(self) -> str:
        """Services and hosts, without secrets."""
        return self._targets.target

    async def send(self, notification: Notification) -> Delivery:
        """Try once, at all URLs that do not have the message yet."""
        return await self._targets.send(notification)

    async def close(self) -> None:
        """Let the threads end with what they are doing; attempts not begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Address:
    """One URL.

    An attempt that outlived its deadline goes on in its thread; a retry waits for it, and does not send a second time.

    Mails and webhooks have their picture in them. Other services get it after the message, which so neither waits for
    it nor fails, and then comes twice, because of it.
    """

    def __init__(
        self,
        url: str,
        pool: ThreadPoolExecutor,
        deadline: float,
        zone: ZoneInfo,
        pictures: Pictures | None,
        page: str,
    ) -> None:
        error = validate(url)
        service = Apprise.instantiate(url, asset=_asset())
        if error is not None or service is None:
            raise ValueError(error or "apprise cannot use this address")
        self._url = url
        self._page = page
        self._service = service = _fitted(service, url)
        self._pool = pool
        self._deadline = deadline
        self._zone = zone
        self._secrets = _secrets(url, service)
        self._late: OrderedDict[str, Future[Delivery]] = OrderedDict()
        self._pictures = pictures if _takes_pictures(service) else None
        self._within = isinstance(service, NotifyJSON | NotifyEmail)
        self._failed: OrderedDict[str, int] = OrderedDict()
        """How often messages failed with their picture, by key: after a few attempts they are tried without it."""
        self._following: set[asyncio.Task[None]] = set()
        self.target = _public(url, service, self._secrets)

    async def send(self, notification: Notification) -> Delivery:
        attempt = self._late.pop(notification.key, None)
        if attempt is None or attempt.cancelled():
            picture = await self._picture(notification) if self._within else None
            try:
                attempt = self._pool.submit(self._attempts, notification, picture)
            except RuntimeError as error:  # the pool is closed: the daemon is stopping
                return Delivery(Verdict.TRANSIENT, f"{self.target}: {error}")
        done, _ = await asyncio.wait([asyncio.wrap_future(attempt)], timeout=self._deadline)
        if done:
            delivery = done.pop().result()
            self._mind_picture(notification, delivery)
            return delivery
        self._late[notification.key] = attempt
        while len(self._late) > _UNCLEAR:
            self._late.popitem(last=False)
        return Delivery(Verdict.TRANSIENT, f"{self.target}: no answer within {self._deadline:g} s")

    async def close(self) -> None:
        """The pool is the receiver's; a picture that is still to follow its message does not come."""
        for task in tuple(self._following):
            task.cancel()

    async def _picture(self, notification: Notification) -> Picture | None:
        if self._pictures is None or self._failed.get(notification.key, 0) >= _WITH_PICTURE:
            return None
        return await self._pictures.of(notification)

    def _mind_picture(self, notification: Notification, delivery: Delivery) -> None:
        """After an attempt: the picture follows a message that arrived; a message that failed may do so for its own."""
        if self._pictures is None:
            return
        failed = self._failed.pop(notification.key, 0)
        if not delivery.delivered:
            self._failed[notification.key] = failed + 1
            while len(self._failed) > _UNCLEAR:
                self._failed.popitem(last=False)
        elif not self._within:
            task = asyncio.create_task(self._follow(notification, self._pictures), name="notify picture")
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def _follow(self, notification: Notification, pictures: Pictures) -> None:
        picture = await pictures.of(notification)
        if picture is None:
            return
        try:
            sent = await asyncio.wrap_future(self._pool.submit(self._send_picture, notification, picture))
        except RuntimeError as error:  # the pool is closed: the daemon is stopping
            sent = Delivery(Verdict.TRANSIENT, str(error))
        if not sent.delivered:
            pictures.refused(notification, sent.detail)

    def _send_picture(self, notification: Notification, picture: Picture) -> Delivery:
        """In a thread of the receiver, as :meth:`_attempt`. The picture's message is what it says in words."""
        try:
            apprise = Apprise(asset=_asset())
            apprise.add(self._service)
            with bounded(_LONGEST):
                result = apprise.notify(
                    body=clipped(picture.words, _CAPTION),
                    notify_type=_type(notification),
                    body_format=NotifyFormat.TEXT,
                    attach=_attachment(picture),
                    log_level=logging.DEBUG,
                )
            said = [entry.message for entry in result.logs() if _telling(entry.level, entry.message)]
        except Exception as error:  # noqa: BLE001 - plugins are third-party code that may raise anything
            return Delivery(Verdict.TRANSIENT, self._detail([f"{type(error).__name__}: {error}"]))
        return Delivery(verdict(result, said), self._detail(said))

    def _attempts(self, notification: Notification, picture: Picture | None) -> Delivery:
        """What a service refuses with a picture it may take without one: the same message, so it is asked at once."""
        delivery = self._attempt(notification, picture)
        if picture is None or delivery.verdict not in (Verdict.FATAL, Verdict.REJECTED):
            return delivery
        without = self._attempt(notification, None)
        if without.delivered and self._pictures is not None:
            self._pictures.refused(notification, delivery.detail)
        return without

    def _attempt(self, notification: Notification, picture: Picture | None) -> Delivery:
        """In a thread of the receiver. Never raises: an error of a plugin is an outcome."""
        try:
            service = self._prepared(notification)
            message = render(notification, self._zone)
            html = service.resolve_format(NotifyFormat.HTML) is NotifyFormat.HTML and isinstance(service, NotifyEmail)
            apprise = Apprise(asset=_asset())
            apprise.add(service)
            body = message.html if html else message.text
            blocks = slack.blocks(notification, self._zone, self._page) if isinstance(service, BlockSlack) else []
            with bounded(_LONGEST) as asked, telling(Told(message.title, blocks) if blocks else None):
                result = apprise.notify(
                    body=_with_picture(body, picture) if html and picture else body,
                    title=message.title,
                    notify_type=_type(notification),
                    attach=_attachment(picture) if picture else None,
                    body_format=NotifyFormat.HTML if html else NotifyFormat.TEXT,
                    log_level=logging.DEBUG,
                )
            said = [entry.message for entry in result.logs() if _telling(entry.level, entry.message)]
        except Exception as error:  # noqa: BLE001 - plugins are third-party code that may raise anything
            return Delivery(Verdict.TRANSIENT, self._detail([f"{type(error).__name__}: {error}"]))
        outcome = verdict(result, said)
        if isinstance(service, NotifySlack) and outcome is Verdict.TRANSIENT:
            outcome = apprise_slack.verdict(said) or outcome
        return Delivery(outcome, self._detail(said), None if outcome is Verdict.DELIVERED else asked.retry_after)

    def _prepared(self, notification: Notification) -> NotifyBase:
        """The service for this message.

        Webhooks and mails are made anew with the message's own fields in them, the user's own coming first. Others are
        kept, since apprise spaces messages to them by the time of the object's last one.
        """
        if not isinstance(self._service, NotifyJSON | NotifyEmail):
            return self._service
        service = Apprise.instantiate(self._url, asset=_asset())
        if isinstance(service, NotifyJSON):
            service.payload_extras = {**payload(notification), **service.payload_extras}
            service.headers = {"Idempotency-Key": header(notification.key), **service.headers}
        elif isinstance(service, NotifyEmail):
            service.headers = {
                "X-Rotation-Key": header(notification.key),
                "X-Rotation-Episode": header(notification.episode),
                "X-Rotation-State": str(notification.kind),
                **service.headers,
            }
            service.inline = True
        return service or self._service

    def _detail(self, said: Iterable[str]) -> str:
        lines = redacted(said, self._secrets)
        return f"{self.target}: {'; '.join(dict.fromkeys(lines)) or 'accepted'}"[:_DETAIL_LIMIT]


def _asset() -> AppriseAsset:
    """No time-outs of apprise's own (they move the send to a pool of its own), no files, no network beyond the send."""
    return AppriseAsset(
        service_timeout=0,
        storage_mode=PersistentStoreMode.MEMORY,
        pgp_autogen=False,
        pem_autogen=False,
        app_id="Rotation Monitor",
        app_desc="Rotation Monitor",
        app_url="",
    )


def _fitted(service: NotifyBase, url: str) -> NotifyBase:
    """The service with our blocks where it is Slack, and for a chat with what it has no room for cut off.

    Mails and webhooks have room for all; ``overflow=`` in the address is the user's own choice.
    """
    if isinstance(service, NotifySlack):
        service = apprise_slack.with_blocks(service, url)
    if "overflow=" not in url and not isinstance(service, NotifyJSON | NotifyEmail):
        service.overflow_mode = OverflowMode.TRUNCATE
    return service


def _type(notification: Notification) -> NotifyType:
    if notification.kind is Kind.RESOLVED:
        return NotifyType.SUCCESS
    return _TYPES.get(notification.severity, NotifyType.WARNING)


def _attachment(picture: Picture) -> AttachMemory:
    """From memory: no file is left anywhere. Services that only take files get none, which they say."""
    return AttachMemory(content=picture.png, name=picture.name, mimetype="image/png")  # type: ignore[no-untyped-call]


def _with_picture(html: str, picture: Picture) -> str:
    """The picture below the first paragraph, with its words for those who do not see it."""
    first, end, rest = html.partition("</p>")
    shown = f'<p><img src="cid:{escape(picture.name)}" alt="{escape(picture.words)}" width="{_SHOWN_WIDTH}"'
    return f'{first}{end}\n{shown} style="max-width:100%;height:auto"/></p>{rest}'


def _telling(level: str, message: str) -> bool:
    """Warnings, and those debug lines that carry the service's own answer."""
    return level in {"WARNING", "ERROR", "CRITICAL"} or message.startswith(("Socket Exception", "Response Details"))


def _secrets(url: str, service: NotifyBase) -> set[str]:
    """The pieces that apprise hides in the URL it makes for logs, and those of headers and payloads, which it shows.

    What stands in a host's place is a token for many services (``slack://``, ``tgram://``); a webhook's is a host.
    """
    shown = _host(url) if isinstance(service, NotifyJSON) else unquote(_masked(service))
    return {part for part in pieces(url) if part not in shown}


def _public(url: str, service: NotifyBase, secrets: set[str]) -> str:
    """``E-Mail mailto://user:****@smtp.example.com``: as apprise masks it; without the query, masked in part only."""
    shown = _masked(service).rstrip("/")
    if isinstance(service, NotifyJSON):  # its path may be the secret: https://hooks.example.com/T000/B000/XXXX
        shown = f"{urlsplit(url).scheme}://{_host(url)}"
    return redacted([f"{service.service_name} {unquote(shown)}"], secrets)[0]


def _masked(service: NotifyBase) -> str:
    return str(service.url(privacy=True)).partition("?")[0]  # type: ignore[no-untyped-call]


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
