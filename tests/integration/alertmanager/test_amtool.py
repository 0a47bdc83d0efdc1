"""amtool as Debian has it says the same of the monitor as of a real Alertmanager that was told the same things."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.integration.alertmanager.rig import ALERTS, needs, ours, post, real_alertmanager, run

pytestmark = pytest.mark.services

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| UTC)")
SILENCES = """[
 {"matchers": [{"name": "alertname", "value": "stale", "isRegex": false}], "startsAt": "2026-01-01T00:00:00.000Z",
  "endsAt": "2199-01-01T00:00:00.000Z", "createdBy": "desk", "comment": "known"},
 {"matchers": [{"name": "member", "value": "I.*", "isRegex": true},
               {"name": "theme", "value": "", "isRegex": false, "isEqual": false}],
  "startsAt": "2197-01-01T00:00:00.000Z", "endsAt": "2198-01-01T00:00:00.000Z", "createdBy": "a", "comment": "later"}
]"""


@pytest.fixture(autouse=True)
def programs():
    needs("amtool", "prometheus-alertmanager")


def normal(text: str, ids: dict[str, str]) -> str:
    """Ids by their order, times that are the call's own as T."""
    text = _ID.sub(lambda found: ids.setdefault(found[0], f"<id {len(ids)}>"), text)
    text = _TIME.sub(lambda found: found[0] if found[0].startswith(("2026-01-23", "2199", "2198")) else "T", text)
    text = re.sub(r'"silencedBy":\[([^]]+)\]', lambda found: f'"silencedBy":{sorted(found[1].split(","))}', text)
    # A route to several receivers is one receiver there, whose name lists them.
    text = re.sub(r'\{"name":"(\w+),(\w+)"\}', r'{"name":"\1"},{"name":"\2"}', text)
    return re.sub(r'"updatedAt":"[^"]*"', '"updatedAt":"T"', text)


class Amtool:
    """One amtool against two servers; `ids` are those of silences by server."""

    def __init__(self, *urls: str) -> None:
        self.urls = urls
        self.ids: list[dict[str, str]] = [{} for _ in urls]
        self.made: list[list[str]] = [[] for _ in urls]

    async def both(self, *arguments: str, given: str | None = None, made: bool = False) -> tuple[int, str, str]:
        """What both say, which is the same but for the words of an error. ``@0`` is the first silence that was made."""
        answers = []
        for url, ids, known in zip(self.urls, self.ids, self.made, strict=True):
            words = [known[int(each[1:])] if each.startswith("@") else each for each in arguments]
            code, out, err = await run("amtool", f"--alertmanager.url={url}", *words, given=given)
            if made:
                known.extend(_ID.findall(out))
            answers.append((code, normal(out, ids), normal(err.replace(url, "URL"), ids)))
        mine, theirs = answers
        assert mine[:2] == theirs[:2], arguments
        assert bool(mine[2]) == bool(theirs[2]), arguments
        return mine


async def test_what_amtool_says(tmp_path: Path):
    async with ours() as mine, real_alertmanager(tmp_path, mine.original) as real:
        tool = Amtool(mine.url, real)
        for url in tool.urls:
            await post(url, ALERTS)
        _, out, _ = await tool.both("alert", "query")
        assert "feed-down" in out
        assert "stale" not in out  # `feed-down` inhibits it
        for words in (
            ["-o", "json"],
            ["-o", "extended"],
            ["-i"],
            ["-s", "-i", "-o", "json"],
            ["--active"],
            ["--unprocessed"],
            ["small-caps-lead"],
            ["severity=critical"],
            ["severity!=critical", "theme=size"],
            ['severity=~"crit.*|page"'],
            ["severity!~crit", "-o", "json"],
            ['sector="a \\"b\\", c\\\\d"', "-o", "json"],
            ["member="],
            ["nothing=here"],
            ["--receiver=night"],
            ["--receiver=n.*", "-o", "json"],
            ["--receiver=("],
            ["severity=~("],
        ):
            await tool.both("alert", "query", *words)
        await tool.both("alert", "add", "by-hand", "theme=rates", "--annotation=summary=from hand", f"--start={START}")
        await tool.both("alert", "add", "theme=none", "severity=info", "--end=2199-01-01T00:00:00Z")
        await tool.both("alert", "add", "bad", "9theme=x")
        await tool.both("alert", "query", "theme=rates", "-o", "extended")
        for number, words in enumerate(
            (
                ["severity=critical", "--comment=busy", "--author=me", "--duration=2h"],
                ["alertname=~small.*", 'theme!~"a|b"', "--comment=x", "--author=me", "--end=2199-01-02T00:00:00Z"],
                ["ünï", "--comment=y", "--author=é", "--start=2198-01-01T00:00:00Z", "--end=2199-01-03T00:00:00Z"],
            )
        ):
            code, *_ = await tool.both("silence", "add", *words, made=True)
            assert code == 0
            assert all(len(known) == number + 1 for known in tool.made)
        for words in (["alertname=~.*", "--comment=x"], ["a=b"], ["a=b", "--comment=x", "--duration=0s"]):
            code, *_ = await tool.both("silence", "add", "--author=me", *words)
            assert code == 1
        for words in (
            [],
            ["-o", "extended"],
            ["alertname=~small.*"],
            ["-q"],
            ["--created-by=me"],
            ["--within=3h"],
            ["--expired", "--within=1h"],
            ["@0"],
            ["theme=x"],
            ["-o", "json"],
            ["severity=~("],
        ):
            await tool.both("silence", "query", *words)
        await tool.both("alert", "query", "-s", "-o", "json")
        await tool.both("alert", "query", "-s", "-i")
        await tool.both("alert", "query", "--inhibited")
        code, *_ = await tool.both("silence", "update", "@0", "--comment=still busy", "--duration=3h", made=True)
        assert code == 0
        assert all(known[-1] == known[0] for known in tool.made)
        await tool.both("silence", "query", "-o", "extended")
        (tmp_path / "silences.json").write_text(SILENCES)
        code, *_ = await tool.both("silence", "import", "--worker=1", str(tmp_path / "silences.json"))
        assert code == 0
        await tool.both("silence", "query", "later", "-o", "extended")
        # The list is by ends, and the real one's order of equal ends changes.
        again = SILENCES.replace("2199", "2196").replace("2198", "2195").replace("2197", "2194")
        code, *_ = await tool.both("silence", "import", "--worker=1", given=again)
        assert code == 0
        over = SILENCES.replace('": "21', '": "19')
        for wrong in ("[{", '[{"matchers": [], "comment": "of nothing"}]', over):
            await tool.both("silence", "import", "--worker=1", given=wrong)
        nobody = "00000000-0000-0000-0000-000000000000"
        for words in (["expire", nobody], ["expire"], ["update", nobody, "--comment=x"], ["update", "@1", "--end=x"]):
            code, *_ = await tool.both("silence", *words)
            assert code == 1
        for each in ("@1", "@2"):
            code, *_ = await tool.both("silence", "expire", each)
            assert code == 0
        await tool.both("silence", "query")
        await tool.both("silence", "query", "--expired")
        await tool.both("alert", "query", "-s", "-o", "json")
        await tool.both("cluster", "show")


START = "2026-01-23T15:00:00Z"


def said_too(mine: object, theirs: object) -> bool:
    """Whether `theirs` says all that `mine` says; it may say more, such as the defaults."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return all(name in theirs and said_too(mine[name], theirs[name]) for name in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(said_too, mine, theirs))
    return mine == theirs


async def test_the_configuration(tmp_path: Path):
    async with ours() as mine, real_alertmanager(tmp_path, mine.original) as real:
        assert (tmp_path / "alertmanager.yml").read_text() == mine.original
        code, out, err = await run("amtool", "check-config", str(tmp_path / "alertmanager.yml"))
        assert code == 0, err
        assert "SUCCESS" in out
        code, out, _ = await run("amtool", "config", "show", f"--alertmanager.url={mine.url}")
        assert code == 0
        assert out.strip() == mine.original.strip()
        code, theirs, _ = await run("amtool", "config", "show", f"--alertmanager.url={real}")
        assert code == 0
        assert said_too(yaml.safe_load(out), yaml.safe_load(theirs)), theirs
        tool = Amtool(mine.url, real)
        await tool.both("config", "routes", "show")
        names = {"alertname": ("lead", "feed-down"), "severity": ("info", "critical", "page"), "theme": ("size", "")}
        for values in itertools.product(*names.values()):
            labels = {name: value for name, value in zip(names, values, strict=True) if value}
            _, out, _ = await tool.both("config", "routes", "test", *(f"{n}={v}" for n, v in labels.items()))
            routed = [name for route in mine.policy.route.matching(labels) for name in route.receivers]
            assert out.strip() == ",".join(routed)


async def test_a_token(tmp_path: Path):
    """amtool sends what its file of HTTP settings says."""
    async with ours(web={"token": "correct-horse-battery"}) as mine:
        code, _, err = await run("amtool", f"--alertmanager.url={mine.url}", "alert", "query")
        assert code == 1
        assert "401" in err
        settings = tmp_path / "http.json"
        settings.write_text(json.dumps({"authorization": {"credentials": "correct-horse-battery"}}))
        code, _, err = await run(
            "amtool", f"--alertmanager.url={mine.url}", f"--http.config.file={settings}", "alert", "query"
        )
        assert code == 0, err
