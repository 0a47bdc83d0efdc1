// The desk's view: draws what the event stream sends, and asks the API for the rest.

import { ask, eventsOf, get, may, startSession } from "./api.js";
import { arrive, at, el, list, say, table } from "./elements.js";
import { feedLooks, feedSays, startFeeds } from "./feeds.js";
import { MARKS, RANK, clock, compared, counted, named, setZone, shown, signed, span, when } from "./words.js";

const SHOWN = 60; // transitions kept on the page
const POINTS = 240; // of a sparkline; when full, every other one goes, so that it still reaches back to the start
const SILENCE = 20_000; // ms without a byte (a heartbeat comes every 15 s) after which the line counts as dead
const STALE = 5_000; // ms without a snapshot after which the page says so
const RULES_EVERY = 5_000; // ms between looks at the rules' verdicts
const MOST_RULES = 500;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// --- the event stream ------------------------------------------------------------------------------------------------

let seen = 0; // when the last snapshot came, by the browser's monotonic clock
let listening = true; // until it turns out otherwise

async function listen() {
  for (let pause = 500; ; pause = Math.min(2 * pause, 10_000)) {
    const line = new AbortController();
    let silence;
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(() => line.abort(), SILENCE);
    };
    try {
      const response = await ask("/api/v1/events", { signal: line.signal });
      alive();
      listening = true;
      await Promise.all([catchUp(), lookAtRules()]);
      for await (const [name, data] of eventsOf(response, alive)) {
        pause = 500;
        if (name === "snapshot") drawSnapshot(data);
        else if (name === "transition") takeTransition(data);
        else if (name === "missed") await catchUp();
      }
    } catch (error) {
      console.info("the event stream ended:", error.message);
    }
    clearTimeout(silence);
    listening = false;
    drawLine();
    await wait(pause * (0.5 + Math.random()));
  }
}

// --- drawing --------------------------------------------------------------------------------------------------------

let now = null; // event time of the last snapshot

function drawLine() {
  const quiet = performance.now() - seen;
  const old = !listening || (seen > 0 && quiet > STALE);
  document.body.classList.toggle("old", old);
  if (!listening) say(at("line"), "▲ no connection: figures are old", "chip bad");
  else if (old) say(at("line"), `▲ nothing new for ${span(quiet / 1000)}`, "chip bad");
  else say(at("line"), seen ? "● live" : "connecting", seen ? "chip good" : "chip");
}

function drawSnapshot({ status, alerts, records }) {
  seen = performance.now();
  setZone(status.zone);
  now = status.at;
  drawHead(status);
  drawAlerts(alerts, status.states);
  drawSeries(records);
  drawFeeds(status.feeds);
  drawTransitions(false); // their times say the day once it is over
  drawLine();
}

function drawHead(status) {
  if (now) {
    const local = clock(now);
    say(at("local"), `${local.time} ${local.zone}`);
    say(at("utc"), `${local.date} · ${clock(now, "UTC").time} UTC`);
  }
  say(at("health"), status.ready ? "● ready" : "▲ not ready", status.ready ? "chip good" : "chip bad");
  const dead = status.notifications.dead ?? 0;
  at("dead-letters").hidden = dead === 0;
  say(at("dead-letters"), `▲ ${dead} message${dead === 1 ? "" : "s"} given up`);
  const told = new Set(status.health.map((c) => `${c.name}: ${c.reason}`));
  const troubles = [
    ...status.health.map((c) => [c.name, ...Object.values(c.labels)].join(" ") + `: ${c.reason}`),
    ...status.reasons.filter((reason) => !told.has(reason)),
  ];
  at("troubles").hidden = troubles.length === 0;
  list(at("troubles"), troubles, (text) => text, (text) => el("li", {}, `▲ ${text}`));
  say(at("rules-count"), `${status.rules} over ${status.instruments} instruments`);
}

const severity = (word) => el("span", { class: `mark ${word}` }, `${MARKS[word] ?? ""} ${word}`);
const order = (a) => [a.state === "pending" ? 1 : 0, RANK[a.severity] ?? 3];

function drawAlerts(alerts, states) {
  const sorted = alerts.toSorted((a, b) => order(a)[0] - order(b)[0] || order(a)[1] - order(b)[1]
    || (b.since ?? "").localeCompare(a.since ?? "") || named(a).localeCompare(named(b)));
  list(at("alerts"), sorted, named, drawnAt ? (alert) => arrive(makeAlert(alert)) : makeAlert, updateAlert);
  const all = (states.firing ?? 0) + (states.recovering ?? 0) + (states.pending ?? 0);
  at("no-alerts").hidden = all > 0;
  document.querySelector(".alerts thead").hidden = all === 0;
  const left = all > alerts.length ? `; the ${alerts.length} most severe are shown` : "";
  say(at("alerts-count"), counted(states, ["firing", "recovering", "pending"]) + left);
  document.title = states.firing ? `(${states.firing}) Rotation Monitor` : "Rotation Monitor";
}

function makeAlert(alert) {
  const open = () => row.dataset.episode && showEpisode(row.dataset.episode);
  const row = el("tr", { onclick: open },
    el("td", {}, severity(alert.severity)),
    el("td", {}, el("button", { class: "link", type: "button" }, named(alert)), el("span", { class: "below" })),
    el("td"),
    el("td", {}, el("span", { class: "value" }), el("span", { class: "below" })),
    el("td", {}, el("span"), " ", el("span", { class: "below" })));
  return row;
}

function updateAlert(row, alert) {
  const [, name, state, value, since] = row.children;
  row.dataset.episode = alert.episode;
  row.classList.toggle("opens", alert.episode !== "");
  name.firstChild.disabled = alert.episode === "";
  say(name.lastChild, alert.episode);
  say(state, alert.state, `state-${alert.state}`);
  const [figure, grounds] = compared(alert);
  say(value.firstChild, figure);
  say(value.lastChild, grounds);
  say(since.firstChild, alert.since ? when(alert.since, now) : "–");
  say(since.lastChild, alert.since && now ? `for ${span((Date.parse(now) - Date.parse(alert.since)) / 1000)}` : "");
}

// Named series

const histories = new Map(); // name -> {points, every, skipped}: values in order, one in `every` snapshots

function remember(name, value) {
  if (!histories.has(name)) histories.set(name, { points: [], every: 1, skipped: 0 });
  const history = histories.get(name);
  if (++history.skipped < history.every) return history.points;
  history.skipped = 0;
  history.points.push(value);
  if (history.points.length > POINTS) {
    history.points = history.points.filter((_, i) => i % 2 === 0);
    history.every *= 2;
  }
  return history.points;
}

let drawnAt = null;

function drawSeries(records) {
  // While event time stands still there is nothing to add, but a series that a reload brought.
  const moved = now !== drawnAt || records.some((r) => !histories.has(r.record));
  drawnAt = now;
  for (const name of histories.keys()) if (!records.some((r) => r.record === name)) histories.delete(name);
  at("no-series").hidden = records.length > 0;
  list(at("series"), records, (r) => r.record, makeTile, (tile, r) => {
    const [title, number, picture, range] = tile.children;
    const points = moved ? remember(r.record, r.value) : histories.get(r.record).points;
    const values = [...points, r.value].filter((v) => v !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const widest = values.length ? Math.max(-low, high) : 0; // one unit for the three numbers of a tile
    const text = (value) => signed(value, r.type, widest);
    title.title = r.expr;
    say(number, text(r.value), r.value === null ? "number none" : "number");
    if (!moved || values.length === 0) return;
    say(range.firstChild, `↓ ${text(low)}`);
    say(range.lastChild, `↑ ${text(high)}`);
    drawSparkline(picture, points, low, high);
  });
}

function makeTile(r) {
  return el("article", { class: "tile" },
    el("h3", {}, r.record), el("p"),
    el("svg:svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" }),
    el("p", { class: "span quiet" }, el("span", { title: "lowest" }), el("span", { title: "highest" })));
}

/** Gaps where the value was unknown; a dashed line at zero where zero is in sight. */
function drawSparkline(picture, points, low, high) {
  const height = high - low || Math.abs(high) || 1;
  const y = (v) => (29 - (28 * (v - low)) / height).toFixed(2);
  const lines = [[]];
  points.forEach((v, i) => {
    if (v === null) lines.push([]);
    else lines.at(-1).push(`${((100 * i) / Math.max(points.length - 1, 1)).toFixed(2)},${y(v)}`);
  });
  const zero = low < 0 && high > 0 ? [el("svg:line", { x1: 0, x2: 100, y1: y(0), y2: y(0) })] : [];
  picture.replaceChildren(...zero,
    ...lines.filter((l) => l.length).map((l) => el("svg:polyline", { points: l.length === 1 ? `${l} ${l}` : l.join(" ") })));
}

// Feeds, transitions, rules

function drawFeeds(feeds) {
  list(at("feed-chips"), feeds, (f) => f.name, () => el("span", { class: "chip" }), (node, f) => {
    const [mark, ...status] = feedSays(f).split(" ");
    say(node, `${mark} ${f.name} ${status.join(" ")}`, `chip ${feedLooks(f)}`);
  });
}

let moves = [];
const moveKey = (t) => [t.at, t.alert, t.member, t.from, t.to].join("\n");

async function catchUp() {
  moves = await get(`/api/v1/transitions?limit=${SHOWN}`);
  drawTransitions(false);
}

function takeTransition(t) {
  if (moves.some((m) => moveKey(m) === moveKey(t))) return;
  moves = [t, ...moves].slice(0, SHOWN);
  drawTransitions(true);
  if (t.to === "firing" || t.to === "resolved") say(at("news"), `${named(t)} ${t.to}`);
  lookAtRulesSoon();
}

function drawTransitions(fresh) {
  at("no-transitions").hidden = moves.length > 0;
  list(at("transitions"), moves, moveKey, fresh ? (t) => arrive(makeTransition(t)) : makeTransition,
    (node, t) => say(node.firstChild.lastChild, when(t.at, now)));
}

function makeTransition(t) {
  const name = t.episode
    ? el("button", { class: "link", type: "button", onclick: () => showEpisode(t.episode) }, named(t))
    : el("strong", {}, named(t));
  return el("li", {},
    el("div", { class: "first" }, name, el("span", { class: "quiet" })),
    el("span", { class: "below" }, el("span", { class: t.severity }, MARKS[t.severity] ?? ""),
      ` ${t.from} → ${t.to}: ${t.reason}`, t.value === null ? "" : `, ${shown(t.value, t.value_type)}`));
}

const lookAtRules = async () => drawRules(await get("/api/v1/rules"));
let looking = null;

function lookAtRulesSoon() {
  looking ??= setTimeout(() => {
    looking = null;
    if (listening && !document.hidden) lookAtRules().catch((error) => console.info("rules:", error.message));
  }, 500);
}

function drawRules(rules) {
  const alerts = rules.filter((r) => r.alert);
  list(at("rules"), alerts.slice(0, MOST_RULES), (r) => r.alert + r.source + r.when, makeRule, (node, r) => {
    const [, states] = node.firstChild.children;
    const active = ["firing", "recovering", "pending"].filter((s) => r.states[s]);
    const verdicts = Object.keys(r.verdicts);
    const verdict = r.each ? counted(r.verdicts) : verdicts[0];
    say(states, `${active.length ? counted(r.states, active) : "inactive"} · ${verdict}`);
    node.firstChild.firstChild.className = active.length ? r.severity : "";
  });
}

function makeRule(r) {
  const rows = [["when", el("code", {}, r.when)]];
  if (r.until) rows.push(["until", el("code", {}, r.until)]);
  if (r.each) rows.push(["each", r.each]);
  if (r.for_seconds) rows.push(["for", span(r.for_seconds)]);
  if (r.keep_firing_for_seconds) rows.push(["keeps firing for", span(r.keep_firing_for_seconds)]);
  rows.push(["severity", r.severity], ["written in", el("code", {}, r.source)]);
  return el("details", {},
    el("summary", {}, el("span", {}, r.alert), el("span", { class: "below" })),
    el("dl", {}, ...rows.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])));
}

async function lookAtAudit() {
  if (document.hidden || !(await may("admin"))) return;
  const entries = await get("/api/v1/audit?limit=10");
  at("audit-section").hidden = entries.length === 0;
  list(at("audit"), entries, (e) => JSON.stringify(e), (e) => el("li", {},
    `${e.what} ${e.target}: ${e.result}`, el("span", { class: "below" }, `${when(e.at, null)} · ${e.who}, ${e.address}`)));
}

// An episode

async function showEpisode(id) {
  const dialog = at("episode");
  say(at("episode-title"), id);
  at("episode-body").replaceChildren(el("p", { class: "quiet" }, "asking…"));
  if (!dialog.open) dialog.showModal();
  try {
    const episode = await get(`/api/v1/alerts/${id.split("/").map(encodeURIComponent).join("/")}`);
    if (at("episode-title").textContent === id) at("episode-body").replaceChildren(...episodeBody(episode));
  } catch (error) {
    at("episode-body").replaceChildren(el("p", {}, `This cannot be shown: ${error.message}`));
  }
}

function episodeBody({ now: open, timeline }) {
  const shownNow = open ?? timeline[0];
  const body = [el("p", {}, severity(shownNow.severity), ` ${named(shownNow)}, ${open ? `${open.state} now` : "over"}`)];
  if (open) body.push(...evidenceOf(open.evidence, "Evidence as of the last evaluation"));
  body.push(el("h3", {}, "Timeline, newest first"));
  body.push(table(["Time", "What", "Why", "Value"], timeline.map((t) => [
    `${clock(t.at).day} ${clock(t.at).time}`, `${t.from} → ${t.to}`, t.reason, shown(t.value, t.value_type)])));
  const fired = timeline.findLast((t) => t.to === "firing");
  if (fired) body.push(...evidenceOf(fired.evidence, `Evidence when it fired, ${clock(fired.at).time}`));
  return body;
}

function evidenceOf(evidence, title) {
  const body = [el("h3", {}, title)];
  if (evidence.threshold) {
    const [figure, expr] = compared({ ...evidence, value: evidence.threshold.value });
    const { distance, type } = evidence.threshold;
    const far = distance ? `, ${shown(Math.abs(distance), type)} ${distance < 0 ? "below" : "above"} it` : "";
    body.push(el("p", {}, el("code", {}, expr), " ", el("span", { class: "value" }, figure), far));
  }
  body.push(table(["Expression", "Value"], evidence.expressions.map((e) => [
    el("code", {}, e.member ? `${e.expr}  (it = ${e.member})` : e.expr), shown(e.value, e.type)])));
  const prices = Object.entries(evidence.prices);
  if (prices.length) {
    body.push(table(["Price of", "", "Its time"], prices.map(([symbol, p]) => [
      symbol, shown(p.price, "price"), p.ts ? `${clock(p.ts).day} ${clock(p.ts).time}` : "–"])));
  }
  return body;
}

// --- start ----------------------------------------------------------------------------------------------------------

startSession();
startFeeds();
at("episode").addEventListener("click", (event) => event.target === at("episode") && at("episode").close());
setInterval(drawLine, 1000);
setInterval(lookAtRulesSoon, RULES_EVERY);
setInterval(() => lookAtAudit().catch((error) => console.info("audit:", error.message)), RULES_EVERY);
listen();
