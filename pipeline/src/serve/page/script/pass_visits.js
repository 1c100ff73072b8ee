// The visits that till scans of wallet passes tell, on the tab Marketing: which channels bring them, and what a visit costs.

const passVisits = async (credits_, own, at, spend) => {
  const words = { kind: "visit", ...choice.model === "markov" ? {} : { model: choice.model } }, of = ofSpend(credits_);
  const [credit, passes, seen] = await Promise.all([cells(ofModel(), { ...words, ...credits_, ...own, group_by: at }), wholeOf("scan_day", of), wholeOf("visits", of)]);
  return () => {
    const rows = channelRows(credit, [], spend).filter((row) => row.credit?.value);
    rows.sort((a, b) => a.isApart - b.isApart || Number(b.n) - Number(a.n) || (a.key < b.key ? -1 : 1));
    $("pass-visits").hidden = !rows.length;
    if (!rows.length) return;
    const [scanned, all] = [amountOf(passes, "presences"), amountOf(seen, "visits")];
    const isShare = Number(all) > 0 && Number(scanned) <= Number(all);
    setText("pass-note", isNothing(scanned) ? "" : many("pass_visits", scanned) + (isShare ? " " + t("pass_share", { share: share(Number(scanned) / Number(all)), n: count(all) }) : ""));
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
