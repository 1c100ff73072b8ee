"use strict";
(() => {
  // The worker sends an event every 2 s.
  const QUIET = 5000;
  const SHOWN = 12;
  const MODELS = {
    first: ["First touch", "All credit goes to the first touchpoint before a sale."],
    last: ["Last touch", "All credit goes to the last touchpoint before the sale."],
    last_non_direct: ["Last non-direct", "All credit goes to the last touchpoint that was not a direct visit."],
    linear: ["Linear", "Every touchpoint on the path gets an equal share."],
    position: ["Position-based", "The first and last touchpoints get the largest shares; those in between share the rest."],
    time_decay: ["Time decay", "The closer a touchpoint is to the sale, the larger its share."],
    shapley: ["Shapley", "Every channel on the path gets an equal share, no matter how often it appears."],
    markov: ["Markov", "Credit follows what would be lost without the channel. Computed by calendar month."],
  };
  const STEPS = {
    hold: "measuring online activity", credit: "crediting campaigns", join: "joining online and in-store", link: "linking devices",
    position: "precise location", share: "sharing with partners",
  };
  const WINDOWS = { today: "today", "7d": "in the last 7 days", "30d": "in the last 30 days" };
  const MONTHS = { month: "this month, to yesterday", last_month: "last month" };
  const HIDDEN = "hidden for privacy";

  const $ = (id) => document.getElementById(id);
  const languages = navigator.languages;
  const choice = { brand: "", currency: "", window: "today", month: "month", model: "linear" };
  let model, status, source, lastEvent = 0, connectedAt = 0, wait, expanded = false, userChose = false, choseMonth = false, announced = "", values = new Map(), seen = new Map();

  // External text is only ever inserted as text nodes.
  const h = (name, props, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(props || {}))
      if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
    for (const child of children.flat())
      if (child !== null && child !== undefined) node.append(child);
    return node;
  };
  const put = (id, ...children) => $(id).replaceChildren(...children.flat());
  const setText = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

  // Minor units become decimal digits as text, never floats.
  const formats = new Map();
  const format = (key, options) => {
    if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(languages, options));
    return formats.get(key);
  };
  const scaled = (n, places) => {
    const text = String(n), minus = text.startsWith("-") ? "-" : "";
    const digits = text.slice(minus.length).padStart(places + 1, "0");
    return places ? minus + digits.slice(0, -places) + "." + digits.slice(-places) : minus + digits;
  };
  const count = (n) => format("n", {}).format(n);
  const many = (n, word) => count(n) + " " + word + (Number(n) === 1 ? "" : "s");
  const credits = (millionths) => format("c", { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(scaled(millionths, 6));
  const percent = (a, b) => Number(b) ? format("%", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(a / b) : "–";
  const money = (minor) => {
    const { code, decimals } = currency();
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    return format("$" + code, { style: "currency", currency: code, ...digits }).format(scaled(minor, decimals));
  };
  const amount = (minor) => hid(minor) ? "" : money(minor);
  const minutes = (seconds) => format("min", { style: "unit", unit: "minute", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(seconds / 60);
  const costly = (cost) => Number(cost) >= 10 ** currency().decimals;
  const times = (a, b) => costly(b) ? format("x", { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(a / b) + "×" : "";
  const date = (text, options) =>
    new Intl.DateTimeFormat(languages, { timeZone: "UTC", ...options }).format(new Date(text + "T00:00:00Z"));
  const clock = (ms) => new Intl.DateTimeFormat(languages, { timeStyle: "medium" }).format(ms);
  const moment = (ms) => new Intl.DateTimeFormat(languages, { dateStyle: "medium", timeStyle: "short" }).format(ms);
  // null is hidden: no 0, and adds nothing.
  const hid = (n) => n === null || n === undefined;
  const sum = (a, b) => hid(a) ? b : hid(b) ? a : typeof a === "number" && typeof b === "number" ? a + b : String(BigInt(a) + BigInt(b));

  const paid = (credit, spend) => Object.entries(spend.rows).reduce(([value, cost], [at, [paid]]) => {
    const none = model.hides ? null : 0, [, , online, shops] = credit?.rows[at] || [none, none, none, none];
    const isWhole = !hid(online) && !hid(shops) && (Number(at) >= 0 || !model.hides);
    return Number(paid) > 0 && isWhole ? [sum(value, sum(online, shops)), sum(cost, paid)] : [value, cost];
  }, [null, 0]);
  const currency = () => model.currencies.find((c) => c.code === choice.currency) || model.currencies[0];
  const month = () => currency().months[choice.month];
  const spending = (by) => by === "markov" && month().markov_spend || month().spend;
  const together = (words) => words.includes("*") || model.hides && words.join() === "other,,";
  const name = (channel) => channel.map((word) => word ?? "–");
  const channel = (at) => at < 0 ? ["Remaining channels"] : title(currency().channels[at]);
  const title = (words) => {
    const [source, medium, campaign] = words;
    if (source === "*") return ["Rest of the month"];
    if (together(words) && source === "other") return ["Channels hidden by store and day"];
    if (medium === "*") return ["Other " + source];
    if (campaign === "*") return ["Other campaigns of " + source + "/" + (medium ?? "–")];
    if (source === "unattributed") return [medium === "oversized" ? "Unattributed (too many identifiers)" : "Unattributed"];
    return [source, medium, campaign].filter((word) => word !== null);
  };
  const label = (words) => [words[0], words.length > 1 ? h("span", { class: "way" }, " / " + words.slice(1).join(" / ")) : null];

  // A number with its key. It is highlighted briefly when it changes.
  const num = (tag, key, raw, text, props) => {
    const full = [choice.brand, choice.currency, choice.window, choice.month, choice.model, key].join("|");
    if (hid(raw)) return h(tag, { ...props, "data-key": key, title: HIDDEN }, h("span", { class: "sr" }, HIDDEN));
    const node = h(tag, { ...props, "data-key": key, "data-raw": raw }, text);
    if (values.has(full) && values.get(full) !== text) node.classList.add("moved");
    seen.set(full, text);
    return node;
  };
  const width = (part, whole) => Math.max(0, Math.min(100, 100 * Number(part) / (Number(whole) || 1))) + "%";
  const bar = (parts, most) => h("span", { class: "bar", "aria-hidden": "true" }, parts.map((part, at) => {
    const piece = h("i", { class: "ab"[at] });
    piece.style.width = width(part, most);
    return piece;
  }));
  const spark = (values, back, online) => {
    const most = Math.max(1, ...values.map(Number));
    return h("div", { class: online ? "spark online" : "spark", "aria-hidden": "true" }, values.map((value, at) => {
      const piece = h("i", { class: (at >= values.length - back ? "in" : "") + (hid(value) ? " hid" : "") || undefined });
      piece.style.height = hid(value) ? "100%" : width(value, most);
      return piece;
    }));
  };
  const hist = (id, values, names, text) => {
    const most = Math.max(1, ...values.map(Number));
    if (values.every(hid)) return put(id, nothing());
    if (!values.some(Number) && !values.some(hid)) return put(id, empty());
    put(id, h("ol", { class: "hist" }, values.map((value, at) => {
      const piece = h("i", { "aria-hidden": "true", class: hid(value) && "hid" });
      piece.style.height = hid(value) ? "100%" : width(value, most);
      return h("li", { title: text(at, value), "data-key": id + ":" + at, "data-raw": hid(value) ? undefined : value },
        h("span", { class: "sr" }, text(at, value)), piece, names(at) ? h("b", { "aria-hidden": "true" }, names(at)) : null);
    })));
  };
  // Narrow screens lay rows out as blocks, without roles.
  const table = (caption, heads, rows, foot) => {
    const row = ({ head, cells, apart }) => h("tr", { role: "row", class: apart && "apart" },
      h("th", { scope: "row", role: "rowheader" }, head), cells.map((cell, at) => {
        cell.setAttribute("role", "cell");
        cell.setAttribute("data-unit", heads[at + 1].toLowerCase());
        return cell;
      }));
    return h("table", { class: "fold", role: "table" }, h("caption", { class: "sr" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((head) => h("th", { scope: "col", role: "columnheader" }, head)))),
      h("tbody", { role: "rowgroup" }, rows.map(row)),
      foot ? h("tfoot", { role: "rowgroup" }, row(foot)) : null);
  };
  const empty = () => h("p", { class: "empty" }, "No released numbers yet.");
  const nothing = () => model.hides ? h("p", { class: "empty" }, "Hidden for privacy.") : empty();
  const some = (n, word) => hid(n) ? HIDDEN : many(n, word) + (model.hides ? " released" : "");

  const glance = () => {
    const now = currency().periods[choice.window], back = { today: 1, "7d": 7, "30d": 30 }[choice.window];
    const [visits, passers, dwell] = model.visits[choice.window].total;
    const by = choice.model, [credited, paidFor] = paid(month().models[by], spending(by));
    const tile = (title, big, sub, line) => h("div", { class: "tile" }, h("h3", {}, title), big, h("p", { class: "sub" }, sub), line);
    const big = (key, raw, text) => num("p", key, raw, text, { class: "big" });
    const daily = currency().daily, spent = now.spend;
    put("glance",
      tile("In-store revenue", big("shops", now.tills.total[1], amount(now.tills.total[1])),
        some(now.tills.total[0], "sale"), spark(daily.map((d) => d[0]), back)),
      tile("Online revenue", big("online", now.orders[1], amount(now.orders[1])),
        some(now.orders[0], "order"), spark(daily.map((d) => d[1]), back, true)),
      tile("Visits", big("visits", visits, hid(visits) ? "" : count(visits)),
        hid(visits) ? HIDDEN : Number(visits) ? percent(Number(visits), Number(visits) + Number(passers)) + " capture rate, " + minutes(dwell / visits) + " average dwell" : "none yet",
        spark(model.daily_visits, back)),
      tile("Ad spend", big("spend", spent, money(spent)),
        costly(paidFor) ? "ROAS " + times(Number(credited), paidFor) + " " + MONTHS[choice.month] + " (" + MODELS[by][0].toLowerCase() + ")"
          : Number(spent) ? "" : "no spend reported"));
  };

  const channels = () => {
    const credit = month().models[choice.model], spend = spending(choice.model);
    setText("model-note", MODELS[choice.model][1] + " Revenue and conversions " + MONTHS[choice.month] + " (" +
      date(model.months[Number(choice.month === "month")] + "-01", { month: "long", year: "numeric" }) + ").");
    const places = new Set(Object.keys(credit?.rows || {}).concat(Object.keys(spend.rows)));
    const none = model.hides ? null : 0;
    const rows = [...places].map(Number).map((at) => {
      const [onlineN, shopsN, online, shops] = credit?.rows[at] || [none, none, none, none];
      const cost = spend.rows[at]?.[0] ?? 0, words = at < 0 ? [] : currency().channels[at];
      const untouched = words[0] === "unattributed", own = !together(words), apart = at < 0 || untouched || !own;
      const whole = !hid(online) && !hid(shops) && own && !(model.hides && at < 0);
      return { at, apart, untouched, own, whole, online, shops, value: sum(online, shops), n: sum(onlineN, shopsN), cost };
    }).sort((a, b) => a.apart - b.apart || b.value - a.value || b.cost - a.cost || a.at - b.at);
    const touched = rows.filter((row) => !row.untouched && !hid(row.value)), named = touched.filter((row) => row.own);
    const size = (list) => list.reduce((size, row) => size + Math.abs(row.value), 0);
    const brought = named.reduce((value, row) => sum(value, row.value), null);
    put("coverage", ...(!rows.length ? [] : !touched.length ? model.hides ? ["Revenue of channels: " + HIDDEN + "."] : [] : [
      "Revenue of channels: ", hid(brought) ? "" : num("strong", "named", brought, money(brought)), named.length === touched.length ? ", all of it."
        : (hid(brought) ? "" : ", ") + format("%0", { style: "percent" }).format(Math.floor(100 * size(named) / (size(touched) || 1)) / 100) +
          " of what channels brought: the rest is " + (model.hides ? HIDDEN : "of small channels") + "."]));
    $("more").hidden = rows.length <= SHOWN + 2;
    if (!rows.length) return put("money", nothing());
    const most = Math.max(1, ...rows.filter((row) => !row.apart).map((row) => Math.abs(row.value)));
    const shown = expanded || $("more").hidden ? rows : rows.filter((row, at) => at < SHOWN || row.apart);
    setText("more", expanded ? "Show top channels only" : "Show all " + count(rows.length) + " channels");
    $("more").setAttribute("aria-expanded", expanded);
    const cells = (key, { value, n, cost, whole, back = value, on = cost }) => [
      num("td", "value:" + key, value, amount(value)),
      num("td", "conversions:" + key, n, hid(n) ? "" : credits(n)),
      num("td", "cost:" + key, cost, Number(cost) ? money(cost) : ""),
      h("td", {}, whole ? times(Number(back), on) : ""),
      h("td", {}, whole && costly(cost) && Number(n) > 0 && back === value ? money(Math.round(cost * 1e6 / n)) : "")];
    const [onlineN, shopsN, online, shops] = credit?.total || [none, none, none, none];
    const [back, on] = paid(credit, spend);
    const total = { value: sum(online, shops), n: sum(onlineN, shopsN), cost: spend.total[0], back, on, whole: !hid(back) };
    put("money", table("Revenue, conversions and spend by channel, " + MODELS[choice.model][0] + " model",
      ["Channel", "Revenue", "Conversions", "Spend", "ROAS", "Cost per conversion"],
      shown.map((row) => ({
        apart: row.apart,
        head: [...label(channel(row.at)), row.apart || hid(row.value) ? null : bar([row.shops ?? 0, row.online ?? 0], most)],
        cells: cells(row.at < 0 ? "rest" : name(currency().channels[row.at]).join("/"), row),
      })), { head: "Total", cells: cells("all", total) }));
  };

  const shops = () => {
    const now = currency().periods[choice.window], seen = model.visits[choice.window];
    setText("shops-note", "Revenue, visits and sales per visit " + WINDOWS[choice.window] + ".");
    const cells = (key, [sales, taken], visit) => {
      const [visits, passers, dwell] = visit || [null, null, null];
      const any = Number(visits) > 0;
      return [
        num("td", "taken:" + key, taken, amount(taken)), num("td", "sales:" + key, sales, hid(sales) ? "" : count(sales)),
        visit ? num("td", "visits:" + key, visits, hid(visits) ? "" : count(visits)) : h("td"), h("td", {}, any ? percent(Number(visits), Number(visits) + Number(passers)) : ""),
        h("td", {}, any ? minutes(dwell / visits) : ""), h("td", {}, any && !hid(sales) ? percent(sales, visits) : "")];
    };
    const none = model.hides ? null : 0, apart = (at) => at < 0 || model.stores[at] === "*";
    const places = new Set(Object.keys(now.tills.rows).concat(Object.keys(seen.rows)));
    const rows = [...places].map(Number).sort((a, b) => apart(a) - apart(b) || a - b).map((at) => {
      const title = at < 0 ? "Remaining stores" : model.stores[at] === "*" ? "All stores (the rest)" : model.stores[at] || "–";
      const visits = seen.rows[at] || model.hides && !apart(at) && [null, null, null];
      return { head: title, apart: apart(at), cells: cells("shop/" + title, now.tills.rows[at] || [none, none], visits) };
    });
    const all = [sum(now.tills.total[0], now.orders[0]), sum(now.tills.total[1], now.orders[1])];
    rows.push({ head: "Online", cells: cells("online", now.orders) });
    put("shops", table("Stores " + WINDOWS[choice.window], ["Store", "Revenue", "Sales", "Visits", "Capture rate", "Average dwell", "Sales per visit"], rows,
      { head: "Total", cells: cells("all", all).map((cell, at) => at < 2 ? cell : h("td")) }));
    setText("h-hours", model.hours_of + "'s visits by hour");
    hist("hours", model.hours.map((hour) => hour[0]), (at) => at % 6 ? "" : String(at).padStart(2, "0"),
      (at, n) => String(at).padStart(2, "0") + ":00, " + some(n, "visit"));
  };

  const paths = () => {
    const { conversions, touches, days, top, assists } = currency().paths;
    const [before, current] = model.months.map((month) => date(month + "-01", { month: "long", year: "numeric" }));
    setText("paths-note", (hid(conversions) ? "Sales (" + HIDDEN + ")" : many(conversions, "sale")) + " with at least one touchpoint, " + before + " and " + current + ".");
    const last = (list, at) => at === list.length - 1;
    hist("touches", touches, (at) => last(touches, at) ? at + 1 + "+" : (at + 1) % 2 ? at + 1 : "",
      (at, n) => at + 1 + (last(touches, at) ? " or more touchpoints, " : at ? " touchpoints, " : " touchpoint, ") + some(n, "sale"));
    hist("days", days, (at) => last(days, at) ? "" : at % 5 ? "" : String(at),
      (at, n) => at + (last(days, at) ? " or more days, " : " days, ") + some(n, "sale"));
    const way = ({ steps, left_out }) => {
      const parts = [], half = steps.length / 2;
      steps.forEach((step, at) => {
        const text = step.filter((word) => word !== null).join(" / ").replace("direct / none", "direct");
        const same = parts.at(-1);
        if (same && same.text === text && !(left_out && at === half)) same.n++;
        else parts.push({ text, n: 1, gap: left_out && at === half });
      });
      return parts.map(({ text, n, gap }, at) => [
        at ? h("span", { class: "to" }, gap ? " → " + left_out + " more → " : " → ") : null, text, n > 1 ? " ×" + n : null]).flat();
    };
    put("top", top.length ? h("ol", { class: "list" }, top.map((path) => h("li", {}, h("span", { class: "steps" }, way(path)),
      num("span", "path:" + JSON.stringify(path.steps), path.conversions, count(path.conversions), { class: "n" })))) : nothing());
    put("assists", assists.length ? h("ol", { class: "list" }, assists.map(([words, n, value]) => h("li", {},
      h("span", { class: "steps" }, label(title(words))),
      num("span", "assist:" + name(words).join("/"), n, count(n) + " · " + money(value), { class: "n" })))) : nothing());
  };

  const pipe = () => {
    const { ready, reasons, lag_seconds, epoch, held, released, hidden, accepted, dead, rights, consents, retention, k } = status;
    setText("pipe-note", ready ? "Ready: the numbers are complete and up to date." : "Not ready: " + reasons.join("; ") + ".");
    const fact = (term, key, raw, text) => h("div", {}, h("dt", {}, term), h("dd", { "data-key": key, "data-raw": raw }, text));
    put("pipe",
      fact("Lag", "lag", lag_seconds, format("s", { style: "unit", unit: "second", maximumFractionDigits: 1 }).format(lag_seconds)),
      epoch ? fact("Latest closed epoch", "epoch", epoch, clock(epoch * 1000)) : [],
      [["Records accepted", "accepted", accepted], ["Records stored", "held", held],
        ["Numbers released", "released", released], ["Hidden for privacy", "hidden", hidden]]
        .map((of) => hid(of[2]) ? [] : fact(...of, count(of[2]))).flat(),
      fact("Rights requests answered", "rights", rights.completed + rights.rejected,
        count(rights.completed + rights.rejected) + (rights.rejected ? ", " + count(rights.rejected) + " rejected" : "")),
      fact("Open rights requests", "rights-open", rights.open,
        count(rights.open) + (rights.open ? ", oldest waiting " + minutes(rights.oldest_seconds) : "")),
      consents.map(([step, allow, refuse]) => fact("Consent: " + STEPS[step], "consent:" + step, allow,
        percent(allow, allow + refuse) + " of " + count(allow + refuse))),
      retention ? fact("Last retention run", "retention", retention, moment(retention * 1000)) : []);
    put("dead", dead.length ? h("ul", { class: "list" }, dead.map(([reason, help, n]) => h("li", {},
      h("span", {}, reason.replaceAll("_", " "), h("span", { class: "why" }, help.replaceAll("`", ""))), h("span", { class: "n", "data-key": "dead:" + reason, "data-raw": n }, count(n)))))
      : h("p", { class: "empty" }, "None since startup."));
    setText("gate", k > 1 ? "A number is shown only if at least " + count(k) + " people contribute to it."
      : "Every number is shown (release.k = 1). Use this setting for test data only.");
  };

  const state = () => {
    if (document.hidden) return;
    const quiet = Date.now() - lastEvent;
    const now = !lastEvent ? "wait" : quiet > QUIET ? "stale" : !status ? "wait" : status.ready ? "live" : "unready";
    const words = { wait: $("login").hidden ? "Connecting" : "Locked", stale: "Stale", live: "Live", unready: "Not ready" };
    $("pill").dataset.state = now;
    setText("pill", words[now]);
    document.body.classList.toggle("stale", now === "stale");
    $("notice").hidden = now !== "stale" && now !== "unready";
    $("notice").dataset.state = now;
    setText("notice-title", now === "stale" ? "Stale: no update from the worker since " + clock(lastEvent) + "." : "The worker is not ready:");
    const why = now === "stale" ? ["These are the last numbers received. The page resumes automatically when the worker is back."] : status?.reasons || [];
    if ($("notice-why").textContent !== why.join("")) put("notice-why", why.map((reason) => h("li", {}, reason)));
    if (announced !== now && announced + now !== "wait") setText("said", now === "live" ? (announced === "wait" || !announced ? "" : "Live again") : words[now] + ". " + why.join(". "));
    announced = now;
  };

  const options = (id, list, selected) => {
    const select = $(id), texts = [...select.options].map((option) => option.value);
    $(id + "-label").hidden = list.length < 2;
    if (texts.join() !== list.join()) select.replaceChildren(...list.map((value) => h("option", { value }, value)));
    select.value = selected;
  };

  const draw = () => {
    if (!model) return;
    const codes = model.currencies.map((c) => c.code);
    if (!codes.includes(choice.currency)) choice.currency = codes[0] || "";
    options("currency", codes, choice.currency);
    // A month begins without numbers.
    if (codes.length && !choseMonth) {
      choice.month = "month";
      if (!Object.keys(month().models).length) choice.month = "last_month";
      check();
    }
    setText("day", model.brand + ", " + date(model.today, { dateStyle: "full" }) + (status?.simulated ? ", simulated" : "") );
    if (!codes.length) {
      const newest = model.newest ? "The latest released number is from " + date(model.newest, { dateStyle: "long" }) + "." : "";
      put("glance", h("p", { class: "empty" }, "No numbers from the last two months have been released. " + newest));
      return ["coverage", "money", "shops", "hours", "touches", "days", "top", "assists"].forEach((id) => put(id, empty()));
    }
    seen = new Map();
    glance(); channels(); shops(); paths();
    values = seen;
  };

  const onStatus = (text) => {
    status = JSON.parse(text);
    // A different build is serving.
    const last = Number(sessionStorage.getItem("reloaded"));
    if (status.build !== document.documentElement.dataset.build && Date.now() - last > 60000) {
      sessionStorage.setItem("reloaded", Date.now());
      return location.reload();
    }
    if (status.simulated && !userChose) {
      userChose = true;
      choice.window = "30d";
      check();
      draw();
    }
    options("brand", status.brands, choice.brand || status.brands[0]);
    pipe();
  };
  const onModel = (text) => {
    const fresh = JSON.parse(text);
    // A restoring worker has no numbers yet: keep the previous ones.
    if (model && fresh.empty && fresh.brand === model.brand && !status?.ready) return;
    model = fresh;
    choice.brand = model.brand;
    $("brand").value = model.brand;
    draw();
  };
  const listen = async () => {
    clearTimeout(wait);
    source?.abort();
    connectedAt = Date.now();
    const own = source = new AbortController(), { token } = sessionStorage;
    try {
      const headers = token ? { Authorization: "Bearer " + token } : {};
      const answer = await fetch("/events?brand=" + encodeURIComponent(choice.brand), { headers, signal: own.signal });
      $("login").hidden = ![401, 403, 429].includes(answer.status);
      if (!answer.ok) throw 0;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", part; !(part = await reader.read()).done;) {
        const events = (text + part.value).split("\n\n");
        text = events.pop();
        for (const event of events) {
          const [, name, data] = event.match(/^event: (\w+)\ndata: (.*)/) || [];
          lastEvent = Date.now();
          if (name === "status") onStatus(data);
          if (name === "model") onModel(data);
          state();
        }
      }
    } catch { }
    state();
    if (source === own && $("login").hidden && !document.hidden) wait = setTimeout(listen, 1500);
  };

  const check = () => {
    for (const input of document.querySelectorAll("input[type=radio]")) input.checked = choice[input.name] === input.value;
  };
  const recall = () => {
    for (const [key, value] of new URLSearchParams(location.hash.slice(1)))
      if (key in choice && (key !== "window" || value in WINDOWS) && (key !== "month" || value in MONTHS) && (key !== "model" || value in MODELS)) choice[key] = value;
    userChose = location.hash.includes("window=");
    choseMonth = location.hash.includes("month=");
    check();
  };
  const remember = () => history.replaceState(null, "", "#" + new URLSearchParams(choice));

  $("pills").append(...Object.entries(MODELS).map(([value, [text]]) =>
    h("label", {}, h("input", { type: "radio", name: "model", value }), h("span", {}, text))));
  recall();
  document.addEventListener("change", ({ target }) => {
    if (target.id === "token") { sessionStorage.token = target.value.trim(); listen(); }
    if (!(target.name in choice)) return;
    choice[target.name] = target.value;
    userChose = true;
    if (target.name === "month") choseMonth = true;
    remember();
    if (target.name === "brand") { model = undefined; listen(); } else draw();
  });
  for (const id of ["login", "choice", "models"]) $(id).addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { expanded = !expanded; draw(); });
  // A hidden page frees its connection for other listeners.
  document.addEventListener("visibilitychange", () => document.hidden ? (clearTimeout(wait), source?.abort()) : listen());
  setInterval(() => {
    state();
    if (!document.hidden && $("login").hidden && Date.now() - Math.max(lastEvent, connectedAt) > 2 * QUIET) listen();
  }, 1000);
  listen();
})();
