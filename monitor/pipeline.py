"""What happens to data on the compute thread, in journal order: filter, cut, apply, evaluate.

Each piece of data becomes one :class:`Result`: the journal entry together with the decisions it led to. The committer
writes it in one atomic step, so a journal entry exists exactly if its decisions do, and a restart has nothing to decide
again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl

from connectors.batch import Batch, Receipt
from monitor import clock, journal
from monitor.corporate_actions import Action
from monitor.data_health import DataHealth, Trouble, impossible_actions, silent_instruments
from monitor.ingest import CleanBatch, Cutter, TruthFilter
from monitor.lags import Lags
from monitor.last_quotes import LastQuotes
from monitor.notify.compose import Notice, describe, plain_evidence
from monitor.positions import places
from monitor.rates import Rates
from monitor.self_series import SelfSeries
from monitor.silence import Silences, SilentInstruments
from monitor.state import MarketState
from monitor.store.base import BarChunk, Checkpoint, Commit, JournalEntry, JournalId
from rules.engine import Engine, Evaluation
from rules.ruleset import RuleSet
from rules.transition import InstanceRecord, Transition

SECOND: Final = 1_000_000_000
WATERMARKS: Final = pl.Schema({"feed": pl.String(), "newest": pl.Int64()})
"""Of a checkpoint, beside the state: the newest event time of each feed, UTC ns."""
FEED: Final = "feed"
"""The field of a journal entry that names its feed."""
SUSPENDED: Final = "suspended"
"""The field of a journal entry that names the rules not evaluated any more after it, one a line.

Nobody else could know: it depends on how fast this machine was. A recovery decides nothing again and tries them anew.
"""
CHUNK_NAME: Final = "%Y-%m-%dT%H:%M"
"""How the first minute of a chunk of minute bars names it, UTC."""
_STILL_NS: Final = 1_000_000_000
"""Without anything new for so long, event time moves on by itself."""
_AT_ONCE: Final = 16
"""Pieces evaluated in one call: the compute thread is free for others every few dozen milliseconds."""


@dataclass(frozen=True, slots=True)
class Result:
    """One piece of data and what it led to. `received_at`: wall clock of the oldest frame in it, UTC ns.

    `at`: event time after it. `notices`: what people are told of each transition, None where nobody is.
    """

    commit: Commit
    transitions: tuple[Transition, ...]
    received_at: int
    at: int = 0
    notices: tuple[Notice | None, ...] = ()
    rows: int = 0
    apply_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    receipts: tuple[Receipt, ...] = ()
    """To be called once this, and with it all before it, is durable."""


class Pipeline:
    """State, engine and filter under one roof. Not thread-safe: everything here runs on the compute thread."""

    def __init__(
        self,
        state: MarketState,
        engine: Engine,
        truth: TruthFilter,
        cutter: Cutter,
        zone: ZoneInfo,
        *,
        follows_wall: bool,
        last_id: JournalId | None = None,
        on_template_error: Callable[[str, str], None] | None = None,
    ) -> None:
        """`zone`: the exchange's, in which times are shown.

        `follows_wall`: whether event time and the machine's clock are the same time, so that rows can be in the future.
        """
        self.state, self.engine, self.truth = state, engine, truth
        self._cutter, self._zone, self.follows_wall = cutter, zone, follows_wall
        self._last_id = last_id or JournalId(0, 0)
        self._on_template_error = on_template_error
        self._pieces: deque[CleanBatch] = deque()
        self._receipts: list[Receipt] = []
        self._feed = ""
        self._received_at = 0
        self._seen_at = 0
        self._last_quotes = LastQuotes(state)
        self._own = SelfSeries(truth.rejects, follows_wall=follows_wall)
        self._own.want(engine.requirements.series)
        self.data_health = DataHealth(zone)
        self.silences = Silences(state.calendar)
        self.rates = Rates()
        self.state_lags: defaultdict[str, Lags] = defaultdict(Lags)
        """By feed, from the receipt of a batch's oldest frame until it is in the state."""
        if state.now:
            cutter.resume(state.now)
        truth.know(state.last_prices())
        self._tell_splits()

    # --- data -----------------------------------------------------------------------------------------------

    def process(self, batches: Sequence[Batch], wall_ns: int) -> list[Result]:
        """Take in what the feeds said; one result a piece, in order. `wall_ns`: now, UTC.

        A call does a bounded number of pieces; while :attr:`waiting`, call again, without batches. Where batches come
        all the time and nothing of them is new (all of it refused, or of a feed far behind), time passes all the same.
        """
        reached = self.state.now
        clean = [self.truth.clean(b, wall_ns if self.follows_wall else None) for b in batches]
        self.silences.listen(self.truth.arrivals, self.state.now)
        if batches:
            self._feed = batches[0].feed if len({b.feed for b in batches}) == 1 else ""
        self._received_at = min((b.received_at for b in batches), default=self._received_at)
        self._seen_at = self._seen_at or wall_ns
        self._receipts += [receipt for batch in batches for receipt in batch.receipts]
        self._own.saw(batches)
        self._pieces.extend(self._cutter.cut(clean))
        results = self._steps(wall_ns)
        if self.state.now > reached:
            self._seen_at = wall_ns
        elif self.follows_wall and not self._pieces and wall_ns - self._seen_at >= _STILL_NS:
            results += self.tick(wall_ns)
        done = clock.wall_ns()
        for batch in batches:
            self.state_lags[batch.feed].add_one(done - batch.received_at, done, batch.rows)
        return results

    def flush(self, wall_ns: int) -> list[Result]:
        """Take in the instant that was held back for the rest of it."""
        self._pieces.extend(self._cutter.flush())
        return self._steps(wall_ns)

    @property
    def waiting(self) -> int:
        """Pieces that are cut and not yet evaluated."""
        return len(self._pieces)

    @property
    def held(self) -> int:
        """Rows held back until a later instant arrives."""
        return self._cutter.held

    def tick(self, wall_ns: int) -> list[Result]:
        """Let event time pass without data: prices grow stale, timers end, sessions close.

        A feed that is behind, by its plan or by the network, stays as far behind, so nothing passes before the first
        data.
        """
        if not (self._seen_at and self.state.now):
            return []
        now = self.state.now + wall_ns - self._seen_at
        self._seen_at = self._received_at = wall_ns
        return [self._step(CleanBatch(event_time=now), wall_ns)] if now > self.state.now else []

    def _steps(self, wall_ns: int) -> list[Result]:
        results = [self._step(self._pieces.popleft(), wall_ns) for _ in range(min(_AT_ONCE, len(self._pieces)))]
        if not self._receipts or self._pieces or self._cutter.held:
            return results
        if not results:  # the filter refused it all: the receipts follow what was decided before
            results = [self._result(journal.encode(CleanBatch(), self.state.now), Evaluation((), ()), wall_ns)]
        receipts, self._receipts = tuple(self._receipts), []
        commit = replace(results[-1].commit, positions=places(receipts))
        return [*results[:-1], replace(results[-1], commit=commit, receipts=receipts)]

    def _step(self, piece: CleanBatch, wall_ns: int) -> Result:
        began = clock.monotonic()
        now, rows = max(piece.event_time, self.state.now), piece.rows
        if (own := self._own.publish(now, wall_ns)).height:
            piece = replace(piece, series=pl.concat([piece.series, own]))
        self.state.apply(piece, now)
        applied = clock.monotonic()
        needs = self.engine.requirements
        # Before the first data there is no time to judge at; external series may come earlier.
        evaluation = self.engine.evaluate(self.state.view(needs.instruments, needs.series)) if now else Evaluation()
        evaluated = clock.monotonic()
        result = self._result(self._entry(piece, evaluation.suspended), evaluation, wall_ns)
        return replace(result, rows=rows, apply_seconds=applied - began, evaluation_seconds=evaluated - applied)

    def _entry(self, piece: CleanBatch, suspended: Sequence[str]) -> dict[str, bytes]:
        """The journal entry of a piece, with the feed's name where it is of one feed alone."""
        about = {FEED: self._feed, SUSPENDED: "\n".join(suspended)}
        return journal.encode(piece, self.state.now, {name: text.encode() for name, text in about.items() if text})

    def _result(self, fields: Mapping[str, bytes], evaluation: Evaluation, wall_ns: int) -> Result:
        notices = tuple(self._notice(t) for t in evaluation.transitions)
        commit = Commit(
            entry=JournalEntry(self._next_id(wall_ns), fields),
            instances={name: None if r is None else encode_record(r) for name, r in evaluation.records},
            transitions=[encode_transition(t, n) for t, n in zip(evaluation.transitions, notices, strict=True)],
            quotes=self._last_quotes.due(wall_ns),
        )
        return Result(commit, evaluation.transitions, self._received_at, self.state.now, notices)

    def _notice(self, transition: Transition) -> Notice | None:
        notice = describe(transition, zone=self._zone, on_error=self._on_template_error)
        if notice is None:
            return None
        rule = next((r for r in self.engine.ruleset.alerts if r.name == transition.alert), None)
        return (
            notice
            if rule is None
            else replace(
                notice,
                notify=rule.notify,
                repeat=rule.repeat,
                escalate=None if rule.escalate is None else tuple((step.after, step.to) for step in rule.escalate),
            )
        )

    def _next_id(self, wall_ns: int) -> JournalId:
        ms = max(wall_ns // 1_000_000, self._last_id.ms)
        self._last_id = JournalId(ms, self._last_id.sequence + 1 if ms == self._last_id.ms else 0)
        return self._last_id

    # --- rules and store ------------------------------------------------------------------------------------

    def reload(self, ruleset: RuleSet, wall_ns: int) -> list[Result]:
        """Replace the rules; state that new ones need is kept from now on."""
        evaluation = self.engine.reload(ruleset)
        self.state.needs(self.engine.requirements)
        self._own.want(self.engine.requirements.series)
        return [self._result(journal.encode(CleanBatch(), self.state.now), evaluation, wall_ns)]

    def include_history(self, closes: Sequence[pl.DataFrame], series: Sequence[pl.DataFrame] = ()) -> None:
        """Take in session closes and external series; of two for one session or publication, the later frame's."""
        for frame in closes:
            self.state.import_sessions(frame)
        for frame in series:
            self.state.import_series(frame)

    def adopt_actions(self, actions: Sequence[Action], wall_ns: int) -> list[Result]:
        """All corporate actions there are: what is due is applied at once, and decided on."""
        self.state.actions.know(actions)
        self._tell_splits()
        return [*self._steps(wall_ns), self._step(CleanBatch(event_time=self.state.now), wall_ns)]

    def _tell_splits(self) -> None:
        for symbol, splits in self.state.actions.splits().items():
            self.truth.tell_splits(symbol, splits)

    def troubles(self, wall_ns: int) -> list[Trouble]:
        """What is wrong with the data now."""
        self.rates.look(self.truth.arrivals, wall_ns)
        impossible = impossible_actions(self.state.actions.impossible)
        return [*self.data_health.look(self.truth, wall_ns), *silent_instruments(self.silent()), *impossible]

    def silent(self) -> list[SilentInstruments]:
        """Instruments of the rules that fell silent while their feed goes on."""
        state, symbols = self.state, self.truth.instruments()
        halted = np.flatnonzero(state.columns.halted_since[: len(state.index)])
        names = state.index.symbols()
        codes = self.truth.codes(pl.Series([names[place] for place in halted.tolist()], dtype=pl.String))
        wanted = self.engine.requirements.instruments
        return self.silences.silent(symbols, wanted, codes.astype(np.intp), state.now)

    def feeds_down(self, feeds: Collection[str]) -> None:
        """These feeds are not live while they should be: a figure that rules may look at, and no instrument's fault."""
        self._own.feeds_down = len(feeds)
        self.silences.pause(feeds)

    def adopt(self, records: Sequence[InstanceRecord], wall_ns: int) -> list[Result]:
        """Take up the instances of the last process; a result where rules changed while no process ran."""
        evaluation = self.engine.restore(records, self.state.now)
        if not (evaluation.transitions or evaluation.records):
            return []
        return [self._result(journal.encode(CleanBatch(), self.state.now), evaluation, wall_ns)]

    def stored_instances(self) -> dict[str, bytes]:
        """Every alert instance as it is stored."""
        table = self.engine.instances
        return {r.field: encode_record(r) for r in map(table.record, range(len(table.rows)))}

    def checkpoint(self) -> Checkpoint:
        """The rolling frames after the last result, and the bars that closed since the last checkpoint."""
        frames = {name: frame_bytes(frame) for name, frame in self.state.checkpoint_frames().items()}
        marks = pl.DataFrame([*self.truth.watermarks().items()], schema=WATERMARKS, orient="row")
        frames["watermarks"] = frame_bytes(marks)
        frames["cadences"] = frame_bytes(self.silences.frame(self.truth.instruments()))
        minutes, sessions = self.state.closed_bars()
        revisions = self.state.revisions()
        return Checkpoint(
            self._last_id,
            frames,
            [*_chunks("1m", minutes), *_chunks("1d", sessions)],
            revisions=frame_bytes(revisions) if revisions.height else b"",
        )


def _chunks(resolution: str, bars: pl.DataFrame) -> list[BarChunk]:
    """Session bars by date, minute bars in one chunk named by its first minute."""
    if not bars.height:
        return []
    if resolution == "1m":
        return [BarChunk("1m", bars["ts"].min().strftime(CHUNK_NAME), frame_bytes(bars))]  # type: ignore[union-attr]
    by_date = bars.partition_by("ts", as_dict=True, maintain_order=True)
    return [BarChunk("1d", str(date), frame_bytes(rows)) for (date,), rows in by_date.items()]


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """A frame as Arrow IPC, zstd: what any program with polars or pyarrow reads."""
    return frame.write_ipc(None, compression="zstd").getvalue()


def encode_record(record: InstanceRecord) -> bytes:
    """An alert instance as JSON, as it is stored."""
    return msgspec.json.encode(record)


def decode_record(data: bytes) -> InstanceRecord:
    """The alert instance of a stored JSON. Raises msgspec.ValidationError if it is none."""
    return msgspec.json.decode(data, type=InstanceRecord)


def encode_transition(transition: Transition, notice: Notice | None = None) -> dict[str, bytes]:
    """A transition as a stream entry: the fields people filter by, all of it as JSON, and what people are told."""
    plain = {
        "at": transition.at,
        "alert": transition.alert,
        "member": transition.member,
        "from": str(transition.old),
        "to": str(transition.new),
        "reason": str(transition.reason),
        "episode": transition.episode,
        "started_at": transition.started_at,
        "value": transition.value,
        "value_type": transition.value_type,
        "severity": transition.severity,
        "labels": dict(transition.labels),
        "annotations": dict(transition.annotations),
        "evidence": plain_evidence(transition.evidence),
        "flaps": transition.flaps,
    }
    return {
        "alert": transition.alert.encode(),
        "episode": transition.episode.encode(),
        "to": str(transition.new).encode(),
        "transition": msgspec.json.encode(plain),
        **({"notice": msgspec.json.encode(replace(notice, evidence={}))} if notice else {}),
    }


def decode_transition(fields: Mapping[str, bytes]) -> tuple[Transition, Notice | None]:
    """The transition of a stream entry, and what people are told. Raises msgspec.ValidationError if it is none."""
    plain = msgspec.json.decode(fields["transition"])
    plain["old"], plain["new"] = plain.pop("from"), plain.pop("to")
    notice = msgspec.json.decode(fields["notice"], type=Notice) if "notice" in fields else None
    told = None if notice is None else replace(notice, evidence=plain["evidence"])
    return msgspec.convert(plain, Transition), told
