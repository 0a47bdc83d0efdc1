from __future__ import annotations

from dataclasses import replace

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from connectors.feed import FeedStatus
from monitor.feed_flow import Flow
from monitor.metrics import FeedFigures, Metrics, Step


def figures(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.expose()[0].decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_the_text_is_openmetrics_and_every_name_is_ours():
    metrics = Metrics()
    text, content_type = metrics.expose()
    assert text.endswith(b"# EOF\n")
    assert content_type.startswith("application/openmetrics-text")
    assert all(name.startswith("rotation_") for name, _ in figures(metrics))


def test_who_asks_for_the_older_text_gets_it():
    text, content_type = Metrics().expose("text/plain")
    assert content_type.startswith("text/plain")
    assert b"# EOF" not in text


def test_totals_kept_elsewhere_become_counters():
    metrics = Metrics()
    first = FeedFigures("iex", FeedStatus.LIVE, frames=10, rows={"quotes": 200}, rejected={"garbage": 1}, conflated=5)
    metrics.observe_feeds([first], 1_000)
    metrics.observe_feeds([first], 2_000)
    metrics.observe_feeds([FeedFigures("iex", FeedStatus.BACKING_OFF, frames=12, reconnects=1)], 0)
    seen = figures(metrics)
    iex = ("feed", "iex")
    assert seen["rotation_frames_total", (iex,)] == 12
    assert seen["rotation_rows_total", (iex, ("kind", "quotes"))] == 200
    assert seen["rotation_rejected_messages_total", (("cause", "garbage"), iex)] == 1
    assert seen["rotation_feed_reconnects_total", (iex,)] == 1
    assert seen["rotation_backlog_bytes", ()] == 0
    assert seen["rotation_feed_status", (iex, ("status", "backing off"))] == 1
    assert seen["rotation_feed_status", (iex, ("status", "live"))] == 0


def test_what_the_compute_thread_knows_of_a_feed_is_told_by_feed_alone():
    metrics = Metrics()
    lag = {"p50_seconds": 0.002, "p99_seconds": 0.01}
    flow = Flow("iex", 10_000, 1_234.5, 3, 9, 2, 40, 2, 5, 7, lag, {"crossed": 1}, ())
    metrics.observe_flows([flow])
    metrics.observe_flows([replace(flow, locked=4)])
    metrics.observe_line_lags({"iex": {"p50_seconds": 0.03, "p99_seconds": None}})
    iex = ("feed", "iex")
    assert figures(metrics)["rotation_corrections_total", (iex, ("known", "true"))] == 7
    assert figures(metrics)["rotation_corrections_total", (iex, ("known", "false"))] == 2
    seen = {name: value for (name, labels), value in figures(metrics).items() if labels == (iex,)}
    assert seen["rotation_locked_quotes_total"] == 4
    assert seen["rotation_shadowed_rows_total"] == 40
    assert seen["rotation_feed_switches_total"] == 2
    assert seen["rotation_disagreeing_instruments"] == 5
    assert seen["rotation_silent_instruments"] == 7
    assert seen["rotation_feed_rows_per_second"] == 1_234.5
    lags = {key: value for key, value in figures(metrics).items() if "quantile" in dict(key[1])}
    assert lags == {
        ("rotation_feed_receive_to_state_seconds", (iex, ("quantile", "0.5"))): 0.002,
        ("rotation_feed_receive_to_state_seconds", (iex, ("quantile", "0.99"))): 0.01,
        ("rotation_feed_event_to_receive_seconds", (iex, ("quantile", "0.5"))): 0.03,
    }


def test_a_total_that_began_again_is_added_whole():
    metrics = Metrics()
    for frames in (10, 4, 6):
        metrics.observe_feeds([FeedFigures("iex", FeedStatus.LIVE, frames=frames)], 0)
    assert figures(metrics)["rotation_frames_total", (("feed", "iex"),)] == 16


def test_commits_notifications_and_problems_are_counted():
    metrics = Metrics()
    metrics.committed(0.002, [Step(10, 0.001, 0.001, latency) for latency in (0.004, 0.03)])
    metrics.notification("desk", "delivered")
    metrics.template_error("lead", "bad")
    metrics.observe_filtered({("iex", "crossed"): 3})
    metrics.problem("store-down", "", True)
    seen = figures(metrics)
    assert seen["rotation_commit_seconds_count", ()] == 1
    assert seen["rotation_frame_to_outbox_seconds_bucket", (("le", "0.02"),)] == 1
    assert seen["rotation_batches_total", ()] == 2
    assert seen["rotation_notifications_total", (("outcome", "delivered"), ("receiver", "desk"))] == 1
    assert seen["rotation_template_errors_total", (("alert", "lead"),)] == 1
    assert seen["rotation_filtered_rows_total", (("cause", "crossed"), ("feed", "iex"))] == 3
    assert seen["rotation_store_up", ()] == 0
    metrics.problem("store-down", "", False)
    assert figures(metrics)["rotation_store_up", ()] == 1


def test_two_daemons_in_a_process_share_no_figures():
    first, second = Metrics(), Metrics()
    first.notification("desk", "dead")
    assert ("rotation_notifications_total", (("outcome", "dead"), ("receiver", "desk"))) not in figures(second)
