// The visits that till scans of wallet passes and sightings of partners tell, on the tab Marketing: which channels bring them, what
// a visit costs, and how often people come who saw a channel.

const passVisits = async (credits_, own, at, spend) => {
  const words = { kind: "visit", ...choice.model === "markov" ? {} : { model: choice.model } }, of = ofSpend(credits_);
  // A gate that hides small numbers compares whole months, some days after they end: the newest of them is shown.
  const months = { from: firstOf(of.to, hides() ? -2 : 0), to: lastOf(of.to) };
  const [credit, lifts, passes, matched, seen] = await Promise.all([cells(ofModel(), { ...words, ...credits_, ...own, group_by: at }), cells("visit_lift", { ...months, ...own, sort: "-exposed", limit: 96 }), ...["scan_day", "visit_match", "visits"].map((family) => wholeOf(family, of))]);
  return () => {
    const rows = channelRows(credit, [], spend).filter((row) => row.credit?.value);
    rows.sort((a, b) => a.isApart - b.isApart || Number(b.n) - Number(a.n) || (a.key < b.key ? -1 : 1));
    const newest = lifts.map((row) => row.cell.month).sort().pop(), lift = lifts.filter((row) => row.cell.month === newest).slice(0, 8);
    $("pass-visits").hidden = !rows.length && !lift.length;
    liftTable(lift, newest, matched.value.weight_millionths);
    if (!rows.length) return put("pass-channels", []);
    const all = Number(amountOf(seen, "visits"));
    const told = (key, n) => isNothing(n) ? "" : many(key, n) + (all > 0 && n <= all ? " " + t("pass_share", { share: share(n / all), n: count(all) }) : "");
    // Until the last day of the period is settled, its spend would be divided by too few visits.
    const isSettled = isNothing(model.settled) || credits_.to <= model.settled;
    const weight = matched.value.weight_millionths;
    setText("pass-note", [told("pass_visits", amountOf(passes, "presences")), weight ? told("matched_visits", Math.round(weight / 1e6)) : "",
      isSettled ? "" : t("per_visit.waits", { settled: date(model.settled, { dateStyle: "long" }), date: date(addDays(credits_.to, daysBetween(model.settled, model.today)), { dateStyle: "long" }) })].join(" "));
    const most = Math.max(1, ...rows.filter((row) => !row.isApart).map((row) => Number(row.n)));
    const cellsOf = (key, { n, cost, isKnown, isWhole, coverage }) => [
      cell("pass:" + key, n, credits, { csv: (raw) => scaled(raw, 6) }), moneyCell("pass-cost:" + key, Number(cost) ? cost : null, { blank: true }),
      cell("pass-each:" + key, isSettled && isKnown && isCost(cost) && Number(n) > 0 ? Math.round(cost * 1e6 / n) : null, (minor) => (isWhole ? "" : "≤ ") + money(minor), { csv: (raw) => scaled(raw, currency().decimals), blank: true }),
      coverCell(coverage)];
    put("pass-channels", table({ id: "pass-channels", caption: t("h.pass_visits") + ", " + t("model." + choice.model) + ", " + monthsOrDays(credits_),
      heads: [{ text: t(drilled() ? "c.campaign" : "c.channel") }, ...["pass_visits", "spend", "per_visit", "covers"].map((term) => ({ text: t("c." + term), term }))],
      rows: rows.map((row) => ({ key: "pass:" + row.key, apart: row.isApart, csv: rowText(row.words), head: [label(rowName(row.words)), row.isApart ? null : bar([row.n, 0], most)], cells: cellsOf(row.key, row) })) }));
  };
};

// Visits per person of the panel: of those who saw the channel, and of the others.
const liftTable = (lift, month, stays) => {
  const k = { k: count(status?.k ?? 2) }, from = month + "-01";
  const note = [lift.length ? t("lift.note", { month: monthsName({ from, to: lastOf(from) }) }) : "",
    !hides() ? "" : lift.length ? t("lift.few", k) : stays ? t("lift.wait", k) : ""].join(" ").trim();
  setText("lift-note", note);
  $("h-lift").hidden = !note;
  const each = ({ value }, of) => Number(value?.[of]) > 0 ? Number(value[of + "_visit_millionths"]) / 1e6 / Number(value[of]) : null;
  const rate = (n) => format("lift", { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(n);
  put("lift", lift.length ? table({ id: "lift", caption: t("h.lift"),
    heads: ["channel", "exposed", "per_exposed", "per_unexposed", "lift"].map((term) => ({ text: t("c." + term), term: term === "lift" ? term : undefined })),
    rows: lift.map((row) => {
      const words = [row.cell.source, row.cell.medium, row.cell.campaign], [seen, other] = [each(row, "exposed"), each(row, "unexposed")], key = channelKey(words);
      return { key, head: label(nameOfChannel(words)), csv: channelText(words), cells: [countCell("lift:" + key, row.value?.exposed ?? null),
        ratioCell(seen, rate), ratioCell(other, rate), ratioCell(seen !== null && other ? seen / other - 1 : null, (ratio) => (ratio > 0 ? "+" : "") + share(ratio))] };
    }) }) : []);
};
