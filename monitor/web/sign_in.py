"""Signing in and out of the page, who one is, and the audit log."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, SecretStr

from monitor.web import answers
from monitor.web.access import Guard
from monitor.web.audit import audit
from monitor.web.principals import Principal, caller, principal
from monitor.web.scopes import Scope, needs
from monitor.web.sessions import IDLE, LONGEST, Session


class SignIn(BaseModel):
    """The token to sign in with."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: SecretStr


def add_sign_in(app: FastAPI, guard: Guard) -> None:
    """The routes."""

    @app.post("/api/v1/session", response_model=answers.Session)
    @needs(Scope.PUBLIC)
    async def sign_in(request: Request, given: SignIn) -> Response:
        """Show a token once: from then on the cookie that comes back stands for it.

        A change needs the answer's `csrf` as the header `X-CSRF-Token` beside the cookie.
        """
        audit(request, "signed in")
        found: Principal | Response = principal(request)
        if guard.keyring:
            token = given.token.get_secret_value().strip().encode(errors="surrogatepass")
            found = guard.sign_in(token, principal(request).address)
        if isinstance(found, Response):
            return found
        caller(request).who = found
        cookie, session = guard.sessions.start(found.name, found.scope)
        response = _json(_said(found, session))
        response.set_cookie(
            guard.cookie,
            cookie,
            max_age=int(LONGEST),
            path=guard.web.path or "/",
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    @app.get("/api/v1/session", response_model=answers.Session)
    async def whoami(request: Request) -> Response:
        """Who this is, and what they may do."""
        who = principal(request)
        return _json(_said(who, guard.sessions.use(who.session) if who.session else None))

    @app.delete("/api/v1/session", status_code=204)
    @needs(Scope.PUBLIC)
    async def sign_out(request: Request) -> Response:
        """End this session."""
        if session := principal(request).session:
            audit(request, "signed out")
            guard.sessions.end(session)
        response = Response(status_code=204)
        response.delete_cookie(guard.cookie, path=guard.web.path or "/", httponly=True, samesite="strict")
        return response

    @app.get("/api/v1/audit", response_model=list[answers.AuditEntry])
    @needs(Scope.ADMIN)
    async def audit_log(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """The newest changes and refused attempts, newest first."""
        return _json(await guard.audit.newest(limit))


def _said(who: Principal, session: Session | None) -> answers.Session:
    return {
        "name": who.name,
        "scope": who.scope.word,  # type: ignore[typeddict-item] # never `public` here
        "csrf": session.csrf if session else None,
        "idle_seconds": IDLE if session else None,
    }


def _json(answer: Any) -> Response:  # noqa: ANN401 - whatever JSON can say
    return Response(msgspec.json.encode(answer), media_type="application/json")
