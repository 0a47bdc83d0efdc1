"""Receivers that forget what they do not hear of are told again and again what fires."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog

from monitor.alerting.dispatcher import Dispatcher
from monitor.notify.message import AlertNotice, Kind
from monitor.notify.sender import Delivery

_LOG = structlog.get_logger(__name__)


class Forgetful(Protocol):
    """A receiver to which an alert is over when it has not heard of it for a while."""

    async def tell(self, notices: list[AlertNotice]) -> Delivery:
        """Say of alerts that they fire."""


async def keep_firing(dispatcher: Dispatcher, receivers: Mapping[str, Forgetful], every: float) -> None:
    """For ever, each `every` seconds: tell each of these receivers what fires, as far as it was told before."""
    while receivers:
        await asyncio.sleep(every)
        for name, receiver in receivers.items():
            notices = firing(dispatcher, name)
            if notices and not (told := await receiver.tell(notices)).delivered:
                _LOG.warning("alerts that fire could not be told again", receiver=name, reason=told.detail)


def firing(dispatcher: Dispatcher, receiver: str) -> list[AlertNotice]:
    """What fires and the receiver knows of."""
    told = dispatcher.book.ledger.told
    pairs = ((alert, told.get(alert.episode, {}).get(receiver)) for alert in dispatcher.alerts())
    return [
        alert.notice(Kind.FIRING, known.sequence)
        for alert, known in pairs
        if known is not None and known.kind is Kind.FIRING
    ]
