"""Alerts of a recorded day with their pictures, through the real program."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_faults import CLEAN, DAY, RULES
from tests.e2e.world import World, until
from tests.integration.notify.servers import Mailbox, mail_server
from tests.integration.notify.test_pictures import size

pytestmark = pytest.mark.realdata

TOLD = sorted(f"{episode} {kind}" for episode, kind, _ in CLEAN)


def receivers(box: Mailbox) -> dict[str, object]:
    url = f"mailto://127.0.0.1:{box.port}?from=monitor@example.com&to=desk@example.com&mode=insecure"
    return {"receivers": {"desk": {"urls": [url], "picture": True}}}


def told(box: Mailbox) -> list[str]:
    """Of what the mails about the rule are: its episode and state."""
    mails = [m for m in box.mails if "@" in str(m["X-Rotation-Episode"])]
    return sorted(f"{m['X-Rotation-Episode']} {m['X-Rotation-State']}" for m in mails)


def pictures(box: Mailbox) -> list[bytes]:
    return [part.get_content() for mail in box.mails for part in mail.walk() if part.get_content_type() == "image/png"]


def worker_of(daemon: int) -> int:
    """The process that draws: the daemon's child that runs the rasterizer."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command, status = (folder / "cmdline").read_text(), (folder / "status").read_text()
            except OSError:
                continue
            if "raster.py" in command and f"PPid:\t{daemon}\n" in status:
                return int(folder.name)
    return 0


async def outcomes(world: World) -> dict[str, int]:
    async with httpx.AsyncClient(base_url=world.api) as client:
        text = (await client.get("/metrics")).text
    found = re.findall(r'^rotation_pictures_total\{outcome="(\w+)"\} ([\d.]+)', text, re.MULTILINE)
    return {outcome: int(float(count)) for outcome, count in found}


async def started(world: World) -> int:
    """Start the daemon; its drawing process, warmed."""
    await world.start_daemon()
    await world.daemon.says("pictures can be drawn")
    return worker_of(world.daemon.process.pid)


async def test_every_alert_of_the_day_is_mailed_and_what_has_a_picture_has_a_whole_one(
    tmp_path, shared_tools, shared_data
):
    with mail_server() as box:
        async with World(tmp_path, shared_tools, shared_data, RULES, settings=receivers(box)) as world:
            await world.play(**DAY, speed=600)
            await started(world)
            await until(lambda: told(box) == TOLD, f"{TOLD} among the mails", 120)
            # A late one is drawn as well, for whoever asks next.
            async with asyncio.timeout(60):
                while (counts := await outcomes(world)).get("drawn", 0) < len(TOLD):  # noqa: ASYNC110 - another process counts
                    await asyncio.sleep(0.1)
            assert counts.keys() <= {"drawn", "late"}
            assert len(pictures(box)) == len(TOLD) - counts.get("late", 0)
            assert {size(png) for png in pictures(box)} <= {(1350, 630)}
            assert await world.daemon.end() == 0


async def test_a_drawing_process_that_hangs_costs_no_message_and_ends_with_the_daemon(
    tmp_path, shared_tools, shared_data
):
    with mail_server() as box:
        async with World(tmp_path, shared_tools, shared_data, RULES, settings=receivers(box)) as world:
            await world.play(**DAY, speed=600)
            worker = await started(world)
            os.kill(worker, signal.SIGSTOP)
            await until(lambda: told(box) == TOLD, f"{TOLD} among the mails", 120)
            assert (await outcomes(world))["late"] >= 1
            assert world.daemon.said("message goes without its picture")
            worker = worker_of(world.daemon.process.pid) or worker  # another one, if the first was given up
            await world.kill_daemon()
            await until(lambda: not Path(f"/proc/{worker}").exists(), "an end of the process that draws")
