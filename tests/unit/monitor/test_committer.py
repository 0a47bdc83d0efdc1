"""What the committer keeps of what it wrote, for a server that loses the end of it."""

from __future__ import annotations

import asyncio

from monitor.committer import Committer
from monitor.pipeline import Result
from monitor.store.base import Commit, JournalEntry, JournalId, StoreRewound


class Forgetful:
    """A store that takes commits, and once says that it has lost all but the first."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.lost = False

    async def commit(self, commits) -> None:
        if len(self.commits) == 3 and not self.lost:
            self.lost = True
            del self.commits[1:]
            raise StoreRewound("restarted")
        self.commits += commits

    async def claim(self, _owner) -> str:
        return ""

    async def last_journal_id(self) -> JournalId:
        return self.commits[-1].entry.id


def result(number: int, **quotes: str) -> Result:
    entry = JournalEntry(JournalId(number, 0), {"n": b"%d" % number})
    return Result(Commit(entry, quotes={symbol: {"bid": bid} for symbol, bid in quotes.items()}), (), 0)


async def test_what_a_server_lost_is_written_again_with_the_last_quote_of_each_instrument():
    store = Forgetful()

    async def instances():
        return {"a": b"{}"}

    committer = Committer(
        store,
        max_bytes=10**6,
        owner="me",
        instances=instances,
        on_done=lambda _results, _seconds: None,
        on_trouble=lambda _reason: None,
    )
    running = asyncio.create_task(committer.run())
    for number, quotes in enumerate(({"A": "1", "B": "1"}, {"A": "2"}, {"A": "3"}, {"C": "4"})):
        await committer.put(result(number, **quotes))
        await asyncio.wait_for(committer.drained(), 10)
    assert [int(commit.entry.fields["n"]) for commit in store.commits] == [0, 1, 2, 3]
    assert store.lost
    assert store.commits[1].instances == {"a": b"{}"}
    published: dict[str, str] = {}
    for commit in store.commits[1:]:
        published |= {symbol: fields["bid"] for symbol, fields in commit.quotes.items()}
    assert published == {"A": "3", "B": "1", "C": "4"}
    running.cancel()
    await asyncio.wait([running])


def test_the_size_of_a_commit_counts_what_it_publishes():
    assert result(1, **{f"S{n}": "1" for n in range(100)}).commit.size > 100 * 500
