"""Ten thousand alerts at once, through the dispatcher, the store and the receivers' own services."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import yaml

from monitor import clock
from monitor.alerting import configured
from monitor.alerting.alert import Posted
from monitor.alerting.dispatcher import Dispatcher
from monitor.calendar import TradingCalendar
from monitor.notify.outbox import Notifier
from monitor.notify.receivers import open_receiver
from monitor.settings import Settings
from monitor.store.embedded import EmbeddedValkey
from monitor.store.redis_store import RedisStore
from tests.integration.notify.servers import mail_server, web_server
from tests.unit.monitor.notify.samples import until

COUNT, THEMES = 10_000, 20
CONFIG = """\
store: {url: embedded}
feeds: {}
receivers:
  hook: {type: webhook, urls: ["http://127.0.0.1:%d/hook"]}
  mail: {urls: ["mailto://127.0.0.1:%d?from=monitor@example.com&to=desk@example.com"]}
route: {receiver: [hook, mail], group_by: [theme], group_wait: 300ms, group_interval: 1s}
"""


async def test_ten_thousand_alerts_are_a_message_for_each_group_and_not_one_is_lost(tmp_path: Path):
    async with contextlib.AsyncExitStack() as stack:
        hook, box = stack.enter_context(web_server()), stack.enter_context(mail_server())
        settings = Settings.model_validate(yaml.safe_load(CONFIG % (hook.port, box.port)))
        server = EmbeddedValkey(tmp_path)
        await server.start()
        stack.push_async_callback(server.stop)
        store = RedisStore(server.url)
        await store.open()
        stack.push_async_callback(store.close)
        await store.acquire("test")
        dispatcher = Dispatcher(store, configured.policy(settings, TradingCalendar()), exact=False)
        await dispatcher.load(0)
        dispatcher.committed([])
        senders = {
            name: open_receiver([url.get_secret_value() for url in receiver.urls], deadline=10)
            for name, receiver in settings.receivers.items()
        }
        tasks = [asyncio.create_task(each) for each in (dispatcher.run(), Notifier(store, senders).run())]
        posts = [
            Posted(
                labels={"alertname": "lead", "member": f"M{i}", "theme": f"t{i % THEMES}", "severity": "warning"},
                starts_at=clock.wall_ns(),
            )
            for i in range(COUNT)
        ]
        try:
            await dispatcher.receive(posts)

            def members() -> set[str]:
                return {alert["labels"]["member"] for post in hook.posts for alert in post["alerts"]}

            await until(lambda: len(members()) == COUNT, 60)
            await until(lambda: len(box.mails) >= THEMES, 60)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert len(hook.posts) <= 2 * THEMES
    assert len(box.mails) <= 2 * THEMES
    assert len({post["idempotencyKey"] for post in hook.posts}) == len(hook.posts)
    told = [alert["fingerprint"] for post in hook.posts for alert in post["alerts"]]
    assert len(told) == len(set(told)) == COUNT
    for post in hook.posts:
        assert post["groupLabels"] == {"theme": post["commonLabels"]["theme"]}
        assert post["status"] == "firing"
