// Events of the worker, choices and their address, and what is drawn when.

// The worker sends an event every 2 s.
const QUIET = 5000;
// Time between two drawings of new numbers.
const PAUSE = 1500;
const TABS = { marketing: ["read", marketing], stores: ["read", stores], privacy: ["privacy", privacy], operations: ["read", operations] };
const LANGUAGES = Object.keys(TEXTS);

let model, status, source, lastEvent = 0, connectedAt = 0, wait, choosesPeriod = false, announced = "", failure = "";

const may = (tab) => status?.may ? status.may.includes(TABS[tab][0]) : true;

// These say more in words of the server, such as how far a restore is.
const DETAILED = /^(restoring|ledger|clock|output|rights|follower)$/;
const whyNot = ({ code, values, words }) => t("ready." + code, values) + (DETAILED.test(code) ? t("colon") + words : "");

const state = () => {
  if (document.hidden) return;
  const quiet = Date.now() - lastEvent;
  const now = !lastEvent ? "wait" : quiet > QUIET ? "stale" : !status ? "wait" : status.ready ? "live" : "unready";
  const words = now === "wait" && !$("login").hidden ? t("state.locked") : t("state." + now);
  $("pill").dataset.state = now;
  setText("pill", words);
  document.body.classList.toggle("stale", now === "stale");
  $("notice").hidden = now !== "stale" && now !== "unready" && !failure;
  $("notice").dataset.state = now;
  setText("notice-title", now === "stale" ? t("stale.title", { time: clock(lastEvent) }) : now === "unready" ? t("unready.title") : failure ? t("failed", { why: failure }) : "");
  const why = now === "stale" ? [t("stale.why")] : now === "unready" ? (status?.reasons || []).map(whyNot) : [];
  if ($("notice-why").textContent !== why.join("")) put("notice-why", why.map((reason) => h("li", {}, reason)));
  if (announced !== now && announced + now !== "wait") setText("said", now === "live" ? (announced === "wait" || !announced ? "" : t("state.again")) : words + ". " + why.join(". "));
  announced = now;
};

const options = (id, list, selected) => {
  const select = $(id), texts = [...select.options].map((option) => option.value);
  $(id + "-label").hidden = list.length < 2;
  if (texts.join() !== list.join()) select.replaceChildren(...list.map((value) => h("option", { value }, value)));
  select.value = selected;
};

// What does not depend on a number: texts, tabs, controls.
const frame = () => {
  document.documentElement.lang = choice.lang;
  for (const node of document.querySelectorAll("[data-t]")) if (node.textContent !== t(node.dataset.t)) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  if (!may(choice.tab)) choice.tab = Object.keys(TABS).find(may) || "marketing";
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const isChosen = tab.dataset.tab === choice.tab;
    tab.hidden = !may(tab.dataset.tab);
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
    $(tab.dataset.tab).hidden = !isChosen;
  }
  const isNumbers = ["marketing", "stores"].includes(choice.tab);
  $("choice").hidden = !isNumbers;
  $("dates").hidden = choice.period !== "custom";
  for (const input of document.querySelectorAll("input[type=radio]")) if (choice[input.name]) input.checked = choice[input.name] === input.value;
  $("lang").value = choice.lang;
  put("glossary", ["attributed", "revenue", "conversions", "spend", "roas", "cost", "covers", "visits", "capture", "dwell", "rate", "touches", "assists"].map((term) =>
    [h("dt", {}, TEXTS[choice.lang]["c." + term] || TEXTS[choice.lang]["t." + term] || t("h." + term)), h("dd", {}, t("d." + term))]));
};

let isDrawing = false, isDue = false, drawnAt = 0, later;
// Draws the chosen tab; new numbers wait until the last drawing is a while ago.
const draw = (isChoice) => {
  frame();
  if (model) prepare();
  const selection = address("", choice);
  document.body.dataset.wanted = selection;
  if (!model && TABS[choice.tab][0] === "read" && choice.tab !== "operations") return;
  if (isDrawing) { isDue = true; return; }
  clearTimeout(later);
  const early = drawnAt + PAUSE - Date.now();
  if (!isChoice && early > 0) { later = setTimeout(draw, early); return; }
  isDrawing = true;
  const isEmpty = model?.empty;
  $("empty").hidden = !isEmpty || !["marketing", "stores"].includes(choice.tab);
  if (!$("empty").hidden) put("empty", h("p", {}, status?.k > 1 ? t("e.brand", { k: count(status.k) }) : t("e.nothing")));
  TABS[choice.tab][1]().then((show) => {
    failure = "";
    if (selection === address("", choice)) {
      show();
      settle(selection);
      document.body.dataset.drawn = selection;
    }
  }).catch((error) => {
    failure = error.message;
    answers = new Map();
    later = setTimeout(draw, 2 * PAUSE);
  }).finally(() => {
    [isDrawing, drawnAt] = [false, Date.now()];
    state();
    if (isDue) { isDue = false; draw(selection !== address("", choice)); }
  });
};

// Sets what the cells decide: the currency, the first period, the line above the numbers.
const prepare = () => {
  const codes = model.currencies.map((c) => c.code);
  if (!codes.includes(choice.currency)) choice.currency = codes[0] || "";
  options("currency", codes, choice.currency);
  if (!choosesPeriod) {
    // A month begins without numbers.
    choice.period = status?.simulated ? "30d" : Number(asOf().slice(8)) < 8 && asOf() === model.today ? "last_month" : "month";
    frame();
  }
  const of = span();
  for (const [id, value] of [["from", of.from], ["to", of.to]]) if (document.activeElement !== $(id)) $(id).value = value;
  setText("day", model.brand + ", " + date(model.today, { dateStyle: "full" }) + (status?.simulated ? ", " + t("simulated") : ""));
  setText("span", spanName(of) + (isRunning(of) ? "" : ", " + t("compared", { before: spanName(before(of)) })) + " · " + t("asof", { time: clock(lastEvent || Date.now()) }));
  $("ends").hidden = asOf() === model.today;
  setText("ends", t("ends", { date: date(asOf(), { dateStyle: "long" }) }));
};

const onStatus = (text) => {
  status = JSON.parse(text);
  // A different build is serving.
  const last = Number(sessionStorage.getItem("reloaded"));
  if (status.build !== document.documentElement.dataset.build && Date.now() - last > 60000) {
    sessionStorage.setItem("reloaded", Date.now());
    return location.reload();
  }
  options("brand", status.brands, choice.brand || status.brands[0]);
  if (!choice.brand) choice.brand = status.brands[0];
  frame();
  pipe();
  privacyFacts();
  if (choice.tab === "privacy" && Date.now() - drawnAt > 4 * PAUSE || TABS[choice.tab][0] !== "read" && !drawnAt) draw();
};
const onModel = (text) => {
  const next = JSON.parse(text);
  // A restoring worker has no numbers yet: keep the previous ones.
  if (model && next.empty && next.brand === model.brand && !status?.ready) return;
  model = next;
  answers = new Map();
  choice.brand = model.brand;
  $("brand").value = model.brand;
  draw();
};
const listen = async () => {
  clearTimeout(wait);
  source?.abort();
  connectedAt = Date.now();
  const own = source = new AbortController();
  try {
    const answer = await ask("/events?brand=" + encodeURIComponent(choice.brand), own.signal);
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

// Choices are in the address, so that a view can be kept and shared.
const VALID = { tab: TABS, period: PERIODS, model: Object.fromEntries(MODELS.map((one) => [one, 1])), measure: MEASURES, value: VALUES, lang: TEXTS };
const recall = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [key, value] of given)
    if (key in choice && (!VALID[key] || Object.hasOwn(VALID[key], value)) && (!["from", "to"].includes(key) || /^(\d{4}-\d\d-\d\d)?$/.test(value))) choice[key] = value;
  try { drilled(); } catch { choice.channel = ""; }
  if (given.has("period")) choosesPeriod = true;
};
const remember = (isStep) => {
  const hash = "#" + new URLSearchParams(Object.entries(choice).filter(([key, value]) => value !== "" && (key !== "period" || choosesPeriod)));
  if (hash !== location.hash) history[isStep ? "pushState" : "replaceState"](null, "", hash);
};
const choose = (some) => {
  const isStep = ["tab", "channel", "store"].some((key) => key in some);
  if ("period" in some || "from" in some || "to" in some) choosesPeriod = true;
  if ("brand" in some) Object.assign(choice, { currency: "", channel: "", store: "" });
  Object.assign(choice, some);
  remember(isStep);
  if ("brand" in some) leave(); else draw(true);
};

$("pills").append(...MODELS.map((value) => h("label", {}, h("input", { type: "radio", name: "model", value }), h("span", { "data-t": "model." + value }))));
$("lang").append(...LANGUAGES.map((value) => h("option", { value, lang: value }, TEXTS[value].name)));
recall();
document.addEventListener("change", ({ target }) => {
  if (target.id === "token") { sessionStorage.token = target.value.trim(); answers = new Map(); return listen(); }
  if (!(target.name in choice)) return;
  if (["from", "to"].includes(target.name)) return target.value && choose({ from: $("from").value, to: $("to").value, period: "custom" });
  if (target.name === "period" && target.value === "custom") { const of = span(); return choose({ ...of, period: "custom" }); }
  if (target.name === "lang") sessionStorage.lang = target.value;
  choose({ [target.name]: target.value });
});
for (const id of ["login", "choice", "models"]) $(id).addEventListener("submit", (event) => event.preventDefault());
$("more").addEventListener("click", () => { isExpanded = !isExpanded; draw(true); });
$("tabs").addEventListener("click", ({ target }) => { const { tab } = target.closest("[role=tab]")?.dataset || {}; if (tab) choose({ tab }); });
// Arrows move between tabs (WAI-ARIA Authoring Practices, tabs).
$("tabs").addEventListener("keydown", (event) => {
  const tabs = [...document.querySelectorAll("[role=tab]:not([hidden])")], at = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  const next = tabs[(to + tabs.length) % tabs.length];
  choose({ tab: next.dataset.tab });
  next.focus();
});
// The address may be of another brand, with a currency and a gate of its own.
const leave = () => { model = undefined; answers = new Map(); listen(); };
addEventListener("popstate", () => {
  const { brand } = choice;
  Object.assign(choice, { tab: "marketing", brand: status?.brands[0] || brand, currency: "", channel: "", store: "" });
  recall();
  if (choice.brand === brand) return draw(true);
  frame();
  leave();
});
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; draw(true); } });
// A hidden page frees its connection for other listeners.
document.addEventListener("visibilitychange", () => document.hidden ? (clearTimeout(wait), source?.abort()) : listen());
setInterval(() => {
  state();
  if (!document.hidden && $("login").hidden && Date.now() - Math.max(lastEvent, connectedAt) > 2 * QUIET) listen();
}, 1000);
frame();
listen();
