"""The page behind the link in a message: says what is to be taken on, with a button that takes it on.

Programs that look through mail open links: so GET only shows the page, and POST, which the button sends, acknowledges.
The link is the credential, so no token or session is asked for, and none is used: there is nothing that another site's
page could misuse in a browser. (A POST from another site's page is refused all the same, as everywhere.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Annotated, Final, Protocol

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from monitor import clock
from monitor.alerting.ack_links import AckLinks, BadLink, Claim, OldLink, UsedLink
from monitor.alerting.acknowledgement import UnknownEpisode
from monitor.alerting.dispatcher import Dispatcher
from monitor.notify.values import utc
from monitor.store.base import StoreError
from monitor.web import told
from monitor.web.audit import audit
from monitor.web.events import EventStream
from monitor.web.limits import Attempts
from monitor.web.principals import caller, principal
from monitor.web.scopes import Scope, needs

_LOG = structlog.get_logger(__name__)
_BODY: Final = 4_096
Token = Annotated[str, Query()]


class Daemon(Protocol):
    """What this page is about."""

    dispatcher: Dispatcher
    events: EventStream


class _Refused(Exception):
    """Why a link does not do: the answer's status and what the page says."""

    def __init__(self, status: int, why: str, retry_after: int = 0) -> None:
        super().__init__(why)
        self.status, self.retry_after = status, retry_after


class _Reader:
    """Reads links, and is not asked for ever by who makes them up."""

    def __init__(self, links: AckLinks, dispatcher: Dispatcher, wall: Callable[[], int]) -> None:
        self._links, self._dispatcher, self._wall, self._attempts = links, dispatcher, wall, Attempts()

    def claim(self, address: str, token: str) -> Claim:
        """What a link says of an alert that fires and that nobody has taken on. Raises _Refused."""
        try:
            claim = self._links.read(token, self._wall())
        except BadLink as error:
            if wait := self._attempts.wait(address, None):
                raise _Refused(429, "too many wrong links came from here: try again later", int(wait) + 1) from None
            self._attempts.failed(address)
            raise _Refused(400, f"{error}: open it from the message again") from None
        except OldLink as error:
            raise _Refused(410, f"{error}: acknowledge on the monitor's page") from None
        except UsedLink as error:
            raise _Refused(409, f"{error}: it works once") from None
        alert = self._dispatcher.book.ledger.alerts.get(claim.episode)
        if alert is None or not alert.open:
            raise _Refused(410, "this alert is over: there is nothing to take on")
        if ack := self._dispatcher.acks.get(claim.episode):
            raise _Refused(409, f"{ack.by} has taken this on at {utc(ack.at)}")
        return claim


def ack_page(daemon: Daemon, links: AckLinks, wall: Callable[[], int] = clock.wall_ns) -> APIRouter:
    """The routes."""
    router = APIRouter(include_in_schema=False)
    reader, turn, dispatcher = _Reader(links, daemon.dispatcher, wall), asyncio.Lock(), daemon.dispatcher

    @router.get("/ack")
    @needs(Scope.PUBLIC)
    async def show(request: Request, token: Token = "") -> HTMLResponse:
        """What is to be taken on, and a button. Changes nothing."""
        try:
            claim = reader.claim(principal(request).address, token)
        except _Refused as refused:
            return _refusal(refused)
        alert = dispatcher.book.ledger.alerts[claim.episode]
        about = [
            f"<p><b>{escape(alert.summary)}</b></p>",
            f"<p>{escape(claim.episode)}, since {utc(alert.starts_at)}</p>",
            "<p>It is then neither repeated nor escalated until it is over, or worse.</p>",
            '<form method="post"><button>Take it on</button></form>',
        ]
        return _page("Take on this alert?", about)

    @router.post("/ack")
    @needs(Scope.PUBLIC, body=_BODY)
    async def take_on(request: Request, token: Token = "") -> HTMLResponse:
        """Acknowledge; once."""
        who = caller(request)
        async with turn:
            try:
                claim = reader.claim(principal(request).address, token)
            except _Refused as refused:
                audit(request, "acknowledged by link", reason=str(refused))  # never with the token: it may be good
                return _refusal(refused)
            who.who = replace(who.who, name=f"link of {claim.receiver}")
            audit(request, "acknowledged by link", claim.episode, receiver=claim.receiver)
            try:
                ack = await dispatcher.acknowledge(claim.episode, f"{claim.receiver} by link")
            except UnknownEpisode:
                return _refusal(_Refused(410, "this alert is over: there is nothing to take on"))
            # Used only now: what could not be stored can be tried again. What is stored holds, link or not.
            try:
                await links.use(claim, wall())
            except StoreError as error:
                _LOG.warning("acknowledged; that the link was used is not stored", link=claim.name, reason=str(error))
        daemon.events.tell("ack", {"episode": claim.episode, "acknowledged": told.acknowledgement(ack)})
        return _page("Taken on", [f"<p>{escape(claim.episode)} is acknowledged by {escape(ack.by)}.</p>"])

    return router


def _refusal(refused: _Refused) -> HTMLResponse:
    page = _page("Nothing was changed", [f"<p>{escape(str(refused)).capitalize()}.</p>"], refused.status)
    if refused.retry_after:
        page.headers["Retry-After"] = str(refused.retry_after)
    return page


def _page(title: str, body: list[str], status: int = 200) -> HTMLResponse:
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title></head><body>'
    )
    return HTMLResponse("\n".join([head, f"<h1>{title}</h1>", *body, "</body></html>"]), status)
