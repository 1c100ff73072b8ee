// Charts: lines over time with axes, and histograms. Each has its numbers as text.

const COLORS = 6;
// A round step so that at most four lie below a maximum.
const tick = (most) => {
  const power = 10 ** Math.floor(Math.log10(most / 4 || 1));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((step) => most / step <= 4) || 1;
};

// Lines of `series`, each `{ name, points: [[day, value]] }`, over days or months. A value that is absent is a gap.
const lines = (id, series, { title, write, axis, stamp }) => {
  const node = $(id), days = [...new Set(series.flatMap((one) => one.points.map(([day]) => day)))].sort();
  const values = series.flatMap((one) => one.points.map(([, value]) => Number(value ?? 0)));
  const most = Math.max(...values, 0), least = Math.min(...values, 0), step = tick(Math.max(most, -least) || 1);
  const wide = Math.max(280, node.clientWidth || 640), high = wide < 480 ? 200 : 260, left = 58, right = 14, top = 10, bottom = 26;
  const low = Math.floor(least / step) * step, top_ = Math.max(step, Math.ceil(most / step) * step);
  const first = utc(days[0]), all = Math.max(1, utc(days.at(-1)) - first);
  const x = (day) => days.length < 2 ? (left + wide - right) / 2 : left + (utc(day) - first) / all * (wide - left - right);
  const y = (value) => top + (top_ - value) / (top_ - low) * (high - top - bottom);
  const isMonths = days[0].length === 7;
  const when = (day) => isMonths ? date(day, { month: "short", year: "numeric" }) : date(day, { day: "numeric", month: "short" });
  const grid = [];
  for (let at = low; at <= top_ + step / 2; at += step) grid.push(h("g", {},
    h("line", { class: at ? "grid" : "zero", x1: left, x2: wide - right, y1: y(at), y2: y(at) }),
    h("text", { x: left - 8, y: y(at) + 4, "text-anchor": "end" }, axis(at))));
  const room = Math.max(2, Math.floor((wide - left) / 90)), every = Math.ceil(days.length / room);
  const dates = days.map((day, at) => at % every ? null : h("text", {
    x: x(day), y: high - 6, "text-anchor": days.length > 1 && x(day) > wide - 40 ? "end" : "middle",
  }, when(day)));
  const drawn = series.map(({ points }, at) => {
    const runs = [[]];
    for (const [day, value] of points) isNothing(value) ? runs.push([]) : runs.at(-1).push([x(day), y(Number(value))]);
    const place = ([a, b]) => a.toFixed(1) + "," + b.toFixed(1);
    return h("g", { class: "s" + at },
      runs.filter((run) => run.length > 1).map((run) => h("polyline", { points: run.map(place).join(" ") })),
      points.filter(([, value]) => days.length < 46 && !isNothing(value)).map(([day, value]) =>
        h("circle", { cx: x(day).toFixed(1), cy: y(Number(value)).toFixed(1), r: 2.5 }, h("title", {}, series[at].name + ", " + when(day) + t("colon") + write(value)))));
  });
  const summaries = series.map(({ name, points }) => {
    const known = points.filter(([, value]) => !isNothing(value));
    if (!known.length) return name + t("colon") + t("hidden");
    const [day, value] = known.reduce((best, point) => Number(point[1]) > Number(best[1]) ? point : best);
    return t("chart.series", { name, first: write(known[0][1]), last: write(known.at(-1)[1]), most: write(value), when: when(day) });
  });
  const text = title + t("colon") + summaries.join("; ") + ".";
  if (days.length < 2) return put(id, h("p", { class: "note" }, t("e.line", { when: when(days[0]) })), numbers(id, title, isMonths ? "c.month" : "c.day", days, series, when, write, stamp, true));
  put(id,
    h("ul", { class: "keys", "aria-hidden": "true" }, series.map(({ name }, at) => h("li", { class: "s" + at }, h("i"), name))),
    h("svg", { class: "lines", role: "img", "aria-label": text, width: wide, height: high, viewBox: "0 0 " + wide + " " + high }, grid, dates, drawn),
    numbers(id, title, isMonths ? "c.month" : "c.day", days, series, when, write, stamp));
};

// The numbers of a chart, folded; their table can be saved.
const unfolded = new Set();
const numbers = (id, title, head, days, series, when, write, stamp, isOpen) => {
  const at = series.map(({ points }) => new Map(points));
  const rows = [...days].reverse().map((day) => ({ key: day, head: when(day), csv: day,
    cells: at.map((points, n) => cell(id + ":" + day + ":" + n, points.get(day), write, { csv: stamp })) }));
  const fold = h("details", { open: isOpen || unfolded.has(id) }, h("summary", { "data-focus": "numbers" + id }, t("numbers")),
    h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": title }, table({ id, caption: title, heads: [{ text: t(head) }, ...series.map(({ name }) => ({ text: name, name }))], rows, isFolding: false })));
  fold.addEventListener("toggle", () => fold.open ? unfolded.add(id) : unfolded.delete(id));
  return fold;
};

const width = (part, whole) => Math.max(0, Math.min(100, 100 * Number(part) / (Number(whole) || 1))) + "%";
const filled = (ratio) => {
  const piece = h("i", { class: "a" });
  piece.style.width = width(ratio, 1);
  return piece;
};
const bar = (parts, most) => h("span", { class: "bar", "aria-hidden": "true" }, parts.map((part, at) => {
  const piece = h("i", { class: "ab"[at] });
  piece.style.width = width(part, most);
  return piece;
}));
const spark = (values, kind) => {
  const most = Math.max(1, ...values.map(Number));
  return h("div", { class: "spark " + (kind || ""), "aria-hidden": "true" }, values.map((value) => {
    const piece = h("i", { class: isNothing(value) && "hid" });
    piece.style.height = isNothing(value) ? "100%" : width(value, most);
    return piece;
  }));
};
// A histogram with an axis: the largest number is written at its left. A number that lacks a hidden part is hatched above, and
// `none` explains an empty one.
const hist = (id, values, names, text, isLeast = () => false, none = "e.few") => {
  if (values.every(isNothing) || !values.some((value) => isNothing(value) || Number(value))) return put(id, emptyState(hides() ? none : undefined));
  const step = tick(Math.max(4, ...values.map(Number))), most = step * Math.ceil(Math.max(1, ...values.map(Number)) / step);
  put(id, h("div", { class: "histogram" },
    h("div", { class: "scale", "aria-hidden": "true" }, [most, most / 2, 0].map((at) => h("span", {}, count(at)))),
    h("ol", { class: "hist" }, values.map((value, at) => {
      const piece = h("i", { "aria-hidden": "true", class: isNothing(value) ? "hid" : isLeast(at) && "least" });
      piece.style.height = isNothing(value) ? "100%" : width(value, most);
      return h("li", { title: text(at, value), "data-key": id + ":" + at, "data-raw": isNothing(value) ? undefined : value },
        h("span", { class: "sr" }, text(at, value)), piece, names(at) ? h("b", { "aria-hidden": "true" }, names(at)) : null);
    }))));
};
