from __future__ import annotations

import pytest

from monitor.store.base import Store
from tests.contract.store.backends import Backend

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_audit_log_is_newest_first_and_takes_entries_from_whoever_has_no_lease(
    backend: Backend, store: Store
):
    assert await store.audit(10) == []
    other = await backend.connect()
    await other.add_audit([{"entry": b"1"}, {"entry": b"2"}])
    await store.add_audit([{"entry": b"3"}])
    assert [fields["entry"] for _, fields in await store.audit(10)] == [b"3", b"2", b"1"]
    assert [fields["entry"] for _, fields in await other.audit(2)] == [b"3", b"2"]
    await store.add_audit([])
    assert len(await store.audit(10)) == 3
