// The tab Operations: whether the numbers can be relied upon, and what was rejected.

const operations = async () => () => pipe();

// What a reason means, in the chosen language; one that the page does not know is explained in English.
const reasonText = (reason, help) => {
  const own = TEXTS[choice.lang]["reason." + reason];
  return h("span", { class: "why", lang: own ? null : "en" }, own ?? help.replaceAll("`", ""));
};

const pipe = () => {
  if (!status) return;
  const { ready, reasons, lag_seconds, epoch, held, released, hidden, accepted, dead, rights, k, k_traffic } = status;
  const rejected = dead.reduce((all, [, , n]) => all + n, 0);
  const seconds = format("s", { style: "unit", unit: "second", maximumFractionDigits: 1 }).format(lag_seconds);
  setText("pipe-note", ready ? t("status.ready") : t("status.not", { why: reasons.map(whyNot).join("; ") }));
  put("pipe-glance",
    tile("lag", h("p", { class: "big", "data-key": "lag", "data-raw": lag_seconds }, seconds)),
    tile("released", isNothing(released) ? h("p", { class: "big" }, "–") : big("released", released, count(released))),
    tile("hidden", isNothing(hidden) ? h("p", { class: "big" }, "–") : num("p", "hidden", hidden, share(hidden / ((hidden + released) || 1)), { class: "big" }), { sub: isNothing(hidden) ? "" : many("numbers.n", hidden) }),
    tile("rejected", big("rejected", rejected, count(rejected)), { sub: isNothing(accepted) ? "" : t("c.accepted") + t("colon") + count(accepted) }));
  put("pipe",
    epoch ? fact(t("f.epoch"), "epoch", epoch, clock(epoch * 1000)) : [],
    [["f.accepted", "accepted", accepted], ["f.held", "held", held]].map(([term, key, n]) => isNothing(n) ? [] : fact(t(term), key, n, count(n))),
    fact(t("f.rights"), "rights", rights.completed + rights.rejected, rights.rejected ? t("f.rejected", { n: count(rights.completed + rights.rejected), rejected: count(rights.rejected) }) : count(rights.completed)),
    fact(t("f.open"), "rights-open", rights.open, rights.open && rights.oldest_seconds ? t("f.oldest", { n: count(rights.open), time: minutes(rights.oldest_seconds) }) : count(rights.open)));
  const sources = status.sources || [];
  put("sources", sources.length ? table({ id: "sources", caption: t("h.sources"), heads: ["source", "kind", "format", "trust", "accepted"].map((term) => ({ text: t("c." + term), isText: term !== "accepted" })),
    rows: sources.map(({ name, kind, format: form, trust, accepted: n }) => ({ key: "source:" + name, head: name, csv: name,
      cells: [h("td", {}, kind), h("td", {}, form === "native" ? t("native") : form), h("td", {}, t("trust." + trust)), isNothing(n) ? h("td", {}, "") : countCell("source:" + name, n)] })) }) : []);
  put("dead", dead.length ? h("ul", { class: "list" }, dead.map(([reason, help, n]) => h("li", {},
    h("span", {}, reason.replaceAll("_", " "), reasonText(reason, help)), h("span", { class: "n", "data-key": "dead:" + reason, "data-raw": n }, count(n)))))
    : h("p", { class: "empty" }, t("e.dead")));
  setText("gate", k > 1 ? t("gate", { k: count(k), traffic: count(k_traffic) }) : t("gate.open"));
};
