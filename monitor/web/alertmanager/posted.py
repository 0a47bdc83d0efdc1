"""What other programs send: bodies of requests into alerts and silences, refused as Alertmanager refuses them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from monitor.alerting.alert import Posted
from monitor.alerting.matchers import MatcherError
from monitor.alerting.silences import Silence, matcher
from monitor.web.alertmanager import times

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_URI: Final = re.compile(r"(?:/|[a-zA-Z][a-zA-Z0-9+.-]*:)[^\s\x00-\x1f\x7f]*")
MAX_LABELS: Final = 100
MAX_NAME: Final = 200
MAX_VALUE: Final = 4_000
MAX_ANNOTATION: Final = 32_000
"""Characters. Alertmanager has no limits; ours keep one sender from filling the store."""
_MAX_MATCHERS: Final = 100
_REQUIRED, _OF_TYPE, _TOO_FEW = 602, 601, 612  # codes of go-openapi, which Alertmanager answers with


class Malformed(ValueError):
    """A body has not the form it should have. `status` is HTTP's, `code` the API's own."""

    def __init__(self, message: str, status: int = 422, code: int = _REQUIRED) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Refused(ValueError):
    """What is wanted cannot be; the text says why."""


def alerts(body: bytes, wall: int) -> tuple[list[Posted], list[str]]:
    """The alerts of a body that can be taken in, and what is wrong with each of the others.

    Raises:
        Malformed: It is no list of alerts.
    """
    given = _decoded(body, "alerts")
    if given is None:
        given = []  # as Alertmanager has it
    if not isinstance(given, list):
        raise _unreadable("alerts", "it is no list of alerts")
    read = [_fields(each, f"{number}.") for number, each in enumerate(given)]
    good: list[Posted] = []
    wrong: list[str] = []
    for each in read:
        try:
            good.append(_alert(each, wall))
        except Refused as error:
            wrong.append(str(error))
    return good, wrong


def _fields(given: Any, place: str) -> dict[str, Any]:  # noqa: ANN401 - whatever was sent
    """The fields of one alert, their types checked."""
    if not isinstance(given, dict):
        raise _unreadable("alerts", f"alert {place[:-1]} is no object")
    labels = given.get("labels")
    if labels is None:
        raise Malformed(f"{place}labels in body is required")
    url = given.get("generatorURL") or ""
    if not isinstance(url, str) or (url and not _URI.fullmatch(url)) or len(url) > MAX_VALUE:
        raise Malformed(f"{place}generatorURL in body must be of type uri: {str(url)[:100]!r}", code=_OF_TYPE)
    return {
        "labels": _texts(labels, f"{place}labels"),
        "annotations": _texts(given.get("annotations") or {}, f"{place}annotations"),
        "starts_at": _time(given.get("startsAt"), "alerts"),
        "ends_at": _time(given.get("endsAt"), "alerts"),
        "generator_url": url,
    }


def _alert(given: Mapping[str, Any], wall: int) -> Posted:
    labels = {name: value for name, value in given["labels"].items() if value}
    if not labels:
        raise Refused("at least one label pair required")
    _check(labels, "label set", MAX_VALUE)
    _check(given["annotations"], "annotations", MAX_ANNOTATION)
    starts_at, ends_at = given["starts_at"], given["ends_at"]
    if ends_at is not None and ends_at < (starts_at if starts_at is not None else min(wall, ends_at)):
        raise Refused("start time must be before end time")
    return Posted(**{**given, "labels": labels})


def _check(pairs: Mapping[str, str], what: str, longest: int) -> None:
    if len(pairs) > MAX_LABELS:
        raise Refused(f"invalid {what}: {len(pairs)} names, {MAX_LABELS} are the most")
    for name, value in pairs.items():
        if not _NAME.fullmatch(name):
            raise Refused(f'invalid {what}: invalid name "{name[:100]}"')
        if len(name) > MAX_NAME:
            raise Refused(f'invalid {what}: the name "{name[:50]}..." has more than {MAX_NAME} characters')
        if len(value) > longest:
            raise Refused(f'invalid {what}: the value of "{name}" has more than {longest} characters')


def silence(body: bytes) -> Silence:
    """The silence of a body. Its `starts_at` is 0 where it is not set: it starts now.

    Raises:
        Malformed: It is none.
        Refused: A matcher is none, or its times make no sense.
    """
    given = _decoded(body, "silence")
    if not isinstance(given, dict):
        raise _unreadable("silence", "it is no object")
    for name in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
        if given.get(name) is None:
            raise Malformed(f"{name} in body is required")
    matchers = given["matchers"]
    if not isinstance(matchers, list):
        raise _unreadable("silence", "matchers is no list")
    if not matchers:
        raise Malformed("matchers in body should have at least 1 items", code=_TOO_FEW)
    if len(matchers) > _MAX_MATCHERS:
        raise Refused(f"invalid silence: {len(matchers)} matchers, {_MAX_MATCHERS} are the most")
    ends_at = _time(given["endsAt"], "silence")
    starts_at = _time(given["startsAt"], "silence")
    if ends_at is None:
        raise Refused("Failed to create silence: start time must be before end time")
    wanted = {name: _text(given.get(name) or "", name) for name in ("id", "createdBy", "comment")}
    if len(wanted["createdBy"]) > MAX_NAME:
        raise Refused(f"invalid silence: createdBy has more than {MAX_NAME} characters")
    try:
        conditions = tuple(_matcher(each, number) for number, each in enumerate(matchers))
    except MatcherError as error:
        raise Refused(f"invalid silence: {error}") from None
    return Silence(
        id=wanted["id"],
        matchers=conditions,
        starts_at=starts_at or 0,
        ends_at=ends_at,
        created_by=wanted["createdBy"],
        comment=wanted["comment"],
    )


def _matcher(given: Any, number: int) -> Any:  # noqa: ANN401 - whatever was sent
    if not isinstance(given, dict):
        raise _unreadable("silence", f"matcher {number} is no object")
    for name in ("isRegex", "name", "value"):
        if given.get(name) is None:
            raise Malformed(f"matchers.{number}.{name} in body is required")
    flags = {"isRegex": given["isRegex"], "isEqual": given.get("isEqual")}
    if any(not isinstance(flag, bool) for name, flag in flags.items() if flag is not None):
        raise _unreadable("silence", f"isRegex and isEqual of matcher {number} are true or false")
    name, value = _text(given["name"], "name"), _text(given["value"], "value")
    if len(value) > MAX_VALUE:
        raise MatcherError(f"the value of matcher {number} has more than {MAX_VALUE} characters")
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise MatcherError(f'invalid label matcher {number}: invalid label name "{name[:100]}"')
    return matcher(name, value, is_regex=flags["isRegex"], is_equal=flags["isEqual"] is not False)


def _decoded(body: bytes, what: str) -> Any:  # noqa: ANN401 - whatever was sent
    if not body.strip():
        raise Malformed(f"{what} in body is required")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(what, str(error)) from None
    return given


def _texts(given: Any, place: str) -> dict[str, str]:  # noqa: ANN401 - whatever was sent
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise _unreadable("alerts", f"{place} is no object of texts")
    for text in (*given, *given.values()):
        _text(text, place)
    return given


def _text(given: Any, place: str) -> str:  # noqa: ANN401 - whatever was sent
    if not isinstance(given, str):
        raise _unreadable("silence", f"{place} is no text")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise _unreadable(place, "half of a surrogate pair is no character") from None
    return given


def _time(given: Any, what: str) -> int | None:  # noqa: ANN401 - whatever was sent
    if given is None:
        return None
    if not isinstance(given, str):
        raise _unreadable(what, f"{str(given)[:100]!r} is no time")
    try:
        return times.parse(given)
    except ValueError as error:
        raise _unreadable(what, str(error)) from None


def _unreadable(what: str, why: str) -> Malformed:
    return Malformed(f'parsing {what} body from "" failed, because {why}', 400, 400)
