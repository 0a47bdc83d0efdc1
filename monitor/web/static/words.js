// Values and times in words, as the notifications write them.

export const MARKS = { critical: "▲", warning: "◆", info: "●" };
export const RANK = { critical: 0, warning: 1, info: 2 };
const SIGNS = { "<=": "≤", ">=": "≥", "==": "=", "!=": "≠" };
const HOLDS = {
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "==": (a, b) => a === b, "!=": (a, b) => a !== b,
};

function trimmed(number, digits) {
  const text = number.toFixed(digits);
  const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return (short === "-0" ? "0" : short).replace("-", "−");
}

/** A value by its type, as the notifications write it; `like`: a value of the same sentence whose unit it shares. */
export function shown(value, type, like = 0) {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "unknown";
  if (type === "condition") return value ? "true" : "false";
  if (type === "ratio") {
    const inPercent = Math.max(Math.abs(value), Math.abs(like || 0)) >= 0.1;
    return inPercent ? `${trimmed(value * 100, 2)}%` : `${trimmed(value * 1e4, 1)}bp`;
  }
  if (type === "price") return value.toFixed(4).replace(/0{1,2}$/, "");
  if (type === "count" || type === "volume") return Math.round(value).toLocaleString("en-US");
  if (type === "duration") return span(value / 1e9);
  return trimmed(value, 2);
}

/** The same with its sign, for series, where the side of zero is the message. */
export const signed = (value, type, like) =>
  (["ratio", "score"].includes(type) && value > 0 ? "+" : "") + shown(value, type, like);

/** Seconds in their two largest units: `14m`, `2h 5m`. */
export function span(seconds) {
  let rest = Math.abs(Math.trunc(seconds));
  const parts = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]]) {
    if (rest >= size) parts.push(`${Math.floor(rest / size)}${unit}`);
    else if (parts.length) parts.push("");
    rest %= size;
  }
  return parts.slice(0, 2).filter(Boolean).join(" ") || "0s";
}

export const counted = (counts, words = Object.keys(counts)) =>
  words.filter((word) => counts[word]).map((word) => `${counts[word]} ${word}`).join(", ");
export const named = (alert) => (alert.member ? `${alert.alert} [${alert.member}]` : alert.alert);

let zone = "UTC";
export const setZone = (name) => { zone = name; };

const formats = new Map();

/** A moment on the exchange's clock (or in `where`), as `{date, time, zone}`. */
export function clock(moment, where = zone) {
  if (!formats.has(where)) {
    formats.set(where, new Intl.DateTimeFormat("en-US", {
      timeZone: where, hourCycle: "h23", weekday: "short", day: "numeric", month: "short", year: "numeric",
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
    }));
  }
  const part = Object.fromEntries(formats.get(where).formatToParts(new Date(moment)).map((p) => [p.type, p.value]));
  return {
    day: `${part.weekday} ${part.day} ${part.month}`,
    date: `${part.weekday} ${part.day} ${part.month} ${part.year}`,
    minute: `${part.hour}:${part.minute}`,
    time: `${part.hour}:${part.minute}:${part.second}`,
    zone: part.timeZoneName,
  };
}

/** The time, of another day than that of `now` its day and minute. */
export function when(moment, now) {
  const then = clock(moment);
  return now && clock(now).date === then.date ? then.time : `${then.day} ${then.minute}`;
}

/** The value against its threshold, and the expression it is of. */
export function compared({ value, value_type, threshold }) {
  if (!threshold) return [shown(value, value_type), ""];
  const { expr, op, level, type } = threshold;
  const holds = threshold.value === null || level === null || (HOLDS[op]?.(threshold.value, level) ?? true);
  const limit = `${holds ? "" : "not "}${SIGNS[op] ?? op} ${shown(level, type, threshold.value)}`;
  const reached = shown(threshold.value, type, level);
  if (value === threshold.value) return [`${reached} ${limit}`, expr];
  return [shown(value, value_type), `${expr}: ${reached} ${limit}`];
}
