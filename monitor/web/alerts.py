"""The native routes about alerts: what fires and why, who was told, acknowledgements, silences."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Protocol
from urllib.parse import urlencode

import msgspec
from fastapi import FastAPI, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from monitor import clock, queries
from monitor.alerting import explanation
from monitor.alerting.acknowledgement import AckError, UnknownEpisode
from monitor.alerting.alert import Source
from monitor.alerting.dispatcher import Dispatcher
from monitor.alerting.matchers import MatcherError, matches, parse
from monitor.alerting.silences import Silence, SilenceError, UnknownSilence
from monitor.compute import ComputeThread
from monitor.notify.values import utc
from monitor.store.base import JournalId, Store
from monitor.web import alert_answers as answers
from monitor.web import told
from monitor.web.audit import audit
from monitor.web.events import EventStream
from monitor.web.principals import principal
from monitor.web.scopes import Scope, needs
from rules.load import FormulaError

_SECOND: Final = 1_000_000_000
_TIMELINE: Final = 1_000
"""Transitions of one episode that are shown, and deliveries."""
_RECENT: Final = 20
"""Deliveries of a rule that are shown with why it fires."""
_EVER: Final = 2**62
_MOST: Final = 2**64 - 1
"""Of either part of a stream's id."""
_EVALUATIONS: Final = 1
"""Expressions of people that are computed at a time: they share the thread that decides."""

Limit = Annotated[int, Query(ge=1, le=1_000)]
Name = Annotated[str, Query(max_length=300)]
When = Annotated[str | None, Query(max_length=64, description="RFC 3339")]
Before = Annotated[str, Query(max_length=64, description="the last id of the page before")]
Episode = str


class Daemon(Protocol):
    """What these routes show of the daemon."""

    compute: ComputeThread
    store: Store
    dispatcher: Dispatcher
    events: EventStream


def add_alerts(app: FastAPI, daemon: Daemon) -> None:
    """The routes. Those that end in a word come before those that take any episode."""
    _acknowledgements(app, daemon)
    _shown(app, daemon)
    _history(app, daemon)
    _silences(app, daemon)
    _tell_silences(daemon)


def _acknowledgements(app: FastAPI, daemon: Daemon) -> None:
    dispatcher = daemon.dispatcher

    @app.post("/api/v1/alerts/{episode:path}/ack", response_model=answers.Acknowledgement)
    @needs(Scope.OPERATE)
    async def acknowledge(request: Request, episode: Episode, wanted: answers.WantedAck) -> Response:
        """Take an open episode on: it is neither repeated nor escalated until it is over, or worse."""
        by = wanted.by or principal(request).name
        audit(request, "acknowledged", episode, by=by)
        try:
            ack = await dispatcher.acknowledge(episode, by, wanted.comment)
        except UnknownEpisode as error:
            raise HTTPException(404, str(error)) from None
        except AckError as error:
            raise HTTPException(422, str(error)) from None
        daemon.events.tell("ack", {"episode": episode, "acknowledged": told.acknowledgement(ack)})
        return _json(told.acknowledgement(ack))

    @app.delete("/api/v1/alerts/{episode:path}/ack", status_code=204)
    @needs(Scope.OPERATE)
    async def withdraw(request: Request, episode: Episode) -> Response:
        """Give an episode back: it is repeated and escalated as if nobody had taken it on."""
        audit(request, "acknowledgement withdrawn", episode)
        try:
            await dispatcher.withdraw(episode)
        except UnknownEpisode as error:
            raise HTTPException(404, str(error)) from None
        daemon.events.tell("ack", {"episode": episode, "acknowledged": None})
        return Response(status_code=204)


def _shown(app: FastAPI, daemon: Daemon) -> None:
    dispatcher, evaluations = daemon.dispatcher, asyncio.Semaphore(_EVALUATIONS)

    @app.get("/api/v1/alerts", response_model=list[answers.ListedAlert])
    async def alerts(
        alert: Name = "",
        member: Name = "",
        state: Annotated[str, Query(pattern="^(pending|firing|recovering)?$")] = "",
        severity: Name = "",
        acknowledged: bool | None = None,  # noqa: FBT001 - a query
        silenced: bool | None = None,  # noqa: FBT001 - a query
        filter: Annotated[list[Name], Query(description="matchers of labels: theme=size", max_length=100)] = [],  # noqa: A002, B006
    ) -> Response:
        """Alerts that are pending, firing or recovering, with what people and other alerts do to them."""
        try:
            wanted = [parse(text) for text in filter]
        except MatcherError as error:
            raise HTTPException(422, str(error)) from None
        wall = clock.wall_ns()
        opened = {each.episode: each for each in dispatcher.alerts()}
        listed: list[dict[str, Any]] = [{**each} for each in await daemon.compute.run(queries.alerts)]
        listed += [told.unruled(each) for each in opened.values() if each.source is not Source.RULES]
        found = []
        for each in listed:
            known = opened.get(each["episode"])
            labels = {**each["labels"], "alertname": each["alert"], "severity": each["severity"]}
            labels |= {"member": each["member"]} if each["member"] else {}
            each.update(told.standing(dispatcher, known, wall) if known else told.unheard(dispatcher, labels, wall))
            if (
                (not alert or each["alert"] == alert)
                and (not member or each["member"] == member)
                and (not state or each["state"] == state)
                and (not severity or each["severity"] == severity)
                and (acknowledged is None or (each["acknowledged"] is not None) is acknowledged)
                and (silenced is None or bool(each["silenced_by"]) is silenced)
                and matches(wanted, labels)
            ):
                found.append(each)
        return _json(found)

    @app.get("/api/v1/why/{rule}", response_model=answers.Why)
    async def why(rule: Annotated[str, Path(max_length=300)]) -> Response:
        """Why a rule fires or does not, part by part, and why its alerts are told, or not, to whom."""
        try:
            found = await daemon.compute.run(explanation.explain, rule)
        except explanation.UnknownRule as error:
            raise HTTPException(404, str(error)) from None
        ledger = dispatcher.book.ledger
        episodes = [each.episode for each in dispatcher.alerts() if each.name == rule]
        return _json(
            {
                **found,
                "verdicts": [told.decided(each) for each in dispatcher.explain(rule)],
                "told": [told.told(r, last) for e in episodes for r, last in ledger.told.get(e, {}).items()],
                "deliveries": await told.History(daemon.store).deliveries(_RECENT, "", 0, _EVER, {"alert": rule}),
            }
        )

    @app.get("/api/v1/eval", response_model=answers.Evaluated)
    async def evaluate(expr: Annotated[str, Query(min_length=1, max_length=2_000)]) -> Response:
        """The value now of an expression of the rule language, and those of its parts."""
        async with evaluations:
            try:
                return _json(await daemon.compute.run(explanation.evaluate, expr))
            except FormulaError as error:
                raise HTTPException(422, "; ".join(d.message for d in error.diagnostics)) from None
            except explanation.UnknownInputs as error:
                raise HTTPException(422, str(error)) from None

    @app.get("/api/v1/alerts/{episode:path}", response_model=answers.EpisodeStory)
    async def alert(episode: Episode) -> Response:
        """One episode: where it stands, its evidence now, its transitions and who was told, newest first."""
        known = dispatcher.book.ledger.alerts.get(episode) if episode else None
        now = await daemon.compute.run(queries.alert, episode)
        stored = await daemon.store.transitions(_TIMELINE, episode) if episode else []
        if now is None and known is None and not stored:
            raise HTTPException(404, f"there is no episode {episode[:200]!r}")
        history = told.History(daemon.store)
        return _json(
            {
                "episode": episode,
                "now": now,
                "standing": told.standing(dispatcher, known, clock.wall_ns()) if known and known.open else None,
                "acknowledged": told.acknowledgement(dispatcher.acks.get(episode)),
                "timeline": [queries.stored_transition(fields["transition"]) for _, fields in stored],
                "told": [told.told(r, last) for r, last in dispatcher.book.ledger.told.get(episode, {}).items()],
                "deliveries": await history.deliveries(_TIMELINE, "", 0, _EVER, {"episode": episode}),
            }
        )


def _history(app: FastAPI, daemon: Daemon) -> None:
    @app.get("/api/v1/transitions", response_model=list[answers.TimedTransition])
    async def transitions(
        request: Request,
        limit: Limit = 100,
        before: Before = "",
        alert: Name = "",
        episode: Annotated[str, Query(max_length=1_000)] = "",
        since: Annotated[When, Query(alias="from")] = None,
        until: Annotated[When, Query(alias="to")] = None,
    ) -> Response:
        """Transitions, newest first; the header `Link` has the address of the next page."""
        wanted = {name: text for name, text in (("alert", alert), ("episode", episode)) if text}
        first, last = _times(since, until)
        found = await told.History(daemon.store).transitions(limit, _position(before), first, last, wanted)
        return paged(request, found, limit)

    @app.get("/api/v1/deliveries", response_model=list[answers.Delivery])
    async def deliveries(
        request: Request,
        limit: Limit = 100,
        before: Before = "",
        alert: Name = "",
        episode: Annotated[str, Query(max_length=1_000)] = "",
        receiver: Name = "",
        since: Annotated[When, Query(alias="from")] = None,
        until: Annotated[When, Query(alias="to")] = None,
    ) -> Response:
        """Who was told of what, and what became of the message; newest first, paged as transitions are."""
        pairs = (("alert", alert), ("episode", episode), ("receiver", receiver))
        first, last = _times(since, until)
        found = await told.History(daemon.store).deliveries(
            limit, _position(before), first, last, {name: text for name, text in pairs if text}
        )
        return paged(request, found, limit)


def _tell_silences(daemon: Daemon) -> None:
    """Silences in the event stream, also those that come through the API of Alertmanager."""

    def tell(changed: Sequence[Silence]) -> None:
        wall, opened = clock.wall_ns(), daemon.dispatcher.alerts()
        for each in changed:
            daemon.events.tell("silence", told.silence(each, wall, opened))

    daemon.dispatcher.on_silences = tell


def _silences(app: FastAPI, daemon: Daemon) -> None:
    dispatcher = daemon.dispatcher

    @app.get("/api/v1/silences", response_model=list[answers.Silence])
    async def silences(
        state: Annotated[str, Query(pattern="^(pending|active|expired)?$")] = "",
    ) -> Response:
        """Silences, expired ones for five days; those that end last come first."""
        wall, opened = clock.wall_ns(), dispatcher.alerts()
        found = [each for each in dispatcher.list_silences() if not state or each.state(wall) == state]
        found.sort(key=lambda each: -each.ends_at)
        return _json([told.silence(each, wall, opened) for each in found])

    @app.get("/api/v1/silences/{silence_id}", response_model=answers.Silence)
    async def silence(silence_id: Annotated[str, Path(max_length=64)]) -> Response:
        """One silence."""
        return _json(_silence(silence_id))

    @app.post("/api/v1/silences", response_model=answers.Silence)
    @needs(Scope.OPERATE)
    async def add(request: Request, wanted: answers.WantedSilence) -> Response:
        """Silence the alerts that match."""
        return await _set(request, wanted)

    @app.put("/api/v1/silences/{silence_id}", response_model=answers.Silence)
    @needs(Scope.OPERATE)
    async def change(
        request: Request, silence_id: Annotated[str, Path(max_length=64)], wanted: answers.WantedSilence
    ) -> Response:
        """Change a silence; with other matchers it becomes a new one, with a new id."""
        return await _set(request, wanted, _known(silence_id))

    @app.delete("/api/v1/silences/{silence_id}", status_code=204)
    @needs(Scope.OPERATE)
    async def expire(request: Request, silence_id: Annotated[str, Path(max_length=64)]) -> Response:
        """End a silence now."""
        audit(request, "silence expired", silence_id)
        _silence(silence_id)
        await dispatcher.expire_silence(silence_id)
        return Response(status_code=204)

    def _known(silence_id: str) -> Silence:
        try:
            return dispatcher.silences.get(silence_id)
        except UnknownSilence as error:
            raise HTTPException(404, str(error)) from None

    def _silence(silence_id: str) -> answers.Silence:
        return told.silence(_known(silence_id), clock.wall_ns(), dispatcher.alerts())

    async def _set(request: Request, wanted: answers.WantedSilence, known: Silence | None = None) -> Response:
        try:
            made = _wanted(wanted, wanted.created_by or principal(request).name, known)
            made_id = await dispatcher.set_silence(made)
        except (SilenceError, MatcherError, ValueError) as error:
            raise HTTPException(422, str(error)) from None
        audit(request, "silence changed" if known else "silence added", made_id)
        return _json(_silence(made_id))


def _wanted(wanted: answers.WantedSilence, by: str, known: Silence | None) -> Silence:
    """What a silence is to be; a start as it was shown, or none, leaves that of the `known` one.

    Raises ValueError (MatcherError among them) where it makes no sense.
    """
    if known is not None and wanted.starts_at in (None, utc(known.starts_at)):
        start = known.starts_at
    else:
        start = told.parse_time(wanted.starts_at) if wanted.starts_at else clock.wall_ns()
    if (wanted.ends_at is None) == (wanted.seconds is None):
        raise ValueError("give when it ends, `ends_at`, or how long it lasts, `seconds`: one of the two")
    return Silence(
        id=known.id if known else "",
        matchers=tuple(parse(text) for text in wanted.matchers),
        starts_at=start,
        ends_at=told.parse_time(wanted.ends_at) if wanted.ends_at else start + int((wanted.seconds or 0) * _SECOND),
        created_by=by,
        comment=wanted.comment,
    )


def _times(since: str | None, until: str | None) -> tuple[int, int]:
    try:
        return told.parse_time(since) if since else 0, told.parse_time(until) if until else _EVER
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def _position(before: str) -> str:
    """A place in the stream. Raises HTTPException where it is none."""
    if not before:
        return ""
    try:
        place = JournalId.parse(before)
    except ValueError:
        place = JournalId(-1, 0)
    if 0 <= place.ms <= _MOST and 0 <= place.sequence <= _MOST:
        return str(place)
    raise HTTPException(422, f"before: {before!r} is no id of a page's last entry")


def paged(request: Request, found: Any, limit: int) -> Response:  # noqa: ANN401 - a list of any shape
    """A page of a list; the header `Link` has the address of the next, where there may be one."""
    response = _json(found)
    if len(found) == limit:
        query = urlencode([(k, v) for k, v in request.query_params.multi_items() if k != "before"])
        cursor = urlencode({"before": found[-1]["id"]})
        response.headers["Link"] = f'<?{query}{"&" if query else ""}{cursor}>; rel="next"'
    return response


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
