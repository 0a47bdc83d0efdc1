"""From a receiver's addresses in the configuration to the sender that serves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO
from zoneinfo import ZoneInfo

from monitor.notify import alertmanager, apprise_sender, console, values, webhook
from monitor.notify.alertmanager import AlertmanagerSender, is_alertmanager
from monitor.notify.apprise_sender import AppriseSender
from monitor.notify.console import ConsoleSender
from monitor.notify.credentials import NONE, Credentials
from monitor.notify.sender import Considerate, FanOut, Pictures, Sender
from monitor.notify.webhook import WebhookSender, is_webhook


def validate(url: str) -> str | None:
    """What is wrong with a receiver's URL, as one line without secrets; None if it can be used."""
    if is_alertmanager(url):
        return alertmanager.validate(url)
    if is_webhook(url):
        return webhook.validate(url)
    return console.validate(url) if _is_console(url) else apprise_sender.validate(url)


def takes_pictures(url: str) -> bool:
    """Whether messages to this address can have a picture."""
    return not (is_alertmanager(url) or is_webhook(url) or _is_console(url)) and apprise_sender.takes_pictures(url)


def open_receiver(
    urls: Sequence[str],
    *,
    deadline: float = 30.0,
    stream: TextIO | None = None,
    zone: ZoneInfo = values.NEW_YORK,
    pictures: Pictures | None = None,
    page: str = "",
    credentials: Credentials = NONE,
) -> Sender:
    """The sender of one receiver; `stream` is where ``console://`` prints (standard output unless given).

    `pictures`: where those of its messages come from; None: it gets none. `page`: address of the monitor's page.
    `credentials`: of webhooks and Alertmanagers; the other addresses hold their own.

    Raises ValueError, with :func:`validate`'s text, for a URL that cannot be used.
    """
    if not urls:
        raise ValueError("a receiver needs at least one URL; console:// prints to the terminal")
    if any(map(is_alertmanager, urls)):
        if not all(map(is_alertmanager, urls)):
            raise ValueError("Alertmanagers are a receiver of their own: give the other addresses another receiver")
        return AlertmanagerSender(urls, deadline, credentials)
    others = [url for url in urls if not (_is_console(url) or is_webhook(url))]
    webhooks = [WebhookSender(url, deadline, page, credentials) for url in urls if is_webhook(url)]
    senders: list[Sender] = [Considerate(sender) for sender in webhooks]
    if any(map(_is_console, urls)):
        senders.append(ConsoleSender(stream, zone))
    if others:
        senders.append(AppriseSender(others, deadline, zone, pictures, page))
    return senders[0] if len(senders) == 1 else FanOut(senders)


def _is_console(url: str) -> bool:
    return url.partition(":")[0].lower() == console.SCHEME
