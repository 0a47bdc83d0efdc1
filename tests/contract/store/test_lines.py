from __future__ import annotations

import pytest

from tests.contract.store.backends import Backend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_line_has_one_holder_until_it_lets_go(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    assert await first.hold_line("l", "a", "1") == ""
    assert await second.hold_line("l", "b", "1") == "a\n1"
    assert await first.hold_line("l", "a", "2") == ""
    assert await second.hold_line("l", "b", "") == "a\n2"
    assert await second.hold_line("other", "b", "1") == ""
    assert await first.hold_line("l", "a", "") == ""
    assert await second.hold_line("l", "b", "2") == ""


async def test_who_is_alike_up_to_a_line_feed_is_somebody_else(backend: Backend):
    store = await backend.connect()
    assert await store.hold_line("l", "host:1 iex\nx", "1") == ""
    assert await store.hold_line("l", "host:1 iex\ny", "1") == "host:1 iex\nx\n1"
    assert await store.hold_line("l", "host:1 iex", "1") == "host:1 iex\nx\n1"
    assert await store.hold_line("l", "host:1 iex\nx", "2") == ""


async def test_a_holder_that_has_ended_gives_way_and_one_that_has_beaten_since_does_not(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    await first.hold_line("l", "a", "1")
    assert await second.hold_line("l", "c", "1", "b\n1") == "a\n1"
    await first.hold_line("l", "a", "2")
    assert await second.hold_line("l", "c", "1", "a\n1") == "a\n2"
    assert await second.hold_line("l", "c", "1", "a\n2") == ""
    assert await first.hold_line("l", "a", "3") == "c\n1"


async def test_the_salt_is_one_for_all(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    assert len(await first.salt()) == 32
    assert await first.salt() == await second.salt()
