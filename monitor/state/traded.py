"""What views say about volumes: of sessions, of clock time, and against the same time of other days.

As for every window, nothing is known before the stored history reaches back to the window's start.
An instrument that did not trade in a session has no bar of it: while the session lasts its volume is 0, afterwards it
is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.calendar import MINUTE
from monitor.state.columns import Floats, Ints

if TYPE_CHECKING:
    from monitor.state.market import MarketState
    from monitor.state.views import Selection
    from monitor.state.volumes import MinuteVolumes


def volume_of_sessions(state: MarketState, selection: Selection, first: int, session: int, so_far: Floats) -> Floats:
    """Volume of the sessions `first` to `session`, the last of them `so_far`; NaN below 80 % of them."""
    count = session - first + 1
    if count < 1 or first < _begun(state):
        return selection.unknown()
    total, known = _past_sessions(state, selection, first, session)
    now = ~np.isnan(so_far)
    return np.where(_enough(known + now, count), total + np.where(now, so_far, 0.0), np.nan)


def volume_by_minute(state: MarketState, selection: Selection, ns: int, session: int) -> Floats:
    """Volume of a session up to the end of a minute that is closed and kept; NaN where it is not known."""
    volumes = state.volumes
    if volumes is None or not volumes.begin <= ns < state.minute_end:
        return selection.unknown()
    return _of_view(selection, np.where(_seen(volumes, ns), volumes.so_far(session, ns) + 0.0, np.nan))


def volume_by_clock(
    state: MarketState, selection: Selection, ns: int, session: int, length: int, so_far: Floats
) -> Floats:
    """Volume of the last minutes up to `ns`, the one that `ns` lies in included; NaN below 80 % of their span."""
    volumes = state.volumes
    end = -(-ns // MINUTE) * MINUTE
    start = end - -(-length // MINUTE) * MINUTE
    if volumes is None or selection.places is None:
        return selection.unknown()
    if start < (volumes.begin or state.minute_end - MINUTE):
        return selection.unknown()
    open_ = np.where(selection.places < 0, np.nan, so_far)
    past = volumes.between(start, session)
    since = _of_view(selection, np.where(volumes.since > 0, np.maximum(volumes.since, start), end))
    covered = end - np.where(since < end, since, end - MINUTE)
    return np.where(covered * 5 >= (end - start) * 4, open_ + _of_view(selection, past), np.nan)


def relative_volume(
    state: MarketState, selection: Selection, ns: int, session: int, count: int, so_far: Floats
) -> Floats:
    """Volume of a session so far / its mean up to the same time in the `count` sessions before."""
    calendar = state.calendar
    if session - count < _begun(state):
        return selection.unknown()
    if ns == calendar.close_ns(session):
        total, known = _past_sessions(state, selection, session - count, session)
        return _ratio(so_far, total, known, count)
    volumes, passed = state.volumes, ns - calendar.open_ns(session)
    if passed <= 0 or volumes is None:
        return selection.unknown()
    key = session, count, passed // MINUTE
    if selection.profile is None or selection.profile[0] != key:
        selection.profile = key, volumes.profile(*key)
    here, later = selection.profile[1]
    at = here + (later - here) * ((passed % MINUTE) / MINUTE)
    known = ~np.isnan(at)
    total = np.where(known, at, 0.0).sum(axis=0)
    return _ratio(so_far, _of_view(selection, total), _of_view(selection, known.sum(axis=0)), count)


def _begun(state: MarketState) -> int:
    """The oldest session of which anything is stored."""
    return state.sessions.first if state.sessions.begun else state.session


def _past_sessions(state: MarketState, selection: Selection, first: int, session: int) -> tuple[Floats, Ints]:
    """Sum of the stored volumes of the sessions from `first` to before `session`, and how many are known."""
    found = selection.traded.get((first, session))
    if found is None:
        volumes = state.sessions.volumes_of(first, min(session, state.session) - 1, selection.index)
        known = ~np.isnan(volumes)
        found = np.where(known, volumes, 0.0).sum(axis=0), known.sum(axis=0)
        if session == state.session:
            selection.traded[first, session] = found
    return found


def _ratio(so_far: Floats, total: Floats, known: Floats | Ints, count: int) -> Floats:
    good = _enough(known, count) & (total > 0)
    ratio: Floats = np.divide(so_far * known, total, out=np.full(len(so_far), np.nan), where=good)
    return ratio


def _enough(known: Floats | Ints, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether that is 80 % of `count`, in whole numbers."""
    enough: np.ndarray[tuple[int], np.dtype[np.bool_]] = known * 5 >= count * 4
    return enough


def _seen(volumes: MinuteVolumes, ns: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which instruments had a volume before `ns`."""
    seen: np.ndarray[tuple[int], np.dtype[np.bool_]] = (volumes.since > 0) & (volumes.since < ns)
    return seen


def _of_view(selection: Selection, values: Floats | Ints) -> Floats:
    """Of the kept instruments' values, those of a view in its order; NaN where one is not kept."""
    places = selection.places
    if places is None or not len(values):
        return selection.unknown()
    return np.where(places >= 0, values[places], np.nan)
