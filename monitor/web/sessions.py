"""Sessions of the page: somebody who has shown a token once, known again by a cookie.

The daemon keeps only a hash of each cookie, in memory: a restart signs everybody out. A session ends when it is not
used for long, when it is old, or by signing out.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from monitor import clock
from monitor.web.scopes import Scope

IDLE: Final = 12 * 3600.0
"""Seconds without a request after which a session ends."""
LONGEST: Final = 7 * 86_400.0
"""Seconds after which it ends however it is used."""
_MOST: Final = 1_000
"""Sessions at once; the one that was not used for the longest ends when there are more."""
_BYTES: Final = 32


@dataclass(slots=True)
class Session:
    """`csrf` goes with every change as the header X-CSRF-Token: no other page can know it."""

    name: str
    scope: Scope
    csrf: str
    since: float
    used: float


class Sessions:
    """All sessions, by the hash of their cookie."""

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        self._now = now
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def start(self, name: str, scope: Scope) -> tuple[str, Session]:
        """A new session for who has shown the token `name`; its cookie and what is known of it."""
        cookie, now = secrets.token_urlsafe(_BYTES), self._now()
        session = Session(name, scope, secrets.token_urlsafe(_BYTES), now, now)
        self._sessions[key_of(cookie)] = session
        while len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)
        return cookie, session

    def use(self, key: str) -> Session | None:
        """The session of that key, used now; None if it has ended."""
        session = self._alive(key)
        if session is not None:
            session.used = self._now()
            self._sessions.move_to_end(key)
        return session

    def lasts(self, key: str) -> bool:
        """Whether a session has not ended, which looking does not prolong."""
        return self._alive(key) is not None

    def end(self, key: str) -> None:
        """Sign out."""
        self._sessions.pop(key, None)

    def _alive(self, key: str) -> Session | None:
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._now()
        if now - session.used >= IDLE or now - session.since >= LONGEST:
            del self._sessions[key]
            return None
        return session


def key_of(cookie: str) -> str:
    """What a session is known by; the cookie cannot be told from it."""
    return hashlib.sha256(cookie.encode()).hexdigest()
