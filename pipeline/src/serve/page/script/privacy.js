// The tab Privacy: the rights requests of a brand, as `tributary rights list` lists them.

const rightName = (right) => TEXTS[choice.lang]["right." + right] || t("right.unknown");
const auditText = ({ code, right, reason, counts }) => {
  const found = Object.entries(counts).map(([name, n]) => many("touched." + name, n));
  return t("audit." + code, { right: rightName(right), reason: t("refusal." + reason), found: found.join(", ") || t("audit.nothing") });
};
const ofBrand = (path) => path + "?brand=" + encodeURIComponent(choice.brand);

const privacy = async () => {
  let register = null, log = null, why = "";
  const notices = may("marketing") ? await cells("notice_day", { ...span(), group_by: NOTICE.join(",") }).catch(() => []) : [];
  // A simulation has no broker to ask.
  if (!status?.simulated) try {
    // A request changes without a cell: it is read anew.
    answers.delete(ofBrand("/v1/rights"));
    answers.delete(ofBrand("/v1/audit"));
    [register, log] = await Promise.all([read(ofBrand("/v1/rights")), read(ofBrand("/v1/audit")).catch(() => null)]);
  } catch (error) { why = error.message; }
  return () => {
    const requests = register?.requests || [], open = requests.filter((one) => isNothing(one.ended)), late = open.filter((one) => one.days_left < 0);
    const day = (text) => date(text, { dateStyle: "medium" }), next = open[0]?.answer_by;
    put("privacy-glance",
      tile("open", big("requests:open", register && open.length, count(open.length))), tile("late", num("p", "requests:late", register && late.length, count(late.length), { class: late.length ? "big bad" : "big" })),
      tile("next", h("p", { class: "big", "data-key": "requests:next" }, next ? day(next) : "–"), { sub: next ? leftText(open[0].days_left) : "" }),
      tile("answered", big("requests:answered", register && requests.length - open.length, count(requests.length - open.length))));
    if (!requests.length) put("rights", register ? emptyState("e.rights") : h("p", { class: "empty" }, status?.simulated ? t("e.demo") : t("failed", { why })));
    else put("rights", table({ id: "rights", caption: t("h.requests"),
      heads: [{ text: t("c.request") }, { text: t("c.right"), isText: true }, { text: t("c.state"), isText: true }, { text: t("c.received"), isText: true }, { text: t("c.due"), term: "due" }, { text: t("c.left") }],
      rows: requests.map((one) => {
        const isLate = one.days_left < 0, key = "request:" + one.id;
        const plain = (text, csv, props) => { const node = h("td", props, text); node.csv = csv; return node; };
        return { key, head: one.id, csv: one.id, cells: [
          plain(rightName(one.type), one.type), plain([t("status." + one.status), one.reason ? t("colon") + t("refusal." + one.reason) : "", isLate ? h("strong", { class: "bad" }, " " + t("late")) : null], one.status, { "data-key": key, "data-raw": one.status }),
          plain(moment(one.received), new Date(one.received).toISOString()), plain(day(one.answer_by), one.answer_by),
          plain(isNothing(one.days_left) ? "" : leftText(one.days_left), one.days_left ?? "")] };
      }) }));
    privacyFacts();
    put("notices", notices.length ? table({ id: "notices", caption: t("h.notices"), heads: [...NOTICE, ...ANSWERS].map((name, at) => ({ text: t("c." + name), isText: at && at < 4 })),
      rows: notices.map(({ cell: of, value }) => {
        const words = NOTICE.map((name) => of[name] ?? "–"), key = "notice:" + words.join();
        return { key, head: words[0], csv: words[0], cells: [...words.slice(1).map((text) => h("td", {}, text)), ...ANSWERS.map((name) => cell(key + name, value?.[name], count))] };
      }) }) : []);
    const entries = log?.entries || [];
    put("audit", entries.length ? h("ol", { class: "list log" }, [...entries].reverse().map((entry) => h("li", { "data-key": "audit:" + entry.seq },
      h("time", { datetime: new Date(entry.at).toISOString() }, moment(entry.at)), h("span", {}, auditText(entry)))))
      : emptyState(status?.simulated ? "e.demo" : log?.here === false ? "e.audit.else" : "e.audit"));
  };
};
const NOTICE = ["notice", "version", "language", "box"], ANSWERS = ["ticked", "unticked", "preticked", "withdrawn"];
const leftText = (n) => n === 0 ? t("due.today") : n < 0 ? t("late") + ", " + t("days", { at: count(-n), n: -n }) : t("days", { at: count(n), n });

const fact = (term, key, raw, text) => h("div", {}, h("dt", {}, term), h("dd", { "data-key": key, "data-raw": raw }, text));
const privacyFacts = () => {
  if (!status) return;
  const { consents, retention } = status;
  put("consents", !may("marketing") ? [] : [
    consents.map(([step, allow, refuse]) => fact(t("f.consent", { of: t("step." + step) }), "consent:" + step, allow, t("f.consent.is", { share: share(allow / ((allow + refuse) || 1), 1), n: count(allow + refuse) }))),
    retention ? fact(t("f.retention"), "retention", retention, moment(retention * 1000)) : []]);
};
