"""The webhook of a real Alertmanager and ours, for the same alerts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor import clock
from monitor.notify.compose import message
from monitor.notify.message import AlertNotice
from monitor.notify.receivers import open_receiver
from tests.integration.alertmanager.rig import needs, real_alertmanager
from tests.integration.notify.servers import web_server
from tests.unit.monitor.notify.samples import notification, until

CONFIG = """\
route: {receiver: desk, group_by: [theme], group_wait: 1s}
receivers: [{name: desk, webhook_configs: [{url: "http://127.0.0.1:%d/hook"}]}]
"""
OURS_TOO = {"idempotencyKey", "kind", "summary", "severity"}
OURS_EACH = {"idempotencyKey", "kind", "episode", "value", "valueType", "evidence", "ackURL"}


def told() -> list[AlertNotice]:
    at = clock.wall_ns() - 60_000_000_000
    each = [notification(f"e{m}", labels={"theme": "size", "member": m}, annotations={"z": m}) for m in ("IWM", "SPY")]
    return [replace(notice, started_at=at, at=at) for one in each for notice in one.notices]


def shape(value: Any) -> Any:
    return {name: type(item) for name, item in value.items()}


@pytest.mark.services
async def test_a_program_that_reads_alertmanagers_reads_ours(tmp_path: Path):
    needs("prometheus-alertmanager")
    with web_server() as theirs, web_server() as ours:
        async with real_alertmanager(tmp_path, CONFIG % theirs.port) as real:
            notices = told()
            there = open_receiver([real.replace("http", "alertmanager")], deadline=10)
            assert (await there.send(message("desk", notices))).delivered
            here = open_receiver([f"webhook://127.0.0.1:{ours.port}/hook"], deadline=10, page="http://monitor.example")
            sent = message("desk", notices, group_key='{}:{theme="size"}', group_labels={"theme": "size"})
            assert (await here.send(sent)).delivered
            await until(lambda: bool(theirs.posts), 30)
            await there.close()
            await here.close()
    [wanted, *_], [found] = theirs.posts, ours.posts
    assert shape({name: item for name, item in found.items() if name not in OURS_TOO}) == shape(wanted)
    for name in {*wanted} - {"alerts", "externalURL", "groupKey"}:
        assert found[name] == wanted[name], name
    by_print = {alert["fingerprint"]: alert for alert in wanted["alerts"]}
    assert len(by_print) == len(found["alerts"]) == 2
    for alert in found["alerts"]:
        other = by_print[alert["fingerprint"]]
        assert shape({name: item for name, item in alert.items() if name not in OURS_EACH}) == shape(other)
        for name in ("status", "labels", "annotations", "endsAt"):
            assert alert[name] == other[name], name
        assert alert["startsAt"][:26] == other["startsAt"][:26]
    assert ours.headers[0]["Idempotency-Key"] == sent.key
    assert ours.headers[0]["Content-Type"] == theirs.headers[0]["Content-Type"]
