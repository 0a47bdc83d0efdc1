"""Dead letters and test messages over HTTP, with the real notifier on the desk's store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import TypeAdapter

from monitor.notify.lane import DeliveryPolicy
from monitor.notify.outbox import Notifier
from monitor.notify.sender import Delivery, Verdict
from monitor.settings import WebSettings
from monitor.store.base import LeaseLost
from monitor.store.memory import MemoryStore
from monitor.web import answers
from monitor.web import notify as shapes
from monitor.web.api import create_app
from monitor.web.notify import notify_routes
from tests.integration.web.desk import Desk
from tests.unit.monitor.notify.samples import AT, asked, notification, until

QUICK = DeliveryPolicy(base=0.001, refusals=1)
REFUSED = Delivery(Verdict.FATAL, "HTTP 403: no such channel")
DEAD, REQUEUE, TEST = "/api/v1/notify/dead", "/api/v1/notify/requeue", "/api/v1/notify/test"


@pytest.fixture
async def telling(desk: Desk) -> AsyncIterator[Desk]:
    """The desk with a notifier that runs; receivers `desk` and `mail`."""
    desk.notifier = Notifier(desk.store, desk.senders, policy=QUICK, now=lambda: AT)
    await desk.store.acquire("test")
    running = asyncio.create_task(desk.notifier.run())
    yield desk
    running.cancel()
    await asyncio.wait([running])
    desk.compute.close()


@pytest.fixture
async def client(telling: Desk) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(telling, WebSettings())
    app.include_router(notify_routes(telling))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client


async def give_up(desk: Desk, number: int, *receivers: str) -> list[str]:
    """A notification for each receiver, refused; their keys, in order."""
    told = [notification(f"e{number}.{n}", receiver=receiver) for n, receiver in enumerate(receivers)]
    for each in told:
        desk.senders[each.receiver].script.append(REFUSED)
    before = len(desk.store.server.dead)
    await desk.store.dispatch(asked(*told, number=number))
    await until(lambda: len(desk.store.server.dead) == before + len(told))
    return [each.key for each in told]


def fits(shape, body) -> None:
    adapter = TypeAdapter(shape)
    assert adapter.dump_python(adapter.validate_python(body, strict=True), by_alias=True) == body


async def test_a_dead_letter_says_what_it_was_and_why(telling, client):
    [key] = await give_up(telling, 1, "desk")
    [letter] = (await client.get(DEAD)).json()
    fits(shapes.DeadLetter, letter)
    assert (letter["key"], letter["receiver"], letter["kind"]) == (key, "desk", "firing")
    assert (letter["attempts"], letter["error"]) == (1, "refused 1 times; HTTP 403: no such channel")
    assert letter["given_up_at"] == "2026-01-23T15:07:30Z"


async def test_the_status_counts_what_waits_and_what_was_given_up(telling, client):
    await give_up(telling, 1, "desk", "mail")
    await until(lambda: telling.notifier.depth == (0, 2))
    status = (await client.get("/api/v1/status")).json()
    fits(answers.Status, status)
    assert status["notifications"] == {"waiting": 0, "dead": 2}


async def test_what_was_never_a_notification_is_listed_too(telling, client):
    telling.store.server.put(["7-1"], [{"key": b"\xff", "receiver": b"desk", "notification": b"{"}])
    await until(lambda: bool(telling.store.server.dead))
    [letter] = (await client.get(DEAD)).json()
    fits(shapes.DeadLetter, letter)
    assert letter["error"].startswith("not a notification: ")
    assert (letter["receiver"], letter["alert"], letter["at"]) == ("desk", "", None)


async def test_dead_letters_come_in_pages_and_by_receiver(telling, client):
    keys = [*await give_up(telling, 1, "desk", "mail"), *await give_up(telling, 2, "desk")]
    first = await client.get(DEAD, params={"limit": 2})
    rest = await client.get(DEAD + first.links["next"]["url"])
    assert sorted(letter["key"] for page in (first, rest) for letter in page.json()) == sorted(keys)
    assert [letter["key"] for letter in (await client.get(DEAD, params={"receiver": "mail"})).json()] == keys[1:2]


async def test_a_requeued_message_is_delivered_once_with_the_same_key(telling, client):
    [key] = await give_up(telling, 1, "desk")
    [letter] = (await client.get(DEAD)).json()
    answers = [(await client.post(REQUEUE, json={"ids": [letter["id"]]})).json() for _ in range(2)]
    assert answers == [{"requeued": [letter["id"]], "left": []}, {"requeued": [], "left": [letter["id"]]}]
    for answer in answers:
        fits(shapes.Requeued, answer)
    await until(lambda: key in telling.store.server.notified)
    assert telling.senders["desk"].attempts == [key, key]
    assert telling.senders["desk"].delivered == [key]
    assert (await client.get(DEAD)).json() == []


@pytest.mark.parametrize(("body", "left"), [({"all": True}, 0), ({"receiver": "desk"}, 1), ({"receiver": "gone"}, 3)])
async def test_all_or_a_receivers_are_requeued_oldest_first(telling, client, body, left):
    await give_up(telling, 1, "desk")
    await give_up(telling, 2, "mail")
    await give_up(telling, 3, "desk")
    letters = [each["id"] for each in (await client.get(DEAD)).json()]
    assert (await client.post(REQUEUE, json=body)).json()["left"] == []
    await until(lambda: not telling.store.server.outbox)
    remaining = [each["id"] for each in (await client.get(DEAD)).json()]
    assert len(remaining) == left
    assert set(remaining) <= set(letters)
    again = telling.senders["desk"].attempts[2:]
    assert again == sorted(again)


async def test_a_message_that_is_on_its_way_is_not_requeued(telling, client):
    [key] = await give_up(telling, 1, "desk")
    [letter] = (await client.get(DEAD)).json()
    telling.senders["desk"].gate = asyncio.Event()
    await telling.notifier.deliver_now([])
    assert telling.notifier.forget([key, "other"]) == {key, "other"}
    await client.post(REQUEUE, json={"all": True})
    await until(lambda: telling.senders["desk"].under_way == 1)
    assert telling.notifier.forget([key, "other"]) == {"other"}
    telling.senders["desk"].gate.set()
    assert letter["key"] == key


@pytest.mark.parametrize(
    "body", [{}, {"ids": []}, {"ids": ["x"]}, {"ids": ["1-1"], "all": True}, {"all": False}, {"receiver": ""}, {"a": 1}]
)
async def test_a_request_that_does_not_say_which_is_refused(client, body):
    answer = await client.post(REQUEUE, json=body)
    assert (answer.status_code, type(answer.json()["detail"])) == (422, str)


async def test_a_leader_that_was_replaced_requeues_nothing(telling, client):
    await give_up(telling, 1, "desk")
    await MemoryStore(telling.store.server).acquire("other")
    answer = await client.post(REQUEUE, json={"all": True})
    assert (answer.status_code, len(telling.store.server.dead)) == (503, 1)
    with pytest.raises(LeaseLost):
        await telling.store.requeue(["1-0"])


async def test_a_test_message_goes_through_the_receiver_and_its_answer_is_shown(telling, client):
    telling.senders["mail"].script.append(Delivery(Verdict.TRANSIENT, "421 busy"))
    first, second = [(await client.post(TEST, json={"receiver": "mail"})).json() for _ in range(2)]
    fits(shapes.Tried, first)
    assert (first["verdict"], first["detail"], first["target"]) == ("transient", "421 busy", "scripted")
    assert (second["verdict"], second["detail"]) == ("delivered", "scripted: ok")
    assert telling.senders["desk"].attempts == []
    answer = await client.post(TEST, json={"receiver": "male"})
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "there is no receiver 'male'; there are: desk, mail",
    )


async def test_the_audit_log_has_who_did_what(telling, client):
    await give_up(telling, 1, "desk", "desk")
    await client.post(REQUEUE, json={"receiver": "desk"})
    await client.post(TEST, json={"receiver": "mail"})
    log = (await client.get("/api/v1/audit")).json()
    assert [(e["what"], e["target"], e["result"]) for e in log] == [
        ("test message sent", "mail", "done"),
        ("dead letters requeued", "desk", "done"),
    ]
    assert log[1]["details"] == {"count": 2}


@pytest.mark.parametrize("path", ["/api/v1/transitions", "/api/v1/deliveries", DEAD])
@pytest.mark.parametrize("before", ["x", "-1", "1--1", f"{2**64}-0", f"1-{2**64}"])
async def test_a_place_that_no_stream_has_is_refused(client, path, before):
    assert (await client.get(path, params={"before": before})).status_code == 422
