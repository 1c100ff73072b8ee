// The tab Stores: revenue and visits of each store, and of the online shop.

const VALUES = { revenue: ["store_day", "revenue_minor"], visits: ["visits", "visits"] };

const stores = async () => {
  const of = span(), { currency: code } = choice, own = choice.store ? { store: choice.store } : {};
  const [sold, wholeSold, orders, visited, wholeVisits, daily, dailyVisits, chart, hours, channels, wallet] = await Promise.all([
    cells("store_day", { currency: code, ...of, group_by: "store", ...compared }), wholeOf("store_day", { currency: code, ...of, ...own, ...compared }),
    wholeOf("orders_day", { currency: code, ...of, ...compared }), cells("visits", { ...of, group_by: "store", ...compared }), wholeOf("visits", { ...of, ...own, ...compared }),
    daysOf("store_day", of, "revenue_minor", own), daysOf("visits", of, "visits", own), storesOverTime(of, own), hoursOf(own), channelsOfStore(own), walletOf(of, own)]);
  return () => {
    crumbs("store-crumbs", choice.store && nameOfStore(choice.store), () => choose({ store: "" }), t("all_stores"));
    storeTiles({ of, wholeSold, wholeVisits, daily, dailyVisits });
    storeTable({ of, sold, orders, wholeSold, visited, wholeVisits });
    chart();
    hours();
    channels();
    wallet();
  };
};

const storeTiles = ({ of, wholeSold, wholeVisits, daily, dailyVisits }) => {
  const revenue = amountOf(wholeSold, "revenue_minor"), sales = amountOf(wholeSold, "transactions");
  const { visits, passers_by, dwell_seconds } = wholeVisits.value, n = amountOf(wholeVisits, "visits");
  const isAny = Number(visits) > 0, isRate = isAny && !isNothing(sales);
  put("store-glance",
    tile("instore", big("store:revenue", revenue, isNothing(revenue) ? "" : money(revenue)), { delta: change(changeOf(wholeSold, "revenue_minor", of), of), cover: wholeSold.coverage, line: spark(daily) }),
    tile("sales", big("store:sales", sales, isNothing(sales) ? "" : count(sales)), { delta: change(changeOf(wholeSold, "transactions", of), of), cover: wholeSold.coverage }),
    tile("visits", big("visits", n, isNothing(n) ? "" : count(n)), { delta: change(changeOf(wholeVisits, "visits", of), of), cover: wholeVisits.coverage,
      sub: isNothing(n) ? t("hidden") : isAny ? t("c.capture") + " " + share(visits / (Number(visits) + Number(passers_by)), 1) + ", " + t("c.dwell") + " " + minutes(dwell_seconds / visits) : t("none"), line: spark(dailyVisits) }),
    tile("rate", num("p", "store:rate", isRate ? Math.round(sales / visits * 1000) : hides() ? null : 0, isRate ? atMost(wholeVisits) + share(sales / visits, 1) : "–", { class: "big" }),
      { sub: isRate ? many("sales", sales) + " / " + many("visits", visits) : nothing(), cover: wholeVisits.coverage }));
};

// Visits that are hidden are not counted, so that sales per visit are at most as many.
const atMost = (visited) => hides() && isNothing(visited.coverage) ? "≤ " : "";

const storeTable = ({ of, sold, orders, wholeSold, visited, wholeVisits }) => {
  setText("stores-note", t("stores.note", { period: spanName(of) }));
  const rows = new Map();
  const row = (store) => rows.get(store ?? "") || rows.set(store ?? "", { store, sold: null, seen: null }).get(store ?? "");
  for (const one of sold) row(one.cell.store).sold = one;
  for (const one of visited) row(one.cell.store).seen = one;
  const list = [...rows.values()].filter(({ store }) => !choice.store || store === choice.store)
    .sort((a, b) => (a.store === REST) - (b.store === REST) || (nameOfStore(a.store) < nameOfStore(b.store) ? -1 : 1));
  const isCompared = [...list.filter(({ store }) => store !== REST), { sold: orders }].some((one) => changeOf(one.sold, "revenue_minor", of) !== null);
  const cellsOf = (key, soldRow, seen, isSeen, isRest) => {
    // Where each store has its revenue under its name, no rest is hidden.
    const isBlank = isRest && !soldRow && wholeSold.coverage === 1, more = { blank: isBlank, least: soldRow?.isLeast };
    const value = amountOf(soldRow, "revenue_minor"), sales = amountOf(soldRow, "transactions");
    const visits = seen?.value?.visits, isAny = Number(visits) > 0;
    return [moneyCell("taken:" + key, value, more), isCompared ? changeCell(isRest ? null : changeOf(soldRow, "revenue_minor", of), of) : [], countCell("sales:" + key, sales, more),
      isSeen ? countCell("visits:" + key, visits ?? (hides() ? null : 0)) : h("td"), !isCompared ? [] : isSeen && !isRest ? changeCell(changeOf(seen, "visits", of), of) : h("td"),
      ratioCell(isAny ? visits / (Number(visits) + Number(seen.value.passers_by)) : null, (ratio) => share(ratio, 1)),
      cell("dwell:" + key, isAny ? Math.round(seen.value.dwell_seconds / visits) : null, minutes, { blank: true }),
      ratioCell(isAny && !isNothing(sales) && !isRest && soldRow?.coverage === 1 ? sales / visits : null, (ratio) => atMost(seen) + share(ratio, 1)), isBlank ? h("td") : coverCell(soldRow?.value ? soldRow.coverage : hides() ? 0 : 1)].flat();
  };
  if (!list.length && isNothing(orders.value.orders)) return put("shops", emptyState(hides() ? undefined : "e.stores"));
  const inOrders = { ...orders, value: { ...orders.value, transactions: orders.value.orders }, previous: orders.previous };
  const both = (name) => [wholeSold, inOrders].map((row) => amountOf(row, name));
  const isLeast = both("revenue_minor").some(isNothing);
  const foot = choice.store ? null : { head: t("total"), cells: cellsOf("all", { value: { revenue_minor: total(both("revenue_minor")), transactions: total(both("transactions")) }, coverage: coverOf(wholeSold, orders), isLeast }, null) };
  put("shops", table({ id: "stores", caption: t("h.stores") + ", " + spanName(of),
    heads: [{ text: t("c.store") }, ...["revenue", "change", "sales", "visits", "change", "capture", "dwell", "rate", "covers"]
      .map((term, at) => ({ text: t("c." + term) + (at === 4 ? " (" + t("c.visits") + ")" : ""), term })).filter(({ term }) => isCompared || term !== "change")],
    rows: [...list.map(({ store, sold: soldRow, seen }) => ({ key: "shop/" + store, apart: store === REST, csv: nameOfStore(store),
      head: store === REST || choice.store || isNothing(store) ? nameOfStore(store) : h("button", { type: "button", class: "link", "data-focus": "s" + store, title: t("drill.store", { of: nameOfStore(store) }), onclick: () => choose({ store }) }, nameOfStore(store)),
      cells: cellsOf("shop/" + store, soldRow, seen, store !== REST || seen, store === REST) })),
    ...choice.store ? [] : [{ key: "online", head: t("online"), csv: t("online"), cells: cellsOf("online", inOrders, null, false) }]],
    foot }));
};

const storesOverTime = async (of, own) => {
  const [family, name] = VALUES[choice.value], isMoney = choice.value === "revenue";
  const { grain, from, to } = grainOf(of, false);
  const rows = await cells(family, { ...isMoney ? { currency: choice.currency } : {}, ...own, from, to, group_by: "store," + grain, limit: 10000 });
  return () => drawLines("store-lines", rows.filter((row) => row.cell.store !== REST), {
    grain, from, to, name, key: (row) => row.cell.store ?? "", nameOf: (row) => nameOfStore(row.cell.store), isMoney,
    title: t("chart.of", { measure: t("c." + choice.value), by: t("by.store") }) });
};

// Visits by hour of the newest day that has any. Stores of the day that are not shown in an hour may have visits in it.
const hoursOf = async (own) => {
  const end = asOf(), days = await cells("visits", { ...own, from: addDays(end, -1), to: end, group_by: "hour", limit: 10000 });
  const day = days.map((row) => row.cell.hour).filter((hour) => hour.length > 10).map((hour) => hour.slice(0, 10)).sort().at(-1) || end;
  const told = await cells("visits", { ...own, from: day, to: day, group_by: "hour,store", limit: 10000 });
  return () => {
    const hours = Array(24).fill(hides() ? null : 0), least = new Set(), all = new Set(told.map((row) => row.cell.store)), known = new Map();
    for (const { cell: { hour }, value } of told) if (!isNothing(value?.visits)) known.set(hour, [...known.get(hour) ?? [], value.visits]);
    for (const { cell: { hour }, value } of days) if (hour.length > 10 && hour.startsWith(day)) {
      const at = Number(hour.slice(11, 13));
      const of = known.get(hour) ?? [];
      hours[at] = sum(hours[at], value?.visits ?? total(of));
      if (hides() && of.length < all.size) least.add(at);
    }
    setText("h-hours", t("h.hours", { day: date(day, { dateStyle: "full" }) }));
    hist("hours", hours, (at) => at % 6 ? "" : String(at).padStart(2, "0"), (at, n) => String(at).padStart(2, "0") + ":00, " + (isNothing(n) ? t("hidden") : (least.has(at) ? "≥ " : "") + many("visits", n)), (at) => least.has(at), "e.hours");
  };
};

// The channels that brought a store its revenue, if the gate publishes them by store.
const channelsOfStore = async (own) => {
  $("of-store").hidden = !choice.store;
  if (!choice.store || choice.model === "markov") return () => put("store-channels", choice.store ? emptyState("together") : []);
  const of = spanOfChannels(), rows = await cells("attribution", creditWords({ ...of, ...own, group_by: "source,medium", sort: "-value_minor", limit: 20 }));
  return () => put("store-channels", rows.length ? table({ id: "store-channels", caption: t("h.of_store") + ", " + nameOfStore(choice.store),
    heads: [{ text: t("c.channel") }, ...["revenue", "conversions", "covers"].map((term) => ({ text: t("c." + term), term }))],
    rows: rows.map((row) => {
      const words = [row.cell.source, row.cell.medium], key = "of/" + channelKey(words);
      return { key, head: label(nameOfChannel(words)), csv: channelText(words), cells: [moneyCell("value:" + key, row.value.value_minor),
        cell("conversions:" + key, row.value.conversions_millionths, credits, { csv: (raw) => scaled(raw, 6) }), coverCell(row.coverage)] };
    }) }) : emptyState(model.by_month ? "together" : undefined));
};
