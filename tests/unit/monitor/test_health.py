from __future__ import annotations

import pytest

from monitor.health import FEED_DOWN, RECEIVER_FAILING, RULES_INVALID, STORE_DOWN, HealthBoard
from monitor.notify.message import Kind, Notification
from monitor.notify.render import render

NOW = 1_769_180_850_000_000_000  # 2026-01-23 15:07:30 UTC
IEX = {"feed": "iex"}


class Clock:
    seconds = 0.0

    def now(self) -> int:
        return NOW + int(self.seconds * 1e9)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> HealthBoard:
    return HealthBoard(["desk", "mail"], now=clock.now, monotonic=clock.monotonic)


def keys(told: list[Notification]) -> list[tuple[str, str, str]]:
    return [(n.kind, n.episode, n.receiver) for n in told]


def test_a_feed_is_told_down_after_a_minute_and_told_once(board, clock):
    board.raise_(FEED_DOWN, "no answer", labels=IEX)
    clock.seconds = 59.0
    assert board.due() == []
    board.raise_(FEED_DOWN, "connection refused", labels=IEX)
    clock.seconds = 60.0
    told = board.due()
    episode = "feed-down-iex-2026-01-23-54450"
    assert keys(told) == [("firing", episode, "desk"), ("firing", episode, "mail")]
    assert told[0].summary == "feed-down (iex): connection refused"
    assert told[0].labels == {"source": "monitor", "feed": "iex"}
    assert (told[0].severity, told[0].started_at, told[0].at) == ("critical", NOW, NOW + 60_000_000_000)
    clock.seconds = 600.0
    assert board.due() == []


def test_a_short_interruption_is_nobodys_business(board, clock):
    board.raise_(FEED_DOWN, "dropped", labels=IEX)
    clock.seconds = 30.0
    board.clear(FEED_DOWN, labels=IEX)
    clock.seconds = 120.0
    assert board.due() == []
    assert board.conditions() == []


def test_who_was_told_firing_is_told_resolved_once(board, clock):
    board.raise_(FEED_DOWN, "402 auth failed", labels=IEX, at_once=True)
    [firing, _] = board.due()
    clock.seconds = 100.0
    board.clear(FEED_DOWN, labels=IEX)
    board.clear(FEED_DOWN, labels=IEX)
    [resolved, _] = board.due()
    assert (resolved.kind, resolved.sequence, resolved.episode) == (Kind.RESOLVED, 2, firing.episode)
    assert resolved.summary == "feed-down (iex) is over after 1m 40s"
    assert board.due() == []


def test_a_stopped_feed_does_not_wait_for_the_rest_of_its_minute(board, clock):
    board.raise_(FEED_DOWN, "dropped", labels=IEX)
    clock.seconds = 5.0
    board.raise_(FEED_DOWN, "402 auth failed", labels=IEX, at_once=True)
    assert [n.reason for n in board.due()] == ["402 auth failed"] * 2


def test_feeds_are_apart(board, clock):
    board.raise_(FEED_DOWN, "a", labels=IEX, at_once=True)
    board.raise_(FEED_DOWN, "b", labels={"feed": "desk"}, at_once=True)
    assert {n.episode for n in board.due()} == {"feed-down-iex-2026-01-23-54450", "feed-down-desk-2026-01-23-54450"}
    board.clear(FEED_DOWN, labels={"feed": "desk"})
    assert [c["labels"] for c in board.conditions()] == [IEX]


def test_each_time_is_an_episode_of_its_own_even_within_a_second(board):
    seen = []
    for _ in range(3):
        board.raise_(RULES_INVALID, "size.yaml:3:7: error: ...")
        seen += [n.episode for n in board.due()][:1]
        board.clear(RULES_INVALID)
        board.due()
    assert seen == [f"rules-invalid-2026-01-23-{54450 + i}" for i in range(3)]


def test_a_restarted_daemon_does_not_reuse_an_episode_that_was_delivered(board, clock):
    board.raise_(RULES_INVALID, "x")
    first = board.due()[0].episode
    clock.seconds = 3.0
    restarted = HealthBoard(["desk"], now=clock.now, monotonic=clock.monotonic)
    restarted.raise_(RULES_INVALID, "x")
    assert restarted.due()[0].episode != first


def test_a_receiver_is_not_told_about_itself(board):
    board.raise_(RECEIVER_FAILING, "550 no such user", labels={"receiver": "mail"})
    assert [n.receiver for n in board.due()] == ["desk"]


def test_conditions_are_shown_as_they_are_now(board, clock):
    board.raise_(STORE_DOWN, "no answer within 5 s")
    clock.seconds = 1.0
    board.raise_(FEED_DOWN, "dropped", labels=IEX, at_once=True)
    board.due()
    assert board.conditions() == [
        {
            "name": "store-down",
            "reason": "no answer within 5 s",
            "since": "2026-01-23T15:07:30Z",
            "labels": {},
            "episode": None,
        },
        {
            "name": "feed-down",
            "reason": "dropped",
            "since": "2026-01-23T15:07:31Z",
            "labels": IEX,
            "episode": "feed-down-iex-2026-01-23-54451",
        },
    ]


def test_changes_are_heard_at_once_and_once(clock):
    heard: list[tuple[str, str, bool]] = []
    board = HealthBoard([], on_change=lambda *what: heard.append(what), now=clock.now, monotonic=clock.monotonic)
    board.raise_(FEED_DOWN, "a", labels=IEX)
    board.raise_(FEED_DOWN, "b", labels=IEX)
    board.clear(FEED_DOWN, labels=IEX)
    board.clear(FEED_DOWN, labels=IEX)
    assert heard == [("feed-down", "iex", True), ("feed-down", "iex", False)]


def test_a_wall_clock_that_steps_does_not_end_a_grace_period(clock):
    wall = [NOW]
    board = HealthBoard(["desk"], now=lambda: wall[0], monotonic=clock.monotonic)
    board.raise_(FEED_DOWN, "a", labels=IEX)
    wall[0] += 3_600_000_000_000
    assert board.due() == []


def test_health_messages_render_and_survive_the_outbox(board):
    board.raise_(STORE_DOWN, "no answer", at_once=True)
    [told, _] = board.due()
    assert Notification.decode(told.encode()) == told
    message = render(told)
    assert message.title == "[FIRING] store-down: no answer"
    assert "Reason: no answer" in message.text
