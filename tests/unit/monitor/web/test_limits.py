from __future__ import annotations

import pytest

from monitor.settings import WebSettings
from monitor.web.limits import Attempts, Requests, network_of
from monitor.web.principals import origin_of, token_of
from monitor.web.scopes import Scope
from monitor.web.sessions import IDLE, LONGEST, Sessions, key_of


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_five_seconds_worth_may_come_at_once_and_then_the_rate():
    clock = Clock()
    requests = Requests(10, clock)
    assert [requests.wait("desk", "10.0.0.1") for _ in range(50)] == [0.0] * 50
    assert requests.wait("desk", "10.0.0.1") == pytest.approx(0.1)
    assert requests.wait("desk", "10.0.0.2") == 0.0
    clock.now += 0.1
    assert requests.wait("desk", "10.0.0.1") == 0.0


def test_each_wrong_token_doubles_the_wait_up_to_a_bound():
    clock = Clock()
    attempts, waits = Attempts(clock), []
    for _ in range(1_200):
        attempts.failed("10.0.0.1")
        waits.append(attempts.wait("10.0.0.1", None))
    assert waits[:8] == [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == 900.0
    assert attempts.wait("10.0.0.2", None) == 0.0
    clock.now += 3_601
    attempts.failed("10.0.0.1")
    assert attempts.wait("10.0.0.1", None) == 0.0


def test_a_session_ends_unused_and_ends_old():
    clock = Clock()
    sessions = Sessions(clock)
    cookie, session = sessions.start("desk", Scope.OPERATE)
    key = key_of(cookie)
    clock.now += IDLE - 1
    assert sessions.use(key) is session
    clock.now += IDLE
    assert sessions.use(key) is None
    key = key_of(sessions.start("desk", Scope.READ)[0])
    started = clock.now
    while clock.now < started + LONGEST - IDLE / 2:
        assert sessions.use(key)
        clock.now += IDLE / 2
    clock.now = started + LONGEST
    assert not sessions.lasts(key)


def test_sessions_are_bounded_and_known_by_a_hash():
    sessions = Sessions(Clock())
    cookies = [sessions.start("desk", Scope.READ)[0] for _ in range(1_500)]
    assert len(sessions) == 1_000
    assert sessions.use(key_of(cookies[0])) is None
    assert sessions.use(key_of(cookies[-1])) is not None
    assert not any(cookie in repr(vars(sessions)) for cookie in cookies)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_a_64(address: str, network: str):
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("203.0.113.1", "1.1.1.1", "203.0.113.1"),
    ],
)
def test_only_a_trusted_proxy_says_who_asks(peer: str, forwarded: str, address: str):
    headers = [(b"x-forwarded-for", forwarded.encode()), (b"x-forwarded-proto", b"https")]
    connection = {"client": (peer, 1), "scheme": "http", "headers": headers}
    trusted = WebSettings(trusted_proxies=("10.0.0.0/8",)).proxies
    assert origin_of(connection, trusted) == (address, "http" if peer.startswith("203") else "https")


def test_tokens_are_read_from_bearer_and_from_the_password_of_basic():
    assert token_of(b"Bearer  secret ") == b"secret"
    assert token_of(b"basic dXNlcjpzZTpjcmV0") == b"se:cret"
    for header in (b"", b"Bearer", b"Bearer ", b"Basic dXNlcjo=", b"Basic \xff", b"Negotiate abc"):
        assert token_of(header) is None, header
