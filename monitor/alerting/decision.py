"""What a stage answers: pass or not, and the reason, which feeds the record, the page and `rotation alerts why`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The stages between an alert and the outbox, in their order."""

    START_UP = "start-up"
    INHIBITION = "inhibition"
    SILENCES = "silences"
    MUTE_TIMES = "mute times"
    ACKNOWLEDGEMENT = "acknowledgement"
    ROUTE = "route"
    ESCALATION = "escalation"
    GROUP = "group"
    DEDUPLICATION = "deduplication"
    FLAPPING = "flapping"
    DIGEST = "digest"
    RATE_LIMIT = "rate limit"
    OUTBOX = "outbox"


class Reason(StrEnum):
    """Why a stage let an alert pass, or did not."""

    EVALUATED = "the rules have been evaluated since the start"
    NOT_EVALUATED = "the rules have not been evaluated since the start"
    NOT_INHIBITED = "no other alert inhibits it"
    INHIBITED = "another alert inhibits it"
    NOT_SILENCED = "no silence matches"
    SILENCED = "a silence matches"
    NOT_MUTED = "outside of the route's mute times"
    MUTED = "within a mute time of the route"
    NOT_ACKNOWLEDGED = "nobody has acknowledged it"
    ACKNOWLEDGED = "somebody has acknowledged it"
    WORSE_THAN_ACKNOWLEDGED = "its severity has risen since it was told"
    ROUTED = "a route leads to the receiver"
    TOLD_BEFORE = "the receiver was told that it fires"
    FIRST_TOLD = "the receiver is among those told at once"
    NOBODY_TOLD = "nobody has been told that it fires, so nobody could answer"
    ESCALATES_LATER = "those told before have time to answer"
    ESCALATED = "nobody has answered"
    ABOUT_THE_RECEIVER = "it is about the receiver itself"
    GROUP_WAITS = "the group waits for more alerts"
    GROUP_READY = "the group's time has come"
    NEW = "the receiver had not been told before"
    SEVERITY_ROSE = "more severe than what the receiver was told"
    REPEAT_DUE = "the time of a repeat has come"
    ALREADY_TOLD = "the receiver knows"
    RESOLVED = "the receiver was told that it fires, and it is over"
    NEVER_TOLD = "it is over, and the receiver never heard of it"
    STEADY = "it does not flap"
    FLAPPING = "it flaps: it is told in a digest"
    FLAPPED = "the digest of its flapping is due"
    APART = "it is told by itself"
    GATHERED = "it is told in the receiver's digest"
    DIGEST_DUE = "the digest is due"
    WITHIN_LIMIT = "the receiver can take another message"
    OVER_LIMIT = "too many messages a minute: it is told in a digest"
    TOLD = "in the outbox"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one stage decided of one alert.

    `until`: the time, by the daemon's clock in UTC ns, at which asking again can give another answer; None: only after
    a change of silences, acknowledgements, alerts or the configuration.
    """

    stage: Stage
    reason: Reason
    passed: bool
    detail: str = ""
    until: int | None = None


def passes(stage: Stage, reason: Reason, detail: str = "") -> Decision:
    """The stage lets it pass."""
    return Decision(stage, reason, passed=True, detail=detail)


def stops(stage: Stage, reason: Reason, detail: str = "", *, until: int | None = None) -> Decision:
    """The stage holds it back."""
    return Decision(stage, reason, passed=False, detail=detail, until=until)
