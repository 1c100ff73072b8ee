// Elements, texts and numbers. External text is only ever inserted as text nodes.
const $ = (id) => document.getElementById(id);
const choice = { tab: "marketing", brand: "", currency: "", period: "30d", from: "", to: "", model: "linear", channel: "", store: "", measure: "", value: "revenue",
  lang: sessionStorage.lang || navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag in TEXTS) || "en" };

const isNothing = (value) => value === null || value === undefined;

const h = (name, props, ...children) => {
  const node = ["svg", "g", "line", "polyline", "circle", "text", "title"].includes(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(props || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (!isNothing(value) && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(9).filter((child) => !isNothing(child) && child !== false));
  return node;
};
// Replaces the content of an element; a control that has the focus keeps it.
const put = (id, ...children) => {
  const node = $(id), active = node.contains(document.activeElement) && document.activeElement.dataset.focus;
  node.replaceChildren(...children.flat(9).filter((child) => !isNothing(child) && child !== false));
  if (active) [...node.querySelectorAll("[data-focus]")].find((control) => control.dataset.focus === active)?.focus();
};
const setText = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

// Texts: `{name}` is replaced; `one|other` is chosen by the number `n`.
const t = (key, words = {}) => {
  let text = TEXTS[choice.lang][key] ?? key;
  if (text.includes("|")) {
    const [one, other] = text.split("|");
    text = new Intl.PluralRules(choice.lang).select(Number(words.of ?? words.n)) === "one" ? one : other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => words[name] ?? whole);
};
const many = (key, n) => t(key, { n: count(n), of: n });

// Minor units become decimal digits as text, never floats.
const formats = new Map();
const locale = () => navigator.languages.find((tag) => tag.split("-")[0] === choice.lang) || choice.lang;
const format = (key, options) => {
  const at = choice.lang + key;
  if (!formats.has(at)) formats.set(at, new Intl.NumberFormat(locale(), options));
  return formats.get(at);
};
const scaled = (n, places) => {
  const text = String(n), minus = text.startsWith("-") ? "-" : "";
  const digits = text.slice(minus.length).padStart(places + 1, "0");
  return places ? minus + digits.slice(0, -places) + "." + digits.slice(-places) : minus + digits;
};
const count = (n) => format("n", {}).format(n);
const credits = (millionths) => format("c", { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(scaled(millionths, 6));
const share = (ratio, digits = 0) => format("%" + digits, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(ratio);
const money = (minor) => {
  const { code, decimals } = currency();
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return format("$" + code, { style: "currency", currency: code, ...digits }).format(scaled(minor, decimals));
};
const brief = (minor) => format("$~" + currency().code, { style: "currency", currency: currency().code, notation: "compact", maximumFractionDigits: 1 })
  .format(scaled(Math.round(minor), currency().decimals));
const minutes = (seconds) => format("min", { style: "unit", unit: "minute", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(seconds / 60);
const times = (a, b) => format("x", { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(a / b) + "×";
const isCost = (minor) => Number(minor) >= 10 ** currency().decimals;
const moment = (ms) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(ms);
const clock = (ms) => new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(ms);

// Days are text in ISO 8601, in the brand's time zone.
const utc = (day) => new Date(day.slice(0, 10).padEnd(8, "-01").padEnd(10, "01") + "T00:00:00Z");
const iso = (date) => date.toISOString().slice(0, 10);
const addDays = (day, n) => { const date = utc(day); date.setUTCDate(date.getUTCDate() + n); return iso(date); };
const firstOf = (day, months = 0) => { const date = utc(day.slice(0, 7)); date.setUTCMonth(date.getUTCMonth() + months); return iso(date); };
const lastOf = (day) => addDays(firstOf(day, 1), -1);
const daysBetween = (from, to) => Math.round((utc(to) - utc(from)) / 864e5);
const date = (day, options) => new Intl.DateTimeFormat(locale(), { timeZone: "UTC", ...options }).format(utc(day));
const monthName = (day) => date(day, { month: "long", year: "numeric" });
const spanName = ({ from, to }) => {
  if (from === firstOf(from) && to === lastOf(from)) return monthName(from);
  const style = new Intl.DateTimeFormat(locale(), { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });
  return from === to ? style.format(utc(from)) : style.formatRange(utc(from), utc(to));
};
const monthsName = ({ from, to }) => from.slice(0, 7) === to.slice(0, 7) ? monthName(from)
  : new Intl.DateTimeFormat(locale(), { timeZone: "UTC", month: "long", year: "numeric" }).formatRange(utc(from), utc(to));

// A number that is absent adds nothing. Large ones are text, and exact.
const sum = (a, b) => isNothing(a) ? b : isNothing(b) ? a
  : typeof a === "number" && typeof b === "number" ? a + b : String(BigInt(a) + BigInt(b));
const total = (list) => list.reduce(sum, null);
