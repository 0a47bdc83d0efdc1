"""One message to real servers, as apprise sends it."""

from __future__ import annotations

import asyncio
import base64

import pytest
import standardwebhooks

from monitor.notify.apprise_sender import AppriseSender
from monitor.notify.credentials import Credentials
from monitor.notify.message import Notification
from monitor.notify.receivers import open_receiver
from monitor.notify.sender import Verdict
from rules.transition import State
from tests.integration.notify.servers import free_port, mail_server, web_server
from tests.unit.monitor.notify.samples import AT, compose, transition, until

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

ADDRESSES = "from=monitor@example.com&to=desk@example.com"


def told(state: State = State.FIRING) -> Notification:
    return compose(transition(new=state), ["desk"])[0]


async def send_once(url: str, deadline: float = 10.0, notification: Notification | None = None):
    sender = AppriseSender([url], deadline)
    try:
        return await sender.send(notification or told())
    finally:
        await sender.close()


@pytest.mark.parametrize("login", [False, True])
async def test_a_mail_arrives_with_the_evidence(login):
    user = "user:pass@" if login else ""
    with mail_server(login=login) as box:
        outcome = await send_once(f"mailto://{user}127.0.0.1:{box.port}?mode=insecure&{ADDRESSES}")
        assert outcome.verdict is Verdict.DELIVERED, outcome.detail
    [mail] = box.mails
    assert mail["Subject"] == "[FIRING] small-caps-turn fired: excess(IWM, SPY, 1d) = -104bp (< -100bp)"
    assert (mail["From"], mail["To"]) == ("monitor@example.com", "desk@example.com")
    assert mail["X-Rotation-Key"] == "small-caps-turn-2026-01-23-1:firing:1:desk"
    assert (mail["X-Rotation-Episode"], mail["X-Rotation-State"]) == ("small-caps-turn-2026-01-23-1", "firing")
    lines = [line.strip() for line in box.text(0).splitlines()]
    assert {
        "State: firing",
        "Episode: small-caps-turn-2026-01-23-1",
        "Threshold: excess(IWM, SPY, 1d) < -100bp",
        "IWM 266.125 at 2026-01-23 10:07:29 EST (2026-01-23T15:07:29Z)",
        "key: small-caps-turn-2026-01-23-1:firing:1:desk",
    } <= set(lines)
    html = mail.get_body(("html",))
    assert html is not None
    assert "Episode: small-caps-turn-2026-01-23-1<br/>" in html.get_content()
    assert len(box.logins) == (1 if login else 0)


async def test_a_webhook_gets_fields_for_programs_and_the_text_for_people():
    with web_server() as hook:
        outcome = await send_once(
            f"json://127.0.0.1:{hook.port}/hook?:desk=equities&+X-Token=hunter2", notification=told(State.RESOLVED)
        )
    assert outcome.verdict is Verdict.DELIVERED, outcome.detail
    [post], [headers] = hook.posts, hook.headers
    assert post["key"] == "small-caps-turn-2026-01-23-1:resolved:2:desk"
    assert (post["state"], post["episode"], post["sequence"]) == ("resolved", "small-caps-turn-2026-01-23-1", 2)
    assert post["evidence"]["prices"]["IWM"] == {"price": 266.125, "ts": AT - 1_000_000_000}
    assert post["labels"] == {"theme": "size", "desk": "equities"}
    assert (post["value"], post["type"], post["desk"]) == (-0.0104, "success", "equities")
    assert "Episode: small-caps-turn-2026-01-23-1" in post["message"].splitlines()
    assert headers["X-Token"] == "hunter2"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (404, Verdict.FATAL),
        (403, Verdict.FATAL),
        (429, Verdict.TRANSIENT),
        (500, Verdict.TRANSIENT),
        (503, Verdict.TRANSIENT),
    ],
)
async def test_what_a_web_service_answers_decides(status, verdict):
    with web_server() as hook:
        hook.status = status
        outcome = await send_once(f"json://127.0.0.1:{hook.port}/hunter2hunter2")
    assert outcome.verdict is verdict
    assert f"error={status}" in outcome.detail
    assert "hunter2" not in outcome.detail


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("550 no such mailbox", Verdict.FATAL), ("451 greylisted, come back", Verdict.TRANSIENT)],
)
async def test_what_a_mail_server_answers_decides(answer, verdict):
    with mail_server(answer=answer) as box:
        outcome = await send_once(f"mailto://127.0.0.1:{box.port}?{ADDRESSES}")
    assert outcome.verdict is verdict
    assert answer.split(maxsplit=1)[1] in outcome.detail


async def test_a_wrong_password_is_fatal_and_not_shown():
    with mail_server(login=True) as box:
        outcome = await send_once(f"mailto://user:hunter2hunter2@127.0.0.1:{box.port}?mode=insecure&{ADDRESSES}")
    assert outcome.verdict is Verdict.FATAL
    assert "535" in outcome.detail
    assert "hunter2" not in outcome.detail
    assert box.mails == []


async def test_a_receiver_of_posts_can_tell_who_they_are_from():
    key = "whsec_" + base64.b64encode(b"of twenty-four bytes, it").decode()
    credentials = Credentials(token="T0KEN", key=key)
    with web_server() as hook:
        for scheme in ("webhook", "alertmanager"):
            sender = open_receiver([f"{scheme}://127.0.0.1:{hook.port}"], credentials=credentials)
            assert (await sender.send(told())).delivered
            await sender.close()
    assert [headers["Authorization"] for headers in hook.headers] == ["Bearer T0KEN", "Bearer T0KEN"]
    assert standardwebhooks.Webhook(key).verify(hook.bodies[0], hook.headers[0]) == hook.posts[0]


@pytest.mark.parametrize("url", ["json://127.0.0.1:{port}", "mailto://127.0.0.1:{port}?" + ADDRESSES])
async def test_nobody_there_may_pass(url):
    outcome = await send_once(url.format(port=free_port()))
    assert outcome.verdict is Verdict.TRANSIENT
    assert "refused" in outcome.detail.lower()


async def test_an_answer_after_the_deadline_is_waited_for_and_not_asked_twice():
    with web_server() as hook:
        hook.gate.clear()
        sender = AppriseSender([f"json://127.0.0.1:{hook.port}?rto=20"], deadline=0.3)
        first = await sender.send(told())
        assert first.verdict is Verdict.TRANSIENT
        assert "no answer within 0.3 s" in first.detail
        hook.gate.set()
        second = await sender.send(told())
        await sender.close()
    assert second.verdict is Verdict.DELIVERED
    assert (len(hook.posts), hook.requests) == (1, 1)


async def test_the_event_loop_goes_on_while_a_service_is_silent():
    with web_server() as hook:
        hook.gate.clear()
        sender = AppriseSender([f"json://127.0.0.1:{hook.port}"], deadline=1.0)
        sending = asyncio.create_task(sender.send(told()))
        await until(lambda: hook.requests == 1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert loop.time() - began < 0.9
        hook.gate.set()
        assert (await sending).delivered
        await sender.close()


async def test_a_closed_sender_answers_instead_of_raising():
    with web_server() as hook:
        sender = AppriseSender([f"json://127.0.0.1:{hook.port}"])
        await sender.close()
        assert (await sender.send(told())).verdict is Verdict.TRANSIENT
