"""The link in a message, asked for as browsers and mail scanners do, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from monitor.alerting.ack_links import AckLinks
from monitor.settings import WebSettings
from monitor.store.base import StoreUnavailable
from monitor.store.memory import MemoryStore
from monitor.web.ack_links import ack_page
from monitor.web.api import create_app
from tests.integration.web import desk as desks
from tests.integration.web.desk import Desk, ny, serving
from tests.integration.web.test_events import events, until

WALL = 1_800_000_000 * 10**9
DAY = 24 * 3_600 * 10**9
WEB = WebSettings(token="a-token-of-some-length")


class Clock:
    now = WALL


@pytest.fixture
def machine() -> Clock:
    return Clock()


@contextlib.asynccontextmanager
async def linked(desk: Desk, machine: Clock, monkeypatch) -> AsyncIterator[tuple[httpx.AsyncClient, AckLinks]]:
    """A monitor with a token, an alert that fires, and a client that has no token."""
    await desk.store.acquire("test")
    links = await AckLinks.open(desk.store, "https://desk.example")

    def with_links(daemon, web):
        app = create_app(daemon, web)
        app.include_router(ack_page(daemon, links, lambda: machine.now))
        return app

    monkeypatch.setattr(desks, "create_app", with_links)
    async with serving(desk, WEB) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        await desk.trades(ny("2026-01-23 10:00"), IWM=250.0, SPY=600.0)
        await desk.trades(ny("2026-01-23 10:05"), IWM=253.0, SPY=600.0)
        yield client, links


def path(links: AckLinks, episode: str, sequence: int = 1) -> str:
    return links.url(episode, "desk", sequence, WALL).removeprefix("https://desk.example")


def open_episode(desk: Desk) -> str:
    (alert,) = desk.dispatcher.alerts()
    return alert.episode


async def test_get_changes_nothing_and_post_acknowledges_once(desk, machine, monkeypatch):
    async with linked(desk, machine, monkeypatch) as (client, links):
        episode = open_episode(desk)
        link = path(links, episode)
        for method in ("GET", "HEAD", "GET"):
            answer = await client.request(method, link)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")
        assert "Small caps lead by" in (await client.get(link)).text
        assert '<form method="post">' in (await client.get(link)).text
        assert desk.dispatcher.acks == {}
        authorized = {"Authorization": "Bearer a-token-of-some-length"}
        async with client.stream("GET", "/api/v1/events", headers=authorized) as response:
            stream = events(response)
            await anext(stream)
            done = await client.post(link, headers={"Origin": str(client.base_url)})
            assert done.status_code == 200
            _, told = await until(stream, lambda e: e[0] == "ack")
        assert told["episode"] == episode
        assert desk.dispatcher.acks[episode].by == "desk by link"
        await desk.dispatcher.withdraw(episode)
        for method in ("GET", "POST"):
            again = await client.request(method, link)
            assert (again.status_code, "works once" in again.text) == (409, True)
        assert desk.dispatcher.acks == {}
        assert (await client.post(path(links, episode, 2))).status_code == 200, "a later message has a link of its own"
        entries = (await client.get("/api/v1/audit", headers=authorized)).json()
        assert next((e["what"], e["target"], e["who"], e["result"]) for e in entries[::-1]) == (
            "acknowledged by link",
            episode,
            "link of desk",
            "done",
        )
        assert links.url(episode, "desk", 1, WALL).partition("token=")[2] not in str(entries)


async def test_of_two_at_a_time_one_acknowledges(desk, machine, monkeypatch):
    async with linked(desk, machine, monkeypatch) as (client, links):
        link = path(links, open_episode(desk))
        answers = await asyncio.gather(*(client.post(link) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]


@pytest.mark.parametrize("failing", ["acks", "ack_links"])
async def test_no_link_is_used_up_without_an_acknowledgement_nor_twice(desk, machine, monkeypatch, failing):
    async with linked(desk, machine, monkeypatch) as (client, links):
        episode, keep, away = open_episode(desk), desk.store.keep_records, [failing]

        async def unreliable(name, records):
            if name in away:
                raise StoreUnavailable("no answer in time")
            await keep(name, records)

        monkeypatch.setattr(desk.store, "keep_records", unreliable)
        first = await client.post(path(links, episode))
        away.clear()
        if failing == "acks":
            assert (first.status_code, desk.dispatcher.acks) == (503, {})
            assert (await client.post(path(links, episode))).status_code == 200
        else:
            assert first.status_code == 200
        assert [*desk.dispatcher.acks] == [episode]
        await desk.dispatcher.withdraw(episode)
        assert (await client.post(path(links, episode))).status_code == 409


async def test_what_is_changed_too_old_or_over_is_refused_politely(desk, machine, monkeypatch):
    async with linked(desk, machine, monkeypatch) as (client, links):
        episode = open_episode(desk)
        link = path(links, episode)
        other = await AckLinks.open(await held(), "https://desk.example")
        machine.now = WALL + 9 * DAY
        assert (await client.post(link)).status_code == 410
        machine.now = WALL
        assert (await client.post(path(links, "nothing@2026-01-23.1"))).status_code == 410
        await desk.dispatcher.acknowledge(episode, "ann")
        taken = await client.post(link)
        assert (taken.status_code, "has taken this on" in taken.text) == (409, True)
        wrong = ["/ack", "/ack?token=", "/ack?token=.", f"{link}x", link[:-1], path(other, episode), "/ack?token=é.é"]
        answers = [await client.post(each) for each in wrong]
        assert [answer.status_code for answer in answers[:5]] == [400] * 5
        assert {answer.status_code for answer in answers[5:]} == {429}, "who makes links up is slowed down"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await client.get(link)).status_code == 409, "good links are read all the same"
        assert desk.dispatcher.acks[episode].by == "ann"


async def test_another_sites_page_cannot_send_it(desk, machine, monkeypatch):
    async with linked(desk, machine, monkeypatch) as (client, links):
        link = path(links, open_episode(desk))
        assert (await client.post(link, headers={"Origin": "https://evil.example"})).status_code == 403
        assert desk.dispatcher.acks == {}


async def test_a_second_monitor_on_the_store_knows_links_and_what_was_used():
    store = await held()
    first = await AckLinks.open(store, "https://desk.example")
    token, other = (first.url("a@1", "desk", n, WALL).partition("token=")[2] for n in (1, 2))
    await first.use(first.read(token, WALL), WALL)
    second = await AckLinks.open(store, "https://desk.example")
    assert second.read(other, WALL) == first.read(other, WALL)
    with pytest.raises(ValueError, match="used before"):
        second.read(token, WALL)
    later = second.read(second.url("b@1", "desk", 1, WALL + 30 * DAY).partition("token=")[2], WALL + 30 * DAY)
    await second.use(later, WALL + 30 * DAY)
    assert len(await store.records("ack_links")) == 2, "the key and the new one: the old one is forgotten"


async def held() -> MemoryStore:
    store = MemoryStore()
    await store.acquire("test")
    return store
