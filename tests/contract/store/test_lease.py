from __future__ import annotations

import asyncio

import pytest

from monitor.store.base import LEASE_MS, LeaseLost
from tests.contract.store.backends import Backend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_lease_that_lasts_is_nobody_elses(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    assert await first.claim("a") == ""
    assert await second.claim("b") == "1:a"
    await first.renew()
    with pytest.raises(LeaseLost):
        await second.renew()


async def test_a_lease_that_is_let_go_is_taken_at_once_and_the_old_one_writes_no_more(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    await first.claim("a")
    await first.release()
    await first.keep_records("acks", {"before": b"1"})
    assert await second.claim("b") == ""
    for refused in (first.renew(), first.release(), first.keep_records("acks", {"after": b"1"})):
        with pytest.raises(LeaseLost):
            await refused
    assert await second.records("acks") == {"before": b"1"}


async def test_a_lease_that_is_not_renewed_ends(backend: Backend):
    first, second = await backend.connect(), await backend.connect()
    await first.claim("a")
    async with asyncio.timeout(4 * LEASE_MS / 1000):
        while await second.claim("b"):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.02)
    with pytest.raises(LeaseLost):
        await first.renew()


async def test_the_same_owner_takes_its_lease_again(backend: Backend):
    first, again = await backend.connect(), await backend.connect()
    await first.claim("a")
    assert await again.claim("a") == ""
    with pytest.raises(LeaseLost):
        await first.renew()
