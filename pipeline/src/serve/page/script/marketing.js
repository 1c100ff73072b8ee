// The tab Marketing: what channels bring and cost, over time, and the journeys before a sale.

const MODELS = ["first", "last", "last_non_direct", "linear", "position", "time_decay", "shapley", "markov"];
const SHOWN = 12, SERIES = 5;
let isExpanded = false;

const ofModel = () => choice.model === "markov" ? "markov_month" : "attribution";
const creditWords = (more) => ({ currency: choice.currency, ...choice.model === "markov" ? {} : { model: choice.model }, ...more });
const drilled = () => choice.channel ? JSON.parse(choice.channel) : null;
const ofDrilled = () => { const at = drilled(); return at ? { source: at[0] ?? "", medium: at[1] ?? "" } : {}; };
const level = () => drilled() ? "source,medium,campaign" : "source,medium";
const channelOf = ({ cell: { source, medium, campaign } }) => drilled() ? [source, medium, campaign] : [source, medium];
// Spend of the days that credits cover: while the gate hides cells, those to yesterday.
const ofSpend = ({ from, to }) => ({ from, to: hides() && to >= model.today ? addDays(model.today, -1) : to });
const spanOfCredit = () => choice.model === "markov" ? wholeMonths(span()) : spanOfChannels();

// The rows of the table: credit and spend of each channel, the largest first.
const channelRows = (credit, kinds, spend) => {
  const rows = new Map();
  const row = (words) => {
    const key = channelKey(words);
    if (!rows.has(key)) rows.set(key, { key, words, credit: null, spend: null, parts: [null, null] });
    return rows.get(key);
  };
  for (const one of credit) row(channelOf(one)).credit = one;
  for (const one of spend) row(channelOf(one)).spend = one;
  for (const one of kinds) {
    const { parts } = row(channelOf(one)), at = Number(one.cell.kind === "order");
    parts[at] = sum(parts[at], one.value?.value_minor);
  }
  for (const one of rows.values()) {
    one.value = one.credit?.value ? one.credit.value.value_minor : hides() ? null : 0;
    one.n = one.credit?.value ? one.credit.value.conversions_millionths : hides() ? null : 0;
    one.cost = one.spend?.value ? one.spend.value.cost_minor : 0;
    one.isRest = isTogether(one.words);
    one.isApart = one.isRest || isUntouched(one.words);
    one.coverage = one.credit?.value ? one.credit.coverage : hides() ? 0 : 1;
    // What is shown of a channel bounds its ROAS from below: a part of its credit may be in a rest.
    one.isKnown = !one.isRest && !isNothing(one.value);
    one.isWhole = one.isKnown && (one.coverage === 1 || isNothing(one.coverage) && !hides());
  }
  return [...rows.values()].sort((a, b) => a.isApart - b.isApart || Number(b.value) - Number(a.value) || Number(b.cost) - Number(a.cost) || (a.key < b.key ? -1 : 1));
};

// Among the campaigns of a channel, the one without a name says so.
const rowName = (words) => words.length > 2 && isNothing(words[2]) && !isUntouched(words) && !isTogether(words) ? [...nameOfChannel(words.slice(0, 2)), t("no_campaign")] : nameOfChannel(words);
const rowText = (words) => rowName(words).join(" / ");
const drill = (words) => choose({ channel: words ? JSON.stringify(words) : "" });
const crumbs = (id, words, back, all) => put(id, words && [h("button", { type: "button", "data-focus": "back", onclick: back }, "‹ " + all), " ", h("strong", {}, words)]);

const marketing = async () => {
  const of = span(), credits_ = spanOfCredit(), { currency: code } = choice, own = ofDrilled();
  const family = ofModel(), at = level(), spent = ofSpend(credits_);
  const [stores, orders, credit, kinds, whole, spend, spendAll, daily, online, spendDaily, soldOf, orderedOf] = await Promise.all([
    wholeOf("store_day", { currency: code, ...of, ...compared }), wholeOf("orders_day", { currency: code, ...of, ...compared }),
    cells(family, creditWords({ ...credits_, ...own, group_by: at, ...compared })), cells(family, creditWords({ ...credits_, ...own, group_by: at + ",kind" })),
    cells(family, creditWords({ ...credits_, group_by: "source,medium", ...compared })),
    cells("spend_day", { currency: code, ...spent, ...own, group_by: at }), wholeOf("spend_day", { currency: code, ...of, ...compared }),
    daysOf("store_day", of, "revenue_minor"), daysOf("orders_day", of, "revenue_minor"), daysOf("spend_day", of, "cost_minor"),
    wholeOf("store_day", { currency: code, ...spent, ...compared }), wholeOf("orders_day", { currency: code, ...spent, ...compared }),
  ]);
  // What the total of the table covers: of a channel, what its row covers.
  const top = drilled() && whole.find((row) => channelKey([row.cell.source, row.cell.medium]) === channelKey(drilled()));
  const covered = coverOf(soldOf, orderedOf, ...drilled() ? [top] : []);
  const wholeSpend = drilled() ? await cells("spend_day", { currency: code, ...spent, group_by: "source,medium" }) : spend;
  const [visitsOfPasses, chart, journeys] = await Promise.all([passVisits(credits_, own, at, spend), overTime(credits_, own, at), journeysOf(wholeMonths(of))]);
  return () => {
    channelTiles({ of, credits_, stores, orders, whole, wholeSpend, spendAll, daily, online, spendDaily, soldOf, orderedOf });
    channelTable(channelRows(credit, kinds, spend), credits_, covered);
    visitsOfPasses();
    chart();
    journeys();
  };
};

// The values of each day of a period, at most the last 60.
const daysOf = async (family, { from, to }, name, own = {}) => {
  const last = to > asOf() ? asOf() : to, begin = daysBetween(from, last) > 59 ? addDays(last, -59) : daysBetween(from, last) < 7 ? addDays(last, -13) : from;
  const money = family === "visits" ? {} : { currency: choice.currency };
  const rows = await cells(family, { ...money, ...own, from: begin, to: last, group_by: "day", limit: 10000 });
  const values = new Map(rows.map((row) => [row.cell.day, row.value[name]]));
  return everyDay(begin, last).map((day) => values.get(day) ?? (hides() && family !== "spend_day" ? null : 0));
};
const everyDay = (from, to) => {
  const days = [];
  for (let day = from; day <= to; day = addDays(day, 1)) days.push(day);
  return days;
};

const sizeOf = (list) => list.reduce((all, row) => all + Math.abs(Number(row.value?.value_minor ?? 0)), 0);
const channelTiles = ({ of, credits_, stores, orders, whole, wholeSpend, spendAll, daily, online, spendDaily, soldOf, orderedOf }) => {
  // The rest of a month may hold revenue without a touchpoint.
  const touched = whole.filter((row) => !isUntouched([row.cell.source]) && row.cell.source !== REST), rest = whole.filter((row) => row.cell.source === REST && row.value);
  // A share of revenue of which a part is hidden is no bound.
  const known = coverOf(soldOf, orderedOf), isLeast = rest.length > 0 && known === 1;
  const [credited, broughtThen] = [total(touched.map((row) => row.value?.value_minor)), total(touched.map((row) => row.previous?.value.value_minor))];
  const [all, then] = [total([soldOf, orderedOf].map((row) => row.value.revenue_minor)), total([soldOf, orderedOf].map((row) => row.previous?.value.revenue_minor))];
  // Without a gate, revenue of which no channel has a part is unattributed.
  const brought = credited ?? (hides() || isNothing(all) ? null : 0);
  const ratio = Number(all) > 0 && !isNothing(brought) ? Number(brought) / Number(all) : null, was = Number(then) > 0 ? Number(broughtThen) / Number(then) : null;
  const rows = channelRowsAtTop(whole, wholeSpend).filter((row) => row.isKnown && Number(row.cost) > 0), isBound = rows.some((row) => !row.isWhole);
  const [value, cost] = [total(rows.map((row) => row.value)), total(rows.map((row) => row.cost))];
  const isSpent = isCost(total(wholeSpend.map((row) => row.value?.cost_minor))), isShown = isCost(cost) && !isNothing(value), shares = rows.map((row) => row.coverage);
  const instore = amountOf(stores, "revenue_minor"), sold = amountOf(orders, "revenue_minor"), paid = spendAll.value.cost_minor ?? 0;
  const wasText = (row, name) => isRunning(of) && !isNothing(row.previous?.value?.[name]) ? t("before_was", { value: money(row.previous.value[name]), before: spanName(before(of)) }) : null;
  const points = was !== null && ratio !== null && !isRunning(credits_) ? ratio - was : null;
  put("glance",
    tile("attributed", num("p", "attributed", isNothing(ratio) ? hides() ? null : 0 : Math.round(ratio * 1000), isNothing(ratio) ? "–" : isLeast ? "≥ " + share(Math.floor(ratio * 100) / 100) : share(ratio), { class: "big" }), {
      delta: change(points, credits_, undefined, (size) => t("points", { n: count(Math.round(size * 100)), of: Math.round(size * 100) })), sub: isNothing(brought) || isNothing(all) ? nothing() : money(brought) + " / " + (isNothing(known) ? "≥ " : "") + money(all),
      cover: isNothing(known) || !rest.length ? known : Math.min(known, Math.floor(10 * sizeOf(touched) / (sizeOf([...touched, ...rest]) || 1)) / 10), line: [progress(ratio), h("p", { class: "when" }, monthsOrDays(credits_))] }),
    tile("instore", big("shops", instore, isNothing(instore) ? "" : money(instore)), {
      delta: change(changeOf(stores, "revenue_minor", of), of), before: wasText(stores, "revenue_minor"),
      sub: isNothing(stores.value.transactions) ? nothing() : many("sales", stores.value.transactions), cover: stores.coverage, line: spark(daily) }),
    tile("online", big("online", sold, isNothing(sold) ? "" : money(sold)), {
      delta: change(changeOf(orders, "revenue_minor", of), of), before: wasText(orders, "revenue_minor"),
      sub: isNothing(orders.value.orders) ? nothing() : many("orders", orders.value.orders), cover: orders.coverage, line: spark(online, "online") }),
    tile("spend", big("spend", paid, money(paid)), {
      delta: change(changeOf(spendAll, "cost_minor", of), of, "even"), before: wasText(spendAll, "cost_minor"), sub: Number(paid) ? "" : t("none"), cover: 1, line: spark(spendDaily, "spent") }),
    tile("roas", isShown || isSpent && hides() ? num("p", "roas", isShown ? Math.round(Number(value) / Number(cost) * 1000) : null, isShown ? (isBound ? "≥ " : "") + times(Number(value), cost) : "", { class: "big" }) : h("p", { class: "big" }, "–"), {
      sub: isShown ? money(value) + " / " + money(cost) : t(isSpent && hides() ? "hidden" : "none"),
      cover: !isShown ? undefined : isBound && shares.some(isNothing) ? null : Math.min(shareOfCost(rows, wholeSpend), ...isBound ? shares : []), line: h("p", { class: "when" }, t("model." + choice.model) + ", " + monthsOrDays(credits_)) }));
};
const progress = (ratio) => isNothing(ratio) ? null : h("span", { class: "bar progress", "aria-hidden": "true" }, filled(ratio));
const monthsOrDays = (of) => isWholeMonths(of) ? monthsName(of) : spanName(of);
// The share of the spend whose channels' credit is shown, rounded down to tenths.
const shareOfCost = (rows, spend) => {
  const all = Number(total(spend.map((row) => row.value?.cost_minor))), own = Number(total(rows.map((row) => row.cost)));
  return all ? own === all ? 1 : Math.floor(10 * own / all) / 10 : 1;
};
const channelRowsAtTop = (credit, spend) => {
  const open = choice.channel;
  choice.channel = "";
  const rows = channelRows(credit, [], spend);
  choice.channel = open;
  return rows;
};

const channelTable = (rows, of, covered) => {
  const at = drilled();
  crumbs("channel-crumbs", at && channelText(at), () => drill(null), t("all_channels"));
  setText("model-note", t("is." + choice.model) + (model.by_month ? " " + t("by_month", { months: monthsName(of) }) : ""));
  const touched = rows.filter((row) => !isUntouched(row.words) && !isNothing(row.value)), named = touched.filter((row) => !row.isRest);
  const size = (list) => list.reduce((all, row) => all + Math.abs(Number(row.value)), 0);
  const brought = total(named.map((row) => row.value)), part = size(named) / (size(touched) || 1);
  put("coverage", !rows.length ? [] : !touched.length ? hides() ? [held()] : [] : [
    t("channels.of"), " ", isNothing(brought) ? t("hidden") : [num("strong", "named", brought, money(brought)), ", ",
      named.length === touched.length ? covers(covered) : t("share_of", { share: part < .01 ? "< " + share(.01) : share(Math.floor(100 * part) / 100) }) + t("colon") + t("rest")], "."]);
  $("more").hidden = rows.length <= SHOWN + 2;
  $("legend").hidden = !rows.length;
  if (!rows.length) return put("money", emptyState());
  const most = Math.max(1, ...rows.filter((row) => !row.isApart).map((row) => Math.abs(Number(row.value))));
  const list = isExpanded || $("more").hidden ? rows : rows.filter((row, n) => n < SHOWN || row.isApart);
  setText("more", isExpanded ? t("show_top") : t("show_all", { n: count(rows.length) }));
  $("more").setAttribute("aria-expanded", isExpanded);
  const isCompared = rows.some((row) => !row.isRest && changeOf(row.credit, "value_minor", of) !== null);
  const cellsOf = (key, { credit, value, n, cost, isRest, isKnown, isWhole, coverage, least, back = value, on = cost }) => [
    moneyCell("value:" + key, value, { least }), isCompared ? changeCell(isRest ? null : changeOf(credit, "value_minor", of), of) : [],
    cell("conversions:" + key, n, credits, { csv: (raw) => scaled(raw, 6), least }), moneyCell("cost:" + key, Number(cost) ? cost : null, { blank: true }),
    ratioCell(isKnown && isCost(on) ? Number(back) / Number(on) : null, (ratio) => (isWhole ? "" : "≥ ") + times(ratio, 1)),
    cell("each:" + key, isKnown && isCost(cost) && Number(n) > 0 && back === value ? Math.round(cost * 1e6 / n) : null, (minor) => (isWhole ? "" : "≤ ") + money(minor), { csv: (raw) => scaled(raw, currency().decimals), blank: true }),
    coverCell(coverage)].flat();
  const paid = rows.filter((row) => row.isKnown && Number(row.cost) > 0);
  const foot = { value: total(rows.map((row) => row.value)), n: total(rows.map((row) => row.n)), cost: total(rows.map((row) => row.cost)),
    back: total(paid.map((row) => row.value)), on: total(paid.map((row) => row.cost)), isKnown: paid.length > 0, isWhole: covered === 1 && paid.every((row) => row.isWhole), least: covered !== 1, coverage: rows.some((row) => row.value) || !hides() ? covered : 0 };
  put("money", table({ id: "channels", caption: t("h.channels") + ", " + t("model." + choice.model) + ", " + monthsOrDays(of),
    heads: [{ text: t(at ? "c.campaign" : "c.channel") }, ...["revenue", isCompared && "change", "conversions", "spend", "roas", "cost", "covers"].filter(Boolean).map((term) => ({ text: t("c." + term), term }))],
    rows: list.map((row) => ({
      key: row.key, apart: row.isApart, csv: rowText(row.words),
      head: [at || row.isApart ? label(rowName(row.words)) : h("button", { type: "button", class: "link", "data-focus": "c" + row.key,
        title: t("drill", { of: channelText(row.words) }), onclick: () => drill(row.words) }, label(nameOfChannel(row.words))),
        row.isApart || isNothing(row.value) ? null : bar([row.parts[0] ?? 0, row.parts[1] ?? 0], most)],
      cells: cellsOf(row.key, row),
    })), foot: { head: t("total"), cells: cellsOf("all", foot) } }));
};

// Lines of the largest channels: credited revenue, spend or clicks.
const MEASURES = { revenue: [ofModel, "value_minor"], spend: [() => "spend_day", "cost_minor"], clicks: [() => "campaign_day", "clicks"] };
const grainOf = ({ from, to }, isMonthly) => {
  const end = to > asOf() ? isMonthly ? lastOf(asOf()) : asOf() : to;
  if (isMonthly) return { grain: "month", from: daysBetween(from, end) < 150 ? firstOf(end, -5) : from, to: end };
  const days = daysBetween(from, end);
  return { grain: days > 120 ? "month" : "day", from: days < 7 ? addDays(end, -13) : from, to: end };
};
// Without a choice, that is revenue, or spend while a single month of revenue is released.
const overTime = async (of, own, at, measure = choice.measure || "revenue") => {
  const [family, name] = MEASURES[measure], isCredit = measure === "revenue";
  const words = isCredit ? creditWords(own) : { ...own, ...measure === "spend" ? { currency: choice.currency } : {} };
  const isMonthly = isCredit && (model.by_month || choice.model === "markov");
  const { grain, from, to } = grainOf(isCredit ? of : span(), isMonthly);
  const rows = await cells(family(), { ...words, from, to, group_by: at + "," + grain, limit: 10000 });
  if (!choice.measure && isCredit && new Set(rows.map((row) => row.cell[grain])).size < 2) return overTime(of, own, at, "spend");
  for (const input of document.querySelectorAll("input[name=measure]")) input.checked = input.value === measure;
  return () => drawLines("channel-lines", rows.filter((row) => !isUntouched([row.cell.source]) && !isTogether(channelOf(row))), {
    grain, from, to, name, key: (row) => channelKey(channelOf(row)), nameOf: (row) => rowText(channelOf(row)), isShown: measure === "spend",
    title: t("chart.of", { measure: t("c." + measure), by: t("by.channel") }), isMoney: measure !== "clicks" });
};
const drawLines = (id, rows, { grain, from, to, name, key, nameOf, isShown, title, isMoney }) => {
  const groups = new Map();
  for (const row of rows) {
    if (grain === "day" && row.cell.day.length === 7) continue;
    const at = key(row), group = groups.get(at) || groups.set(at, { name: nameOf(row), values: new Map(), size: 0 }).get(at);
    group.values.set(row.cell[grain], row.value?.[name]);
    group.size += Math.abs(Number(row.value?.[name] ?? 0));
  }
  const known = [...new Set(rows.map((row) => row.cell[grain]))].sort();
  const days = grain === "day" ? everyDay(from, to) : known;
  const top = [...groups.values()].filter((group) => group.size).sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1)).slice(0, SERIES);
  if (!top.length) return put(id, emptyState(name === "cost_minor" ? "e.spend" : name === "visits" ? "e.visits" : undefined));
  const none = hides() && !isShown ? null : 0;
  // Where nothing is hidden, a line begins and ends with its first and last number.
  const [first, last] = isNothing(none) ? [from, to] : [known[0], known.at(-1)];
  lines(id, top.map((group) => ({ name: group.name, points: days.filter((day) => day.length === 7 || day >= first && day <= last).map((day) => [day, group.values.get(day) ?? none]) })),
    { title, write: isMoney ? money : count, axis: isMoney ? brief : (n) => format("~", { notation: "compact" }).format(n), stamp: isMoney ? (raw) => scaled(raw, currency().decimals) : String });
};

// Journeys are counted by month.
const journeysOf = async (of) => {
  const words = { currency: choice.currency, ...of };
  const [touches, days, paths, assists] = await Promise.all([
    cells("path_length", { ...words, group_by: "touches" }), cells("path_days", { ...words, group_by: "days" }),
    cells("paths", { ...words, group_by: "path", sort: "-conversions", limit: 8 }), cells("assists", { ...words, group_by: "source,medium,campaign", sort: "-conversions", limit: 8 })]);
  return () => {
    setText("paths-note", t("journeys.note", { months: monthsName(of) }));
    const counts = (rows, name, size, first) => {
      const list = Array(size).fill(hides() ? null : 0);
      for (const row of rows) {
        const place = Math.min(size - 1, row.cell[name] - first);
        list[place] = sum(list[place], row.value.conversions);
      }
      return list;
    };
    const sales = (n) => isNothing(n) ? t("hidden") : many("sales", n);
    const [lengths, gaps] = [counts(touches, "touches", 15, 1), counts(days, "days", 32, 0)];
    const last = (list, n) => n === list.length - 1;
    hist("touches", lengths, (n) => last(lengths, n) ? n + 1 + "+" : n % 2 ? "" : String(n + 1), (n, value) => t(last(lengths, n) ? "touchpoints.more" : "touchpoints", { at: n + 1, n: n + 1 }) + ", " + sales(value));
    hist("days", gaps, (n) => last(gaps, n) || n % 5 ? "" : String(n), (n, value) => t(last(gaps, n) ? "days.more" : "days", { at: n, n }) + ", " + sales(value));
    put("top", paths.length ? table({ id: "paths", caption: t("h.paths"), isFolding: false, heads: [{ text: t("c.path"), term: "paths" }, { text: t("c.sales") }, { text: t("c.revenue") }],
      rows: paths.map((row) => ({ key: "path", head: h("span", { class: "steps" }, way(row.cell.path)), csv: row.cell.path.map(channelText).join(" → "),
        cells: [countCell("path:" + JSON.stringify(row.cell.path), row.value.conversions), moneyCell("pathvalue:" + JSON.stringify(row.cell.path), row.value.value_minor)] })) }) : emptyState());
    put("assists", assists.length ? table({ id: "assists", caption: t("h.assists"), isFolding: false, heads: [{ text: t("c.channel"), term: "assists" }, { text: t("c.sales") }, { text: t("c.revenue") }],
      rows: assists.map((row) => {
        const words = [row.cell.source, row.cell.medium, row.cell.campaign], key = channelKey(words);
        return { key, head: label(nameOfChannel(words)), csv: channelText(words), cells: [countCell("assist:" + key, row.value.conversions), moneyCell("assistvalue:" + key, row.value.value_minor)] };
      }) }) : emptyState());
  };
};
// A path; the same channel twice in a row is written once, and the middle of a long path is left out.
const way = (path) => {
  const words = path.map((step) => channelText(step).replace("direct / none", "direct"));
  const left = words.length > 8 ? words.length - 8 : 0, steps = left ? [...words.slice(0, 4), null, ...words.slice(-4)] : words;
  const parts = [];
  for (const text of steps) {
    const same = parts.at(-1);
    if (text && same && same.text === text) same.n++;
    else parts.push({ text, n: 1 });
  }
  return parts.map(({ text, n }, at) => [at ? h("span", { class: "to" }, " → ") : null, text ?? t("more_steps", { n: left }), n > 1 ? " ×" + n : null]);
};
