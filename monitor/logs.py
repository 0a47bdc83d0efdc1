"""Structured logs on standard error, one line a record, without secrets.

``key=value`` for people, JSON for programs; the logs of libraries take the same way.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from enum import StrEnum
from typing import Any, Final, TextIO
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

_MASK: Final = "***"
_SHORTEST: Final = 4
"""A shorter one is not searched for: masking every ``a`` or ``12`` makes logs unreadable, and tells the secret."""
_SHORTEST_CUT: Final = 6
"""Characters of the start of one, at the end of a text, that are taken for one cut off."""
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*(:|%3A)(//|%2F%2F)")
"""How an address begins, as it is and as it stands in another; no part of a secret."""
_USER_INFO: Final = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@]+@")
_QUIET: Final = ("uvicorn.access", "websockets", "asyncio", "urllib3", "httpx")
"""Libraries whose INFO is noise in a daemon's log."""


class LogFormat(StrEnum):
    """How records are written."""

    TEXT = "text"
    JSON = "json"


class Secrets:
    """Values that must not appear in any record. Register each when it is read from the configuration."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()

    def add(self, value: str) -> None:
        """Mask `value` from now on, whole or as a part of something longer, also as it stands in addresses and JSON."""
        forms = {value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
        forms = {form for form in forms if len(form) >= _SHORTEST}
        self._values = tuple(sorted({*self._values, *forms}, key=lambda form: (-len(form), form)))

    def masked(self, text: str) -> str:
        """The text without registered values and without the user information of URLs."""
        for value in self._values:
            text = text.replace(value, _MASK)
        text = self._without_cut_off(text)
        return _USER_INFO.sub(rf"\g<scheme>{_MASK}@", text) if "://" in text else text

    def _without_cut_off(self, text: str) -> str:
        """The text without the start of a value at its end: what others say is cut at some length."""
        for value in self._values:
            scheme = _SCHEME.match(value)
            shortest = max(_SHORTEST_CUT, scheme.end() + 1 if scheme else 0)
            for length in range(min(len(value) - 1, len(text)), shortest - 1, -1):
                if text.endswith(value[:length]):
                    return text[:-length] + _MASK
        return text

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """As a processor of structlog."""
        for key, value in event.items():
            event[key] = self.clean(value)
        return event

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - a record carries anything
        """The same with every text in it masked."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.masked(str(key)): self.clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item) for item in value]
        return self.masked(value if isinstance(value, str) else str(value))


SECRETS: Final = Secrets()
"""The process's secrets."""


def configure(
    log_format: LogFormat = LogFormat.TEXT,
    level: int = logging.INFO,
    stream: TextIO | None = None,
    secrets: Secrets = SECRETS,
) -> None:
    """Send structlog's and the standard library's records to `stream` (standard error unless given)."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(_traceback),
    ]
    render: Processor = _json if log_format is LogFormat.JSON else _text
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, secrets, render],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(capture=True)


def _traceback(exc_info: ExcInfo) -> str:
    return logging.Formatter().formatException(exc_info)


def _json(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    head = {"ts": event.pop("ts", None), "level": event.pop("level", None), "event": event.pop("event", None)}
    return json.dumps({**head, **event}, default=str, ensure_ascii=False)


def _text(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    """``2026-01-23T15:07:30.123456Z warning  feed is silent  feed=iex seconds=31``."""
    head = f"{event.pop('ts', '')} {event.pop('level', '')!s:<8} {_flat(str(event.pop('event', '')))}"
    event.pop("logger", None)
    pairs = " ".join(f"{key}={_quoted(value)}" for key, value in event.items())
    return f"{head}  {pairs}" if pairs else head


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    plain = text and not re.search(r'[\s"=]', text)
    return text if plain or not isinstance(value, str) else json.dumps(text, ensure_ascii=False)


def _flat(text: str) -> str:
    """One line, whatever the text: a record in a log must not be able to forge the next one."""
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)[1:-1]
