"""Watching rule files, whatever happens to them."""

from __future__ import annotations

import asyncio

from monitor.rule_files import stamp, watch


def test_what_cannot_be_looked_at_ends_nothing(tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text("version: 1")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    assert stamp([tmp_path, tmp_path / "missing", good / "below-a-file"]).keys() == {good}


async def test_a_file_that_is_being_written_is_not_read_half(tmp_path):
    path, read, told = tmp_path / "rules.yaml", [], asyncio.Event()

    async def changed():
        read.append(path.read_text())
        told.set()

    path.write_text("old")
    watching = asyncio.create_task(watch([path], changed))
    await asyncio.sleep(0.05)
    with path.open("w") as stream:
        for number in range(20):  # seen at least once on the way
            stream.write(f"part {number}\n")
            stream.flush()
            await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await told.wait()
    watching.cancel()
    assert [text.count("part") for text in read] == [20]
