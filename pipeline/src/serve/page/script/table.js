// Numbers, tiles and tables: each number with its definition, its change and the share that it covers.

// The numbers of the last drawing. A few that changed since are highlighted, and never all at once.
let shown = new Map(), fresh = new Map(), moved = [];
const MOST_MOVED = 6;
const settle = (selection) => {
  const isSame = shown.selection === selection;
  if (isSame && moved.length <= MOST_MOVED) for (const node of moved) node.classList.add("moved");
  shown = fresh;
  shown.selection = selection;
  [fresh, moved] = [new Map(), []];
};

const num = (tag, key, raw, text, props) => {
  // What is not there is hidden, or waits for a release.
  if (isNothing(raw)) return h(tag, { ...props, "data-key": key, title: held(), class: ((props?.class || "") + " hidden").trim() },
    h("span", { "aria-hidden": "true" }, "▒▒"), h("span", { class: "sr" }, held()));
  const node = h(tag, { ...props, "data-key": key, "data-raw": raw }, text);
  if (shown.has(key) && shown.get(key) !== String(raw)) moved.push(node);
  fresh.set(key, String(raw));
  return node;
};
// A cell of a table: `csv` writes its raw number for a file, `least` says that a part of it is hidden.
const cell = (key, raw, write, { csv = String, blank, least } = {}) => {
  const node = isNothing(raw) && blank ? h("td") : num("td", key, raw, isNothing(raw) ? "" : (least ? "≥ " : "") + write(raw));
  node.csv = isNothing(raw) ? "" : csv(raw);
  return node;
};
const moneyCell = (key, minor, more) => cell(key, minor, money, { csv: (raw) => scaled(raw, currency().decimals), ...more });
const countCell = (key, n, more) => cell(key, n, count, more);
// A ratio is computed here, or blank.
const ratioCell = (ratio, write) => {
  const node = h("td", {}, isNothing(ratio) ? "" : write(ratio));
  node.csv = isNothing(ratio) ? "" : String(Math.round(ratio * 1e4) / 1e4);
  return node;
};

// What a sum covers: the least of its parts, and nobody knows how much if one of them is hidden.
const coverOf = (...rows) => !hides() ? 1 : rows.some((row) => isNothing(row?.coverage)) ? null : Math.min(...rows.map((row) => row.coverage));
const covers = (coverage) => coverage === 1 ? t("all") : isNothing(coverage) ? hides() ? t("unknown") : t("all")
  : coverage > 0 ? t("part", { share: share(coverage) }) : t("little");
const coverCell = (coverage) => {
  const isAll = coverage === 1 || isNothing(coverage) && !hides();
  const text = isAll ? t("covers.all") : isNothing(coverage) ? t("covers.unknown") : coverage > 0 ? share(coverage) : "< " + share(.1);
  const node = h("td", { class: "cov", title: covers(coverage) }, text);
  node.csv = isNothing(coverage) ? hides() ? "" : "1" : String(coverage);
  return node;
};

// The change from the period before: only between numbers that cover all, or equally unknown shares.
const changeOf = (row, name, of) => {
  const [now, then] = [row?.value?.[name], row?.previous?.value?.[name]];
  if (isNothing(now) || isNothing(then) || Number(then) <= 0 || isRunning(of)) return null;
  // Where numbers begin within the period before, it is shorter than this one.
  if (before(of).from < model.oldest) return null;
  if (row.coverage !== row.previous.coverage || row.coverage !== 1 && !isNothing(row.coverage)) return null;
  return (Number(now) - Number(then)) / Number(then);
};
const change = (ratio, of, kind, write = (size) => share(size)) => {
  if (isNothing(ratio)) return null;
  const size = write(Math.abs(ratio)), words = { share: size, before: spanName(before(of)) };
  const [sign, text, way] = Math.abs(ratio) < .005 ? ["=", t("same_as", words), "even"]
    : ratio > 0 ? ["▲", t("more_than", words), "up"] : ["▼", t("less_than", words), "down"];
  return h("span", { class: "change " + (kind || way), title: text }, h("span", { "aria-hidden": "true" }, way === "even" ? sign : sign + " " + size), h("span", { class: "sr" }, text));
};
const changeCell = (ratio, of, kind) => {
  const node = h("td", {}, change(ratio, of, kind));
  node.csv = isNothing(ratio) ? "" : String(Math.round(ratio * 1e4) / 1e4);
  return node;
};

// A button that explains a term.
const explain = (term, name) => h("button", { type: "button", class: "def", "aria-label": t("definition", { of: name }), "data-focus": "def" + term + name,
  onclick: ({ currentTarget }) => {
    const tip = $("tip");
    tip.replaceChildren(h("strong", {}, name), h("p", {}, t("d." + term)));
    tip.showPopover();
    const { left, bottom } = currentTarget.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(left, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.min(bottom + 6, innerHeight - tip.offsetHeight - 8) + "px";
    setText("said", name + t("colon") + t("d." + term));
  } }, "?");

const tile = (term, big, { sub, cover, delta, line, before: was } = {}) => h("div", { class: "tile" },
  h("h3", {}, t("t." + term), " ", explain(term === "instore" || term === "online" ? term : TERMS[term] || term, t("t." + term))),
  h("div", { class: "row" }, big, delta), was ? h("p", { class: "was" }, was) : null,
  sub ? h("p", { class: "sub" }, sub) : null, cover === undefined || big.classList.contains("hidden") ? null : h("p", { class: "cover" }, covers(cover)), line);
// Instead of a number that is not shown.
const nothing = () => t(hides() ? "hidden" : "none");
const TERMS = { next: "due", rate: "rate" };
const big = (key, raw, text) => num("p", key, raw, text, { class: "big" });

// A name from outside that a spreadsheet would execute gets an apostrophe.
const field = (text) => {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? "'" + text : text;
  return /[",\n\r]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
};
const save = (name, rows) => {
  const file = new Blob(["\ufeff" + rows.map((row) => row.map((text) => field(String(text ?? ""))).join(",")).join("\r\n") + "\r\n"], { type: "text/csv;charset=utf-8" });
  const link = h("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};
const fileName = (id) => "tributary-" + [choice.brand, id, ...model ? [span().from, span().to] : [iso(new Date())]].join("-").replace(/[^\w.-]+/g, "_") + ".csv";

// A table: heads `{ text, term }`, rows `{ key, head, csv, cells, apart }`. Narrow screens lay rows out as blocks, without roles.
const table = ({ id, caption, heads, rows, foot, isFolding = true }) => {
  const row = ({ head, cells: list, apart, key }) => h("tr", { role: "row", class: apart && "apart", "data-row": key },
    h("th", { scope: "row", role: "rowheader" }, head), list.map((one, at) => {
      one.setAttribute("role", "cell");
      one.setAttribute("data-unit", heads[at + 1].text);
      if (heads[at + 1].isText) one.classList.add("text");
      return one;
    }));
  const lines = () => [heads.map(({ text }) => text), ...rows, ...foot ? [foot] : []].map((line) =>
    Array.isArray(line) ? line : [line.csv ?? line.head, ...line.cells.map((one) => one.csv ?? one.textContent)]);
  const terms = heads.filter(({ term }) => term);
  return [
    h("table", { class: isFolding ? "fold" : "", role: "table" }, h("caption", { class: "sr" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map(({ text, term, isText }) =>
        h("th", { scope: "col", role: "columnheader", class: isText && "text" }, text, term ? [" ", explain(term, text)] : null)))),
      h("tbody", { role: "rowgroup" }, rows.map(row)),
      foot ? h("tfoot", { role: "rowgroup" }, row(foot)) : null),
    h("div", { class: "under" },
      h("button", { type: "button", class: "csv", "data-focus": "csv" + id, "aria-label": t("csv.of", { of: caption }), onclick: () => save(fileName(id), lines()) }, t("csv")),
      terms.length ? h("details", { class: "defs", open: unfolded.has("defs" + id), ontoggle: ({ target }) => unfolded[target.open ? "add" : "delete"]("defs" + id) },
        h("summary", { "data-focus": "defs" + id }, t("definitions")),
        h("dl", {}, terms.map(({ text, term }) => [h("dt", {}, text), h("dd", {}, t("d." + term))]))) : null),
  ];
};

// What is not released has too few contributors, or waits: months leave with the next batch.
const held = () => {
  const at = status?.next_release;
  return t(!at ? "e.few" : status.hidden === 0 ? "e.wait" : "e.held", { k: count(status?.k ?? 2), time: at && new Intl.DateTimeFormat(locale(), { timeStyle: "short" }).format(at * 1000) });
};
// A state without numbers says what to do.
const emptyState = (key) => h("p", { class: "empty" }, key === "e.few" ? held() : key ? t(key, { k: count(status?.k ?? 2), traffic: count(status?.k_traffic ?? 2) })
  : hides() ? held() + " " + t("e.longer") : t("e.none") + " " + t("e.try", { date: date(model.newest || model.today, { dateStyle: "medium" }) }));
