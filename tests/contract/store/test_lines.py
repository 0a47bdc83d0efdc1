from __future__ import annotations

import asyncio

import pytest

from tests.contract.store.backends import Backend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_line_has_one_holder_until_it_lets_go(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    assert await first.hold_line("l", "a", 60_000) == ""
    assert await second.hold_line("l", "b", 60_000) == "a"
    assert await first.hold_line("l", "a", 60_000) == ""
    assert await second.hold_line("l", "b", 0) == "a"
    assert await second.hold_line("other", "b", 60_000) == ""
    assert await first.hold_line("l", "a", 0) == ""
    assert await second.hold_line("l", "b", 60_000) == ""


async def test_a_line_that_is_not_prolonged_is_free(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    await first.hold_line("l", "a", 50)
    async with asyncio.timeout(5):
        while await second.hold_line("l", "b", 60_000):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)
    assert await first.hold_line("l", "a", 50) == "b"


async def test_a_holder_that_has_ended_is_not_waited_for_and_nobody_else_is_put_out(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    await first.hold_line("l", "a", 60_000)
    assert await second.hold_line("l", "c", 60_000, "b") == "a"
    assert await second.hold_line("l", "c", 60_000, "a") == ""
    assert await first.hold_line("l", "a", 60_000) == "c"


async def test_the_salt_is_one_for_all(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    assert len(await first.salt()) == 32
    assert await first.salt() == await second.salt()
