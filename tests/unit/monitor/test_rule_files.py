"""Watching rule files, whatever happens to them."""

from __future__ import annotations

import asyncio

from monitor.rule_files import read_rules, stamp, watch


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


def test_a_receiver_that_is_not_configured_is_named_where_it_stands(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "groups:\n- name: g\n  escalate: [{after: 15m, to: [desk, bos]}]\n"
        "  rules: [{alert: a, when: 'ret(IWM, 1d) > 1%', notify: dsk}]\n"
    )
    loaded = read_rules([path], {"desk", "boss"})
    assert loaded.ruleset is None
    assert [(d.line, d.column, d.message) for d in loaded.diagnostics if d.severity.value == "error"] == [
        (4, 1, "`a` notifies `dsk`, which is no configured receiver"),
        (3, 38, "`a` escalates to `bos`, which is no configured receiver"),
    ]
