// The visits that till scans of wallet passes and sightings of partners tell, on the tab Marketing: which channels bring them, and what
// a visit costs.

const passVisits = async (credits_, own, at, spend) => {
  const words = { kind: "visit", ...choice.model === "markov" ? {} : { model: choice.model } }, of = ofSpend(credits_);
  const [credit, passes, matched, seen] = await Promise.all([cells(ofModel(), { ...words, ...credits_, ...own, group_by: at }), ...["scan_day", "visit_match", "visits"].map((family) => wholeOf(family, of))]);
  return () => {
    const rows = channelRows(credit, [], spend).filter((row) => row.credit?.value);
    rows.sort((a, b) => a.isApart - b.isApart || Number(b.n) - Number(a.n) || (a.key < b.key ? -1 : 1));
    $("pass-visits").hidden = !rows.length;
    if (!rows.length) return;
    const all = Number(amountOf(seen, "visits"));
    const told = (key, n) => isNothing(n) ? "" : many(key, n) + (all > 0 && n <= all ? " " + t("pass_share", { share: share(n / all), n: count(all) }) : "");
    const weight = matched.value.weight_millionths;
    setText("pass-note", [told("pass_visits", amountOf(passes, "presences")), weight ? told("matched_visits", Math.round(weight / 1e6)) : ""].join(" "));
    const most = Math.max(1, ...rows.filter((row) => !row.isApart).map((row) => Number(row.n)));
    const cellsOf = (key, { n, cost, isKnown, isWhole, coverage }) => [
      cell("pass:" + key, n, credits, { csv: (raw) => scaled(raw, 6) }), moneyCell("pass-cost:" + key, Number(cost) ? cost : null, { blank: true }),
      cell("pass-each:" + key, isKnown && isCost(cost) && Number(n) > 0 ? Math.round(cost * 1e6 / n) : null, (minor) => (isWhole ? "" : "≤ ") + money(minor), { csv: (raw) => scaled(raw, currency().decimals), blank: true }),
      coverCell(coverage)];
    put("pass-channels", table({ id: "pass-channels", caption: t("h.pass_visits") + ", " + t("model." + choice.model) + ", " + monthsOrDays(credits_),
      heads: [{ text: t(drilled() ? "c.campaign" : "c.channel") }, ...["pass_visits", "spend", "per_visit", "covers"].map((term) => ({ text: t("c." + term), term }))],
      rows: rows.map((row) => ({ key: "pass:" + row.key, apart: row.isApart, csv: rowText(row.words), head: [label(rowName(row.words)), row.isApart ? null : bar([row.n, 0], most)], cells: cellsOf(row.key, row) })) }));
  };
};
