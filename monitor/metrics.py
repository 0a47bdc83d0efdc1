"""What the daemon counts and measures, for ``/metrics``.

One registry an object, so that tests and a second daemon in one process share no figures. Names are a promise:
dashboards use them. Counters get ``_total`` from the exposition format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

from connectors.feed import FeedStatus
from monitor.alerting.verdict import Verdict
from monitor.feed_flow import Flow
from monitor.health import STORE_DOWN
from monitor.lags import Quantiles

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FEED_STATUSES: Final = tuple(FeedStatus)
_ALERT_STATES: Final = ("pending", "firing", "recovering")


@dataclass(frozen=True, slots=True)
class FeedFigures:
    """One feed's connection, as its supervisor counts it since the start; `rows` by kind, `rejected` by cause."""

    name: str
    status: FeedStatus
    frames: int = 0
    reconnects: int = 0
    gaps: int = 0
    conflated: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One micro-batch, from frames to the store; `latency`: seconds from its oldest frame until it was durable."""

    rows: int
    apply_seconds: float
    evaluation_seconds: float
    latency: float


class Metrics:
    """Every figure of the daemon; see each one's help text for its unit and labels."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self.build = Info("rotation_build", "Version of the program.", registry=r)
        self.build.info({"version": version("rotation-monitor")})

        self.frames = Counter("rotation_frames", "Frames received.", ["feed"], registry=r)
        self.rows = Counter("rotation_rows", "Rows of market data received.", ["feed", "kind"], registry=r)
        self.rejected = Counter(
            "rotation_rejected_messages", "Messages of a feed that could not be read.", ["feed", "cause"], registry=r
        )
        self.filtered = Counter(
            "rotation_filtered_rows", "Rows kept out of the state, by feed and cause.", ["feed", "cause"], registry=r
        )
        self.conflated = Counter(
            "rotation_conflated_quotes",
            "Quotes replaced by a newer one of the same instrument while behind.",
            ["feed"],
            registry=r,
        )
        self.backlog_bytes = Gauge("rotation_backlog_bytes", "Market data received and not yet applied.", registry=r)
        self.feed_status = Gauge(
            "rotation_feed_status", "1 for the status a feed is in, 0 for the others.", ["feed", "status"], registry=r
        )
        self.reconnects = Counter(
            "rotation_feed_reconnects", "Connections of a feed begun after the first.", ["feed"], registry=r
        )
        self.decisions = Counter(
            "rotation_decisions",
            "What was decided of telling a receiver of an alert, by the stage that had the last word and its reason.",
            ["stage", "reason"],
            registry=r,
        )
        self.gaps = Counter(
            "rotation_feed_gaps", "Messages that are missing, as the vendor numbers them.", ["feed"], registry=r
        )
        self.locked = Counter("rotation_locked_quotes", "Quotes whose bid is their ask.", ["feed"], registry=r)
        self.corrected = Counter(
            "rotation_corrections",
            "Prints taken back or put right, by whether they are known by their id.",
            ["feed", "known"],
            registry=r,
        )
        self.shadowed = Counter(
            "rotation_shadowed_rows", "Rows not used since a better feed was fresh.", ["feed"], registry=r
        )
        self.switches = Counter(
            "rotation_feed_switches", "Instruments that changed over to a feed.", ["feed"], registry=r
        )
        self.disagreeing = Gauge(
            "rotation_disagreeing_instruments",
            "Instruments of which a feed has long said otherwise than the one in use.",
            ["feed"],
            registry=r,
        )
        self.silent = Gauge(
            "rotation_silent_instruments",
            "Instruments of the rules that fell silent on a feed that goes on.",
            ["feed"],
            registry=r,
        )
        self.feed_rate = Gauge(
            "rotation_feed_rows_per_second", "Rows of a feed over the last minute.", ["feed"], registry=r
        )
        self.event_lag = Gauge(
            "rotation_feed_event_to_receive_seconds",
            "From event to receipt over the last minutes, by quantile.",
            ["feed", "quantile"],
            registry=r,
        )
        self.state_lag = Gauge(
            "rotation_feed_receive_to_state_seconds",
            "From the receipt of a batch's oldest frame until it is in the state, by quantile.",
            ["feed", "quantile"],
            registry=r,
        )
        self.feed_lag = Gauge(
            "rotation_feed_lag_seconds",
            "The machine's clock minus the event time of a feed's newest row.",
            ["feed"],
            registry=r,
        )

        self.batches = Counter("rotation_batches", "Micro-batches applied.", registry=r)
        self.batch_rows = Histogram(
            "rotation_batch_rows",
            "Rows of a micro-batch.",
            buckets=(1, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000),
            registry=r,
        )
        self.apply_seconds = Histogram(
            "rotation_apply_seconds", "Filtering a batch and applying it to the state.", buckets=_SECONDS, registry=r
        )
        self.evaluation_seconds = Histogram(
            "rotation_evaluation_seconds", "One evaluation of all rules.", buckets=_SECONDS, registry=r
        )
        self.frame_to_outbox_seconds = Histogram(
            "rotation_frame_to_outbox_seconds",
            "From the receipt of a batch's first frame until its decisions are in the store.",
            buckets=_SECONDS,
            registry=r,
        )
        self.commit_seconds = Histogram(
            "rotation_commit_seconds", "Writing one step to the store.", buckets=_SECONDS, registry=r
        )
        self.uncommitted_bytes = Gauge(
            "rotation_uncommitted_bytes", "Steps waiting to be written to the store.", registry=r
        )
        self.store_up = Gauge("rotation_store_up", "1 while the store answers.", registry=r)
        self.state_bytes = Gauge("rotation_state_bytes", "Memory of the rolling state.", registry=r)
        self.rules = Gauge("rotation_rules", "Rules in force, by kind (alert, record).", ["kind"], registry=r)
        self.reloads = Counter(
            "rotation_reloads", "Reloads of rules, by outcome (applied, refused).", ["outcome"], registry=r
        )
        self.alerts = Gauge("rotation_alerts", "Alert instances, by state.", ["state"], registry=r)
        self.transitions = Counter(
            "rotation_transitions",
            "Transitions of alert instances, by rule and new state.",
            ["alert", "state"],
            registry=r,
        )
        self.template_errors = Counter(
            "rotation_template_errors", "Annotations that could not be rendered.", ["alert"], registry=r
        )

        self.notifications = Counter(
            "rotation_notifications",
            "Attempts and ends of notifications: delivered, failed, refused, dead, skipped.",
            ["receiver", "outcome"],
            registry=r,
        )
        self.pictures = Counter(
            "rotation_pictures",
            "Pictures of messages: drawn, late, busy, failed, nothing (to draw), refused (by the service).",
            ["outcome"],
            registry=r,
        )
        self.picture_seconds = Histogram(
            "rotation_picture_seconds", "From asking for a picture until it is drawn.", buckets=_SECONDS, registry=r
        )
        self.outbox_depth = Gauge(
            "rotation_outbox_depth", "Notifications in the outbox (waiting) and given up (dead).", ["state"], registry=r
        )
        self.problems = Gauge(
            "rotation_problem", "1 while a health condition is raised.", ["name", "subject"], registry=r
        )
        self._totals: dict[tuple[object, ...], int] = {}
        self.store_up.set(1)
        for state in _ALERT_STATES:
            self.alerts.labels(state).set(0)

    def observe_feeds(self, feeds: Iterable[FeedFigures], backlog_bytes: int) -> None:
        """Take over what the feeds' connections count; their totals only grow, so the difference is added."""
        self.backlog_bytes.set(backlog_bytes)
        for feed in feeds:
            for status in _FEED_STATUSES:
                self.feed_status.labels(feed.name, status).set(status == feed.status)
            self._advance(self.frames, feed.frames, feed.name)
            self._advance(self.reconnects, feed.reconnects, feed.name)
            self._advance(self.conflated, feed.conflated, feed.name)
            self._advance(self.gaps, feed.gaps, feed.name)
            for kind, total in feed.rows.items():
                self._advance(self.rows, total, feed.name, kind)
            for cause, total in feed.rejected.items():
                self._advance(self.rejected, total, feed.name, cause)

    def observe_lags(self, seconds: Mapping[str, float]) -> None:
        """Take over how far behind the machine's clock each feed is."""
        for feed, lag in seconds.items():
            self.feed_lag.labels(feed).set(lag)

    def observe_flows(self, flows: Iterable[Flow]) -> None:
        """Take over what the compute thread knows of each feed."""
        for flow in flows:
            self._advance(self.locked, flow.locked, flow.feed)
            self._advance(self.corrected, flow.corrected - flow.untraced, flow.feed, "true")
            self._advance(self.corrected, flow.untraced, flow.feed, "false")
            self._advance(self.shadowed, flow.shadowed, flow.feed)
            self._advance(self.switches, flow.switches, flow.feed)
            self.disagreeing.labels(flow.feed).set(flow.disagreeing)
            self.silent.labels(flow.feed).set(flow.silent)
            self.feed_rate.labels(flow.feed).set(flow.rows_per_second)
            _set_quantiles(self.state_lag, flow.feed, flow.state_lag)

    def observe_line_lags(self, lags: Mapping[str, Quantiles]) -> None:
        """Take over how long data are on their way to this machine, by feed."""
        for feed, lag in lags.items():
            _set_quantiles(self.event_lag, feed, lag)

    def observe_filtered(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Take over the truth filter's totals, by feed and cause."""
        for (feed, cause), total in counts.items():
            self._advance(self.filtered, total, feed, str(cause))

    def committed(self, seconds: float, steps: Iterable[Step]) -> None:
        """A write to the store took `seconds` and made `steps` durable."""
        self.commit_seconds.observe(seconds)
        for step in steps:
            self.batches.inc()
            self.batch_rows.observe(step.rows)
            self.apply_seconds.observe(step.apply_seconds)
            self.evaluation_seconds.observe(step.evaluation_seconds)
            self.frame_to_outbox_seconds.observe(max(0.0, step.latency))

    def observe_state(self, alerts: Mapping[str, int], rules: Mapping[str, int], state_bytes: int) -> None:
        """Take over where alert instances and rules stand."""
        for state in _ALERT_STATES:
            self.alerts.labels(state).set(alerts.get(state, 0))
        for kind, count in rules.items():
            self.rules.labels(kind).set(count)
        self.state_bytes.set(state_bytes)

    def observe_store(self, uncommitted_bytes: int, waiting: int, dead: int) -> None:
        """Take over what waits for the store, and in it for the receivers."""
        self.uncommitted_bytes.set(uncommitted_bytes)
        self.outbox_depth.labels("waiting").set(waiting)
        self.outbox_depth.labels("dead").set(dead)

    def verdict(self, verdict: Verdict) -> None:
        """Count what was decided of telling somebody."""
        self.decisions.labels(str(verdict.last.stage), str(verdict.last.reason)).inc()

    def transition(self, alert: str, state: str) -> None:
        """Count a transition that became durable."""
        self.transitions.labels(alert, state).inc()

    def notification(self, receiver: str, outcome: str) -> None:
        """Count an attempt or an end; fits the notifier's `on_outcome`."""
        self.notifications.labels(receiver, outcome).inc()

    def picture(self, outcome: str, seconds: float) -> None:
        """Count a picture that was asked for; fits the painter's `on_outcome`."""
        self.pictures.labels(outcome).inc()
        if outcome == "drawn":
            self.picture_seconds.observe(seconds)

    def template_error(self, alert: str, _error: str) -> None:
        """Count an annotation that could not be rendered; fits compose's `on_error`."""
        self.template_errors.labels(alert).inc()

    def problem(self, name: str, subject: str, raised: bool) -> None:  # noqa: FBT001 - fits the board's callback
        """Note a health condition; fits the health board's `on_change`."""
        self.problems.labels(name, subject).set(raised)
        if name == STORE_DOWN:
            self.store_up.set(not raised)

    def expose(self, accept: str = CONTENT_TYPE) -> tuple[bytes, str]:
        """Every figure as text, and its content type: OpenMetrics or the older format, as `accept` wants it."""
        encode, content_type = choose_encoder(accept)
        return bytes(encode(self.registry)), content_type

    def _advance(self, counter: Counter, total: int, *labels: str) -> None:
        """Bring a counter up to a total that is kept elsewhere; one that fell began again from 0."""
        key = (counter, *labels)
        seen = self._totals.get(key, 0)
        counter.labels(*labels).inc(total - seen if total >= seen else total)
        self._totals[key] = total


def _set_quantiles(gauge: Gauge, feed: str, lag: Quantiles) -> None:
    for quantile, seconds in (("0.5", lag["p50_seconds"]), ("0.99", lag["p99_seconds"])):
        if seconds is not None:
            gauge.labels(feed, quantile).set(seconds)
