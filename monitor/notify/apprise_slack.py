"""Slack by apprise, which finds channels, logs in and knows the answers, with blocks that are our own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from apprise.plugins import url_to_dict
from apprise.plugins.slack import NotifySlack, SlackMode

from monitor.notify.sender import Verdict

_ERROR: Final = re.compile(r'"error"\s*:\s*"(\w+)"')
_PASSING: Final = frozenset(
    {"ratelimited", "rate_limited", "message_limit_exceeded", "service_unavailable", "internal_error", "fatal_error"}
    | {"request_timeout", "team_added_to_org", "accesslimited"}
)
"""Errors of Slack's API that may pass (https://docs.slack.dev/reference/methods/chat.postMessage)."""
_MALFORMED: Final = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text", "invalid_arguments"}
    | {"invalid_form_data", "invalid_json", "json_not_object", "too_many_attachments"}
)


@dataclass(frozen=True, slots=True)
class Told:
    """What one message is: the text of its announcement, and its blocks."""

    text: str
    blocks: list[dict[str, Any]]


_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def telling(told: Told | None) -> Iterator[None]:
    """What :class:`BlockSlack` sends in this thread; None: what apprise makes of the text."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


class BlockSlack(NotifySlack):  # type: ignore[no-untyped-call]
    """As apprise's, with the blocks of :func:`telling` in the place of its own attachment's text."""

    def _send(self, url: str, payload: Any, attach: Any = None, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - as the base class
        told = _told.get()
        if told is not None and attach is None and isinstance(payload, dict) and "attachments" in payload:
            colour = {name: item for name, item in payload["attachments"][0].items() if name == "color"}
            rest = {name: item for name, item in payload.items() if name not in {"attachments", "mrkdwn"}}
            payload = {**rest, "text": told.text, "attachments": [{**colour, "blocks": told.blocks}]}
        return super()._send(url, payload, attach, *args, **named)  # type: ignore[no-untyped-call]


def with_blocks(service: NotifySlack, url: str) -> NotifySlack:
    """The same service with our blocks; as it is where the user has a template, or a workflow, which takes none."""
    if service.template or service.mode not in {SlackMode.BOT, SlackMode.WEBHOOK, SlackMode.WEBHOOK_GOV}:
        return service
    parts = url_to_dict(url)  # type: ignore[no-untyped-call]
    made = BlockSlack(**{**parts, "asset": service.asset})  # type: ignore[no-untyped-call]
    made.include_image = False  # it would be an address of apprise's project, in the place of the app's own picture
    return made


def verdict(said: Iterable[str]) -> Verdict | None:
    """What an error that Slack's API answers with status 200 says of the message; None where there is none."""
    codes = {found[1] for line in said for found in _ERROR.finditer(line)}
    if not codes:
        return None
    if codes & _PASSING:
        return Verdict.TRANSIENT
    return Verdict.REJECTED if codes <= _MALFORMED else Verdict.FATAL
