"""The part of a plan that its histories are made of: what is computed for a sample, of which nothing is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rules.steps import (
    AnyStep,
    Plan,
    RankStep,
    Reading,
    ReturnStep,
    SegmentStep,
    SetStep,
    Slots,
    SourceStep,
    Step,
    WindowStep,
)

_Mask = npt.NDArray[np.bool_]


def of_histories(plan: Plan) -> Plan:
    """A plan of the slots whose past is kept and of those they are made from; columns of histories stay the same.

    Slots have other numbers in it: :attr:`~rules.steps.Plan.history` has them by column.
    """
    needed = np.zeros(plan.size, np.bool_)
    for slots in plan.history.values():
        needed[slots] = True
    kept: list[AnyStep] = []
    for step in reversed(plan.steps):
        if needed[step.out].any():
            part = _part(step, needed[step.out])
            for slots in _inputs(part):
                needed[slots] = True
            kept.append(part)
    number = np.cumsum(needed) - 1
    steps = tuple(_numbered(step, number) for step in reversed(kept))
    where, values = plan.constants
    return replace(
        plan,
        size=int(needed.sum()),
        constants=(number[where[needed[where]]], values[needed[where]]),
        steps=steps,
        readings=tuple(dict.fromkeys(reading for step in steps for reading in readings_of(step))),
        history={resolution: number[slots] for resolution, slots in plan.history.items()},
    )


def readings_of(step: AnyStep) -> tuple[Reading, ...]:
    """What a step asks a view for."""
    match step:
        case SourceStep(reading=reading):
            return (reading,)
        case ReturnStep(price=price, bases=bases):
            return (price, *(reading for reading, _ in bases))
        case _:
            return ()


def _inputs(step: AnyStep) -> tuple[Slots, ...]:
    """The slots that a step reads."""
    match step:
        case Step(args=args):
            return args
        case SegmentStep(members=members) | RankStep(members=members):
            return (members,)
        case SetStep(members=members):
            return tuple(slots.ravel() for slots in members)
        case WindowStep(sources=sources, past=past):
            return (*sources, *past)
        case _:
            return ()


def _part(step: AnyStep, keep: _Mask) -> AnyStep:
    """The step for some of its slots."""
    if keep.all():
        return step
    match step:
        case SourceStep():
            return replace(step, out=step.out[keep], column=step.column[keep])
        case ReturnStep():
            row = np.cumsum(keep) - 1
            bases = tuple((reading, row[rows[keep[rows]]]) for reading, rows in step.bases if keep[rows].any())
            return replace(step, out=step.out[keep], column=step.column[keep], bases=bases)
        case Step():
            return replace(step, out=step.out[keep], args=tuple(slots[keep] for slots in step.args))
        case SegmentStep():
            sizes = np.diff(step.starts, append=len(step.members))
            mine = np.repeat(keep, sizes)
            starts = (np.cumsum(sizes[keep]) - sizes[keep]).astype(np.int64)
            out, whole = step.out[keep], step.whole[keep]
            return SegmentStep(step.op, out, step.members[mine], starts, step.weights[mine], whole)
        case SetStep():
            return replace(step, out=step.out[keep], members=tuple(slots[keep] for slots in step.members))
        case RankStep():
            return replace(step, out=step.out[keep], position=step.position[keep])
        case WindowStep():
            sources, past, columns = (
                tuple(slots[keep] for slots in group) for group in (step.sources, step.past, step.columns)
            )
            return replace(step, out=step.out[keep], sources=sources, past=past, columns=columns)


def _numbered(step: AnyStep, number: Slots) -> AnyStep:
    """The step with other numbers for its slots."""
    out = number[step.out]
    match step:
        case Step():
            return replace(step, out=out, args=tuple(number[slots] for slots in step.args))
        case SegmentStep() | RankStep():
            return replace(step, out=out, members=number[step.members])
        case SetStep():
            return replace(step, out=out, members=tuple(number[slots] for slots in step.members))
        case WindowStep():
            sources, past = (tuple(number[slots] for slots in group) for group in (step.sources, step.past))
            return replace(step, out=out, sources=sources, past=past)
        case SourceStep() | ReturnStep():
            return replace(step, out=out)
