from __future__ import annotations

import asyncio
import io

import pytest

from monitor.notify.console import ConsoleSender
from monitor.notify.receivers import open_receiver, validate
from monitor.notify.sender import LONGEST_WAIT, Considerate, Delivery, FanOut, Verdict
from tests.unit.monitor.notify.samples import ScriptedSender, notification

BUSY = Delivery(Verdict.TRANSIENT, "b: busy")
REFUSED = Delivery(Verdict.FATAL, "b: 403")
REJECTED = Delivery(Verdict.REJECTED, "b: 400")


async def test_a_retry_goes_only_to_targets_that_do_not_have_the_message():
    first, second = ScriptedSender(), ScriptedSender([BUSY])
    both = FanOut([first, second])
    assert await both.send(notification()) == BUSY
    assert (await both.send(notification())).delivered
    assert (len(first.attempts), len(second.attempts)) == (1, 2)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([REFUSED, REFUSED], Verdict.FATAL),
        ([REFUSED, BUSY], Verdict.TRANSIENT),
        ([REFUSED, Delivery(Verdict.DELIVERED)], Verdict.FATAL),
        ([REJECTED, REFUSED], Verdict.FATAL),
        ([REJECTED, BUSY], Verdict.TRANSIENT),
        ([REJECTED, REJECTED], Verdict.REJECTED),
    ],
)
async def test_several_targets_fail_for_good_only_if_each_failure_is(answers, verdict):
    outcome = await FanOut([ScriptedSender([answer]) for answer in answers]).send(notification())
    assert outcome.verdict is verdict


@pytest.mark.parametrize(
    ("waits", "wanted"),
    [([30.0, 60.0], 30.0), ([30.0, None], None), ([30.0, "refused"], 30.0), ([30.0, "taken"], 30.0)],
)
async def test_several_targets_are_asked_again_when_the_first_of_them_may_be(waits, wanted):
    fixed = {"refused": REFUSED, "taken": Delivery(Verdict.DELIVERED)}
    answers = [fixed[w] if isinstance(w, str) else Delivery(Verdict.TRANSIENT, "429", w) for w in waits]
    outcome = await FanOut([ScriptedSender([answer]) for answer in answers]).send(notification())
    assert outcome.retry_after == wanted


async def test_one_that_asked_to_be_left_alone_hears_of_no_message_and_the_other_of_all():
    slow, other = ScriptedSender([Delivery(Verdict.TRANSIENT, "429", 60.0)]), ScriptedSender()
    both = FanOut([Considerate(slow), Considerate(other)])
    for episode in ("a", "b", "c"):
        outcome = await both.send(notification(episode))
        assert outcome.verdict is Verdict.TRANSIENT
        assert outcome.retry_after == pytest.approx(60, abs=1)
    assert (len(slow.attempts), len(other.attempts)) == (1, 3)


async def test_nobody_is_left_alone_for_longer_than_the_bound():
    greedy = Considerate(ScriptedSender([Delivery(Verdict.TRANSIENT, "429", 1e12)]))
    assert (await greedy.send(notification())).retry_after == LONGEST_WAIT


async def test_it_is_asked_again_when_the_time_is_over():
    sender = ScriptedSender([Delivery(Verdict.TRANSIENT, "429", 0.05)])
    considerate = Considerate(sender)
    await considerate.send(notification())
    async with asyncio.timeout(5):
        while not (await considerate.send(notification())).delivered:  # noqa: ASYNC110 - it waits for the time
            await asyncio.sleep(0.01)
    assert len(sender.attempts) == 2


async def test_the_console_prints_a_readable_block():
    stream = io.StringIO()
    receiver = open_receiver(["console://"], stream=stream)
    assert (await receiver.send(notification())).delivered
    lines = stream.getvalue().splitlines()
    assert lines[0] == lines[-1] == "-" * 80
    assert lines[1] == "[FIRING] small-caps-turn fired"
    assert "Episode: small-caps-turn-2026-01-23-1" in lines
    assert "key: small-caps-turn-2026-01-23-1:firing:1:desk" in lines


async def test_a_terminal_that_is_gone_is_a_failure_to_try_again():
    stream = io.StringIO()
    stream.close()
    assert (await ConsoleSender(stream).send(notification())).verdict is Verdict.TRANSIENT


async def test_a_terminal_without_the_letters_gets_the_message():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert (await ConsoleSender(stream).send(notification(summary="Klein → groß"))).delivered
    assert rb"Klein \u2192 gro\xdf" in stream.buffer.getvalue()


async def test_the_console_prints_where_standard_output_is_now(capsys):
    await open_receiver(["console://"]).send(notification())
    assert "State: firing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("console://", None),
        ("CONSOLE://", None),
        ("console://x", "console:// takes nothing after it"),
        ("json://127.0.0.1:8080/hook", None),
        ("mailto://127.0.0.1:2525?from=a@example.com&to=b@example.com", None),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", None),
        ("mailt://x", "no service of the kind mailt://; apprise knows mailto, "),
        ("nosuch://x", "no service of the kind nosuch://; apprise knows slack, mailto, mailtos, "),
        ("plain words", "not a URL: write the service, ://, and its address"),
        ("", "not a URL"),
        ("slack://hunter2hunter2", "apprise cannot use this slack:// address: "),
        ("mailto://me:hunter2hunter2@host?mode=bad&from=a@example.com", "The secure mode specified (bad) is invalid"),
    ],
)
def test_a_url_is_checked_without_sending(url, error):
    said = validate(url)
    assert (said or "").startswith(error or "") or (error or "") in (said or "")
    assert (said is None) == (error is None)
    assert "hunter2" not in (said or "")
    assert "\n" not in (said or "")


def test_a_receiver_with_a_wrong_or_no_url_is_refused():
    with pytest.raises(ValueError, match="no service of the kind"):
        open_receiver(["console://", "nosuch://x"])
    with pytest.raises(ValueError, match="at least one URL"):
        open_receiver([])


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "mailto://user:hunter2@127.0.0.1:2525?from=a@example.com&to=b@example.com",
            "E-Mail mailto://user:****@127.0.0.1:2525/b@example.com",
        ),
        ("json://user:hunter2@127.0.0.1:8080/hunter2?+X-Token=hunter2&:a=hunter2", "JSON json://127.0.0.1:8080"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlahunter2XrIdevi/#desk", "Slack slack://T...2/A...D/T...i/#desk"),
    ],
)
async def test_a_target_is_shown_without_its_secrets(url, target):
    receiver = open_receiver([url])
    assert receiver.target == target
    await receiver.close()


async def test_console_and_services_may_be_mixed():
    receiver = open_receiver(["console://", "json://127.0.0.1:9"], stream=io.StringIO(), deadline=5)
    assert receiver.target == "console, JSON json://127.0.0.1:9"
    await receiver.close()
