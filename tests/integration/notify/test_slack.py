"""Messages to a server on loopback that takes what Slack takes, and refuses the rest as Slack does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from monitor.notify import slack
from monitor.notify.apprise_slack import BlockSlack
from monitor.notify.compose import message
from monitor.notify.message import Kind
from monitor.notify.receivers import open_receiver
from monitor.notify.sender import Sender, Verdict
from rules.transition import State
from tests.integration.notify.troublesome import Troublesome, says, troublesome
from tests.unit.monitor.notify.samples import compose, notification, transition

HOOK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
BOT = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#desk"
PAGE = "https://monitor.example.com"


@dataclass
class Slack:
    """Slack's two ways in, with its checks of a message; `error` is what it answers instead."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    error: str = ""
    retry_after: int | None = None

    async def answer(self, state: Troublesome, writer: asyncio.StreamWriter) -> None:
        head, said = state.heads[-1], json.loads(state.bodies[-1])
        bot = head.startswith("POST /api/chat.postMessage ")
        known = "authorization: bearer xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d" in head.lower()
        if not bot and not head.startswith("POST /services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ "):
            return await says(404, body=b"no_team")(state, writer)
        if self.retry_after is not None:
            return await says(429, f"Retry-After: {self.retry_after}", body=b"rate_limited")(state, writer)
        error = self.error or ("" if known or not bot else "not_authed") or refused(said)
        if error:
            body = json.dumps({"ok": False, "error": error}).encode() if bot else error.encode()
            return await says(200 if bot else 400, body=body)(state, writer)
        self.messages.append(said)
        self.heads.append(head)
        return await says(200, body=b'{"ok":true,"channel":"C1","ts":"1.2"}' if bot else b"ok")(state, writer)


def refused(said: dict[str, Any]) -> str:
    """What Slack says against a message, by the limits it documents."""
    [attachment] = said["attachments"]
    if not said.get("text"):
        return "no_text"
    given = attachment["blocks"]
    if not 1 <= len(given) <= 50:
        return "invalid_blocks"
    for block in given:
        match block:
            case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
                good = 1 <= len(text) <= 150
            case {"type": "section", "text": {"type": "mrkdwn", "text": str(text)}}:
                good = 1 <= len(text) <= 3_000
            case {"type": "section", "fields": list(fields)}:
                good = 1 <= len(fields) <= 10 and all(1 <= len(f["text"]) <= 2_000 for f in fields)
            case {"type": "context", "elements": list(elements)}:
                good = 1 <= len(elements) <= 10 and all(1 <= len(e["text"]) <= 3_000 for e in elements)
            case _:
                good = False
        if not good:
            return "invalid_blocks"
    long = sum(len(text) for text in texts(given)) > 13_200
    return "msg_blocks_too_long" if long else ""


def texts(given: list[dict[str, Any]]) -> list[str]:
    each = [t for b in given for t in (b.get("text"), *b.get("fields", ()), *b.get("elements", ())) if t]
    return [t["text"] for t in each]


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slack]:
    slack_server = Slack()
    async with troublesome(slack_server.answer) as server:
        place = f"http://127.0.0.1:{server.port}"
        monkeypatch.setattr(BlockSlack, "webhook_url", f"{place}/services")
        monkeypatch.setattr(BlockSlack, "api_url", f"{place}/api/{{}}")
        monkeypatch.setattr(BlockSlack, "request_rate_per_sec", 0)
        yield slack_server


@contextlib.asynccontextmanager
async def desk(url: str) -> AsyncIterator[Sender]:
    sender = open_receiver([url], deadline=10, page=PAGE)
    yield sender
    await sender.close()


@pytest.mark.parametrize("url", [HOOK, BOT], ids=["webhook", "bot"])
async def test_a_message_has_header_fields_and_links(service: Slack, url):
    async with desk(url) as sender:
        for state in (State.FIRING, State.RESOLVED):
            [told] = compose(transition(new=state), ["desk"])
            outcome = await sender.send(told)
            assert outcome.delivered, outcome.detail
    firing, resolved = service.messages
    [attachment] = firing["attachments"]
    header, *_, context = attachment["blocks"]
    title = "[FIRING] small-caps-turn fired: excess(IWM, SPY, 1d) = -104bp (< -100bp)"
    assert header["text"]["text"] == firing["text"] == title
    fields = [f["text"] for block in attachment["blocks"] for f in block.get("fields", ())]
    assert {"*Severity*\nwarning", "*Value*\n-104bp", "*excess(IWM, SPY, 1d) &lt; -100bp*\ntrue"} <= set(fields)
    said = [e["text"] for e in context["elements"]]
    assert "key: small-caps-turn-2026-01-23-1:firing:1:desk" in said
    assert f"<{PAGE}|Rotation Monitor>" in said
    assert attachment["color"] != resolved["attachments"][0]["color"]
    assert "*Duration*\n10m" in texts(resolved["attachments"][0]["blocks"])
    assert url != BOT or firing["channel"] == "#desk"


@pytest.mark.parametrize("count", [2, 60, 10_000])
async def test_a_group_of_any_size_is_one_message_that_slack_takes(service: Slack, count):
    told = [
        replace(n, summary=f"{'<&>' * 90} {i}", annotations={"note": "&" * 2_000})
        for i in range(count)
        for n in notification(f"lead-{i}", Kind.FIRING if i % 3 else Kind.RESOLVED).notices
    ]
    async with desk(HOOK) as sender:
        outcome = await sender.send(message("desk", told, group_key="g", group_labels={"theme": "size"}))
    assert outcome.delivered, outcome.detail
    [one] = service.messages
    assert f"{sum(n.kind is Kind.FIRING for n in told)} firing" in one["text"]


async def test_a_message_of_any_length_is_one_that_slack_takes(service: Slack):
    evidence = {
        "expressions": [{"expr": f"{'<x>' * 900} > {i}", "value": 1.0, "type": "condition"} for i in range(300)],
        "prices": {f"S{i}": {"price": 1.0, "ts": 1} for i in range(900)},
        "threshold": None,
    }
    told = notification(
        alert="a" * 300 + "\nb", summary="é\n" * 1_000, annotations={"note": "<" * 9_000}, evidence=evidence,
        labels={f"l{i}": "v" * 100 for i in range(100)},
    )  # fmt: skip
    async with desk(BOT) as sender:
        outcome = await sender.send(told)
    assert outcome.delivered, outcome.detail
    assert "There is more" in json.dumps(service.messages[0])
    assert "\n" not in service.messages[0]["text"]
    assert "key: small-caps-turn-2026-01-23-1:firing:1:desk" in texts(service.messages[0]["attachments"][0]["blocks"])


@pytest.mark.parametrize(
    ("url", "error", "verdict"),
    [
        (HOOK, "invalid_payload", Verdict.REJECTED),
        (BOT, "invalid_blocks", Verdict.REJECTED),
        (BOT, "invalid_auth", Verdict.FATAL),
        (BOT, "channel_not_found", Verdict.FATAL),
        (BOT, "internal_error", Verdict.TRANSIENT),
    ],
)
async def test_what_slack_says_decides_and_shows_no_secret(service: Slack, url, error, verdict):
    service.error = error
    async with desk(url) as sender:
        outcome = await sender.send(notification())
    assert outcome.verdict is verdict
    assert error in outcome.detail
    assert not any(secret in outcome.detail for secret in ("TIiajk", "4ddbc191", "xoxb-1234-1234-4"))


@pytest.mark.parametrize("url", [HOOK, BOT], ids=["webhook", "bot"])
async def test_slack_is_left_alone_for_as_long_as_it_asks(service: Slack, url):
    service.retry_after = 30
    async with desk(url) as sender:
        outcome = await sender.send(notification())
        assert (outcome.verdict, outcome.retry_after) == (Verdict.TRANSIENT, 30.0)
        service.retry_after = None
        later = await sender.send(notification("another"))
        assert later.verdict is Verdict.TRANSIENT
        assert 29 < (later.retry_after or 0) < 30
    assert service.messages == []


def test_what_slack_gives_a_meaning_to_is_not_cut_in_half():
    for length in range(2_990, 3_010):
        [_, section, *_] = slack.blocks(notification(summary="x" * length + "<>&" * 9))
        assert not any(section["text"]["text"].rstrip("…").endswith(part) for part in ("&", "&l", "&lt", "&g", "&gt"))
