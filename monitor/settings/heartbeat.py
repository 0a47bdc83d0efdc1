"""The message that says every day that the monitor is there."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from monitor.settings.alerting import Names
from monitor.settings.base import Model

_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise PydanticCustomError("time", '`{text}` is no time of day: write "08:30"', {"text": text})
    return text


class HeartbeatSettings(Model):
    """Who is told once a day that the monitor is there, so that silence is known to be silence."""

    to: Annotated[Names, Field(min_length=1, description="one receiver, or several")]
    at: Annotated[str, AfterValidator(_time)] = Field(default="08:30", description="time of day, New York")
    days: Literal["sessions", "all"] = Field(default="sessions", description="sessions: when the exchange opens")
