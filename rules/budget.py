"""What an evaluation costs, rule by rule, and which rules have to go so that the others stay within their time.

All rules are evaluated at once, level by level, so no rule has a running time of its own. A step's time is divided
among its slots, a slot's among those that use it, and so on up to the rules: what several rules share they share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.steps import AnyStep, Plan, RankStep, SegmentStep, SetStep, Slots, Step, WindowStep
from rules.view import Floats

Timer = Callable[[], float]
"""Seconds that never go back. Time the thread itself has worked serves best: a busy machine is no rule's fault."""


LOOKS: Final = 3
"""Evaluations in a row, after those that patience was had with, of which the time of each step is taken."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long an evaluation may take, in seconds of `timer`; `patience`: how many in a row may take longer.

    After these come :data:`LOOKS` more, and then the most expensive rules are suspended.
    """

    seconds: float
    timer: Timer
    patience: int = 3


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why a rule is not evaluated: it took `seconds` of an evaluation of `whole` seconds, more than the `budget`.

    `logic` is the fingerprint of what was suspended.
    """

    seconds: float
    whole: float
    budget: float
    logic: str

    @property
    def reason(self) -> str:
        """For people.

        Examples:
            >>> Suspension(0.31, 0.5, 0.1, "").reason
            'suspended: it takes 62 % of an evaluation of 500 ms, and 100 ms are allowed (evaluation_budget)'
        """
        share, whole, budget = self.seconds / self.whole, self.whole * 1000, self.budget * 1000
        return (
            f"suspended: it takes {share:.0%} of an evaluation of {whole:.3g} ms, "
            f"and {budget:.3g} ms are allowed (evaluation_budget)"
        ).replace("%", " %", 1)


class Stopwatch:
    """Takes the time of each step of an evaluation: `laps` is (steps,), seconds, summed over what it is made of."""

    def __init__(self, timer: Timer, steps: int) -> None:
        self._timer = timer
        self._since = 0.0
        self.laps: Floats = np.zeros(steps)

    def start(self) -> None:
        """The first step begins."""
        self._since = self._timer()

    def lap(self, number: int) -> None:
        """A step is done, and the next begins."""
        now = self._timer()
        self.laps[number] += now - self._since
        self._since = now


def costs(plan: Plan, laps: Floats, roots: Mapping[str, Slots]) -> dict[str, float]:
    """Seconds of each rule, by name: together those of `laps`, the steps'. `roots`: the slots that a rule is read from.

    A slot that nobody uses costs nobody anything.
    """
    inputs = [_inputs(step) for step in plan.steps]
    users = np.zeros(plan.size)
    for used in inputs:
        for slots, _ in used:
            np.add.at(users, slots, 1.0)
    for slots in roots.values():
        users[slots] += 1.0
    whole = np.zeros(plan.size)
    share = 1.0 / np.maximum(users, 1.0)
    for step, used, seconds in zip(plan.steps, inputs, laps.tolist(), strict=True):
        weights = _weights(step)
        own = weights * (seconds / weights.sum())
        for slots, places in used:
            np.add.at(own, places, whole[slots] * share[slots])
        if isinstance(step, RankStep):  # its members are ordered once, for all of them
            own[:] = own.sum() / len(own)
        whole[step.out] = own
    return {name: float((whole[slots] * share[slots]).sum()) for name, slots in roots.items()}


def over_budget(found: Mapping[str, float], seconds: float) -> list[str]:
    """The rules to suspend so that the rest stays within `seconds`: the most expensive, as few as will do."""
    left, named = sum(found.values()), []
    for name, cost in sorted(found.items(), key=lambda rule: -rule[1]):
        if left <= seconds:
            break
        named.append(name)
        left -= cost
    return named


def _inputs(step: AnyStep) -> list[tuple[Slots, Slots]]:
    """The slots that a step reads, and for each of them which of its slots (by place) it is read for."""
    match step:
        case Step(args=args):
            return [(slots, np.arange(len(slots))) for slots in args]
        case SegmentStep(members=members):
            return [(members, np.repeat(np.arange(len(step.out)), _sizes(step)))]
        case SetStep(members=members):
            return [(m.reshape(-1), np.repeat(np.arange(len(m)), m.shape[1])) for m in members]
        case RankStep(members=members):
            return [(members, np.zeros(len(members), np.int64))]
        case WindowStep():
            return [(slots, np.arange(len(slots))) for slots in (*step.sources, *step.past)]
        case _:
            return []


def _weights(step: AnyStep) -> Floats:
    """How much work each slot of a step is, against the others."""
    return _sizes(step).astype(np.float64) if isinstance(step, SegmentStep) else np.ones(len(step.out))


def _sizes(step: SegmentStep) -> Slots:
    return np.diff(step.starts, append=len(step.members))
