// Feeds, each one's instruments, and samples of what was refused.

import { get } from "./api.js";
import { at, el, list, say } from "./elements.js";
import { counted, span } from "./words.js";

const EVERY = 2_000; // ms between looks, while somebody sees them
const PAGE = 50;
const SAMPLES = 40;
const FEED_MARKS = { live: "●", connecting: "◌", silent: "◐", "backing off": "▲", stopped: "■" };
const PULSE_MARKS = { silent: "▲", unheard: "○", halted: "■", quiet: "◐", live: "●" };
const PULSE_LOOKS = { silent: "critical", unheard: "warning", halted: "warning", quiet: "pending", live: "good" };

export const feedSays = (feed) => `${FEED_MARKS[feed.status] ?? "○"} ${feed.status}`;
export const feedLooks = (feed) => (feed.status === "live" ? "good" : feed.status === "stopped" ? "critical" : "warning");

const number = (value) => (value ?? 0).toLocaleString("en-US");
const total = (counts) => Object.values(counts ?? {}).reduce((sum, n) => sum + n, 0);

function rate(value) {
  if (!value) return "0";
  if (value < 0.01) return "< 0.01";
  return value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString("en-US");
}

/** Seconds in the unit that fits: `240 µs`, `3.1 ms`, `1.2 s`, `15m`. */
function lag(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const size = Math.abs(seconds);
  if (size >= 60) return span(seconds);
  const [scale, unit] = size >= 1 ? [1, "s"] : size >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
  const scaled = seconds * scale;
  return `${Math.abs(scaled) >= 10 ? scaled.toFixed(0) : scaled.toFixed(1)} ${unit}`;
}

/** Counts in words, the largest first: `12 crossed, 3 late`; a dash where all is well. */
const worded = (counts) => Object.entries(counts).filter(([, n]) => n).sort(([, a], [, b]) => b - a)
  .map(([word, n]) => `${number(n)} ${word}`).join(", ") || "–";

const lost = (of) => worded({ gaps: of.gaps ?? 0, conflated: of.conflated ?? 0, reconnects: of.reconnects ?? 0 });
const refused = (feed) => worded({ ...feed.filtered, unreadable: total(feed.rejected) });
const beside = (feed) => worded({
  "rows shadowed": feed.shadowed ?? 0, "switch-overs": feed.switches ?? 0,
  "instruments that differ": feed.disagreeing ?? 0, "locked quotes": feed.locked ?? 0, "corrected trades": feed.corrected ?? 0,
});

/** A cell of a figure and what is below it. */
const pair = (className = "") => el("td", { class: className }, el("span"), el("span", { class: "below" }));

function sayPair(cell, first, below, looks) {
  say(cell.firstChild, first, looks ?? "");
  say(cell.lastChild, below);
}

function sayLag(cell, of) {
  const known = of?.p50_seconds !== null && of?.p50_seconds !== undefined;
  sayPair(cell, known ? lag(of.p50_seconds) : "–", known ? `1 in 100: ${lag(of.p99_seconds)}` : "");
}

function makeFeed(feed) {
  const open = () => showFeed(feed.name);
  return el("tr", { class: "opens", onclick: open },
    el("td", {}, el("button", { class: "link", type: "button" }, feed.name), el("span", { class: "below" })),
    pair("figure"), pair("figure"), pair("figure"), pair(), el("td"), el("td"), el("td"), el("td", { class: "error" }));
}

function updateFeed(row, feed) {
  const [name, rows, arrival, state, instruments, gone, filtered, others, error] = row.children;
  say(name.lastChild, feedSays(feed), `below mark ${feedLooks(feed)}`);
  sayPair(rows, rate(feed.rows_per_second), `${number(total(feed.rows))} in all`);
  sayLag(arrival, feed.event_to_receive);
  sayLag(state, feed.receive_to_state);
  const silent = feed.instruments_silent;
  sayPair(instruments, silent ? `▲ ${number(silent)} silent` : `${number(feed.instruments_heard)} heard`,
    silent ? `of ${number(feed.instruments_heard)} heard` : "none silent", silent ? "critical" : "");
  say(gone, lost(feed));
  say(filtered, refused(feed));
  say(others, beside(feed));
  say(error, feed.last_error ?? "–");
}

async function lookAtFeeds() {
  if (document.hidden) return;
  const feeds = await get("/api/v1/feeds");
  at("no-feeds").hidden = feeds.length > 0;
  document.querySelector(".feeds .wide").hidden = feeds.length === 0;
  const heard = feeds.reduce((sum, feed) => sum + (feed.rows_per_second ?? 0), 0);
  say(at("feeds-count"), feeds.length ? `${rate(heard)} rows a second over the last minute` : "");
  list(at("feeds"), feeds, (feed) => feed.name, makeFeed, updateFeed);
  if (at("feed").open) await lookAtFeed();
}

// One feed

let shownFeed = null;
let offset = 0;

async function showFeed(name) {
  [shownFeed, offset] = [name, 0];
  say(at("feed-title"), name);
  for (const id of ["feed-says", "feed-place"]) say(at(id), "asking…");
  at("feed-instruments").replaceChildren();
  at("feed-samples").replaceChildren();
  if (!at("feed").open) at("feed").showModal();
  await lookAtFeed().catch((error) => say(at("feed-says"), `This cannot be shown: ${error.message}`));
}

async function lookAtFeed() {
  const name = shownFeed;
  const query = new URLSearchParams({ sort: at("feed-sort").value, search: at("feed-search").value, limit: PAGE, offset });
  if (at("feed-pulse").value) query.set("pulse", at("feed-pulse").value);
  const path = `/api/v1/feeds/${encodeURIComponent(name)}`;
  const [feed, page] = await Promise.all([get(path), get(`${path}/instruments?${query}`)]);
  if (name !== shownFeed || page.offset !== offset) return;
  drawFeed(feed);
  drawInstruments(page);
}

function drawFeed(feed) {
  const facts = [feedSays(feed), `${rate(feed.rows_per_second)} rows a second`, ...(feed.disagreements ?? [])];
  if (feed.last_error) facts.push(`last error: ${feed.last_error}`);
  say(at("feed-says"), facts.join(" · "));
  const rows = feed.refused_rows.toReversed().map((r) => [r.cause, `${r.kind}: ${JSON.stringify(r.row)}`]);
  const frames = feed.unreadable_frames.map((f) => [f.cause, f.frame + (f.bytes > f.frame.length ? " …" : "")]);
  const samples = [...frames, ...rows].slice(0, SAMPLES);
  at("feed-samples-title").hidden = samples.length === 0;
  list(at("feed-samples"), samples.map((sample, i) => [...sample, i]), (sample) => sample.join("\n"),
    ([cause, text]) => el("li", {}, el("span", { class: "cause" }, cause), el("code", {}, text)));
}

function drawInstruments({ total: all, pulses, instruments }) {
  const last = Math.min(offset + PAGE, all);
  const place = all ? `${number(offset + 1)} to ${number(last)} of ${number(all)}` : "none";
  say(at("feed-place"), `${place} (${counted(pulses) || "nothing heard"})`);
  at("feed-back").disabled = offset === 0;
  at("feed-on").disabled = last >= all;
  list(at("feed-instruments"), instruments, (row) => row.symbol,
    (row) => el("tr", {}, el("th", { scope: "row" }, row.symbol), el("td"),
      ...Array.from({ length: 5 }, () => el("td", { class: "figure" })), el("td"), el("td")),
    (node, row) => {
      const [, pulse, pace, rows, way, silent, patience, gone, filtered] = node.children;
      say(pulse, `${PULSE_MARKS[row.pulse]} ${row.pulse}${row.rows && !row.in_use ? ", not in use" : ""}`,
        `mark ${PULSE_LOOKS[row.pulse]}`);
      say(pace, rate(row.rows_per_second));
      say(rows, number(row.rows));
      say(way, lag(row.lag_seconds));
      say(silent, row.silent_seconds === null ? "–" : span(row.silent_seconds));
      say(patience, row.patience_seconds === null ? "–" : span(row.patience_seconds));
      say(gone, lost(row));
      say(filtered, worded(row.filtered));
    });
}

/** Look at the feeds now, and again and again. */
export function startFeeds() {
  const told = (error) => console.info("feeds:", error.message);
  const again = () => lookAtFeed().catch(told);
  const turn = (by) => () => {
    offset = Math.max(0, offset + by);
    again();
  };
  at("feed-back").addEventListener("click", turn(-PAGE));
  at("feed-on").addEventListener("click", turn(PAGE));
  for (const id of ["feed-search", "feed-pulse", "feed-sort"]) {
    at(id).addEventListener("input", () => {
      offset = 0;
      again();
    });
  }
  at("feed").addEventListener("click", (event) => event.target === at("feed") && at("feed").close());
  const look = () => lookAtFeeds().catch(told).finally(() => setTimeout(look, EVERY));
  look();
  const linked = () => location.hash.startsWith("#feed/") && showFeed(decodeURIComponent(location.hash.slice(6)));
  addEventListener("hashchange", linked);
  linked();
}
