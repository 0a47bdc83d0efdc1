"""Everything that is served on the daemon's port: the page, the native API, and Alertmanager's."""

from __future__ import annotations

from typing import Protocol

from fastapi import FastAPI

from connectors.backlog import Backlog
from monitor import clock
from monitor.alerting.policy import Policy
from monitor.positions import Positions
from monitor.settings import Settings
from monitor.web import api, feeds, notify
from monitor.web.alertmanager.original import original
from monitor.web.alertmanager.routes import alertmanager
from monitor.web.ingest import ingest


class Daemon(api.Daemon, feeds.Daemon, notify.Daemon, Protocol):
    """What all routes show of the daemon."""


def application(daemon: Daemon, config: Settings, policy: Policy, backlog: Backlog, positions: Positions) -> FastAPI:
    """The application; `backlog` and `positions` take what other programs send in."""
    app = api.create_app(daemon, config.web)
    app.include_router(ingest(backlog, positions))
    app.include_router(feeds.feed_page(daemon))
    app.include_router(notify.notify_routes(daemon))
    started = clock.wall_ns()
    app.include_router(
        alertmanager(daemon.dispatcher, policy, list(config.receivers), original(config, policy), started)
    )
    return app
