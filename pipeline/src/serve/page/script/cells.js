// Released cells, as `/v1/cells` answers. A number that is hidden is in no row.

// Answers of the current cells by address, so that a choice that is made again costs nothing.
let answers = new Map();

const ask = async (path, own) => {
  const { token } = sessionStorage;
  const headers = token ? { Authorization: "Bearer " + token } : {};
  return fetch(path, { headers, signal: own });
};
// The sentence of an error: an answer that is none is of a proxy.
const wrong = (text) => {
  try {
    const { parameter, message, fix } = JSON.parse(text).error;
    return parameter + " " + message + t("colon") + fix;
  } catch { return ""; }
};
const read = (path) => {
  if (!answers.has(path)) answers.set(path, ask(path).then(async (answer) => {
    const text = await answer.text();
    if (!answer.ok) throw new Error(wrong(text) || answer.status + " " + answer.statusText);
    // Integers of more digits than a float holds become text.
    return JSON.parse(text.replace(/("[a-z_]+":)(-?\d{16,})/g, '$1"$2"'));
  }));
  return answers.get(path);
};
// The address of a query: words by name, several for a list, none for what is absent.
const address = (family, words) => {
  const query = new URLSearchParams({ brand: choice.brand });
  for (const [name, value] of Object.entries(words)) for (const one of [value].flat())
    if (value !== undefined) query.append(name, one ?? "");
  return "/v1/cells/" + family + "?" + query;
};
// On the first day of a month, the finished days of the month are none.
const cells = async (family, words) => words.to < words.from ? [] : (await read(address(family, words))).rows;

const currency = () => model.currencies.find((c) => c.code === choice.currency) || model.currencies[0];
const hides = () => model.hides;

// The day at which periods end: today, or the newest one of a trace of another time.
const asOf = () => model.newest && daysBetween(model.newest, model.today) > 62 ? model.newest : model.today;
const PERIODS = {
  today: (end) => [end, end], "7d": (end) => [addDays(end, -6), end], "30d": (end) => [addDays(end, -29), end],
  month: (end) => [firstOf(end), lastOf(end)], last_month: (end) => [firstOf(end, -1), addDays(firstOf(end), -1)],
  custom: (end) => [choice.from || addDays(end, -29), choice.to || end],
};
const span = () => {
  const [from, to] = PERIODS[choice.period](asOf());
  return { from, to: to < from ? from : to };
};
// Channels are released by whole month: those that the period touches.
const wholeMonths = ({ from, to }) => ({ from: firstOf(from), to: lastOf(to) });
const spanOfChannels = () => model.by_month ? wholeMonths(span()) : span();
const isWholeMonths = ({ from, to }) => from === firstOf(from) && to === lastOf(to);
// Months that have not ended, and today, are not compared as if they had.
const isRunning = (of) => of.to >= model.today && (isWholeMonths(of) || of.from === of.to);
const before = ({ from, to }) => {
  if (isWholeMonths({ from, to })) {
    const months = (utc(to).getUTCFullYear() - utc(from).getUTCFullYear()) * 12 + utc(to).getUTCMonth() - utc(from).getUTCMonth() + 1;
    return { from: firstOf(from, -months), to: addDays(from, -1) };
  }
  return { from: addDays(from, -1 - daysBetween(from, to)), to: addDays(from, -1) };
};
const compared = { compare: "previous" };

// One total of a family, with the period before and its coverage.
const wholeOf = async (family, words) => {
  const [row] = await cells(family, { group_by: "", ...words });
  return row || { cell: {}, value: {}, coverage: null, previous: null };
};
const amountOf = (row, name) => row?.value?.[name] ?? (hides() ? null : 0);

// Names of channels and stores.
const REST = "*";
const isTogether = (words) => words.includes(REST) || hides() && words[0] === "other" && !words[1] && !words[2];
const isUntouched = (words) => words[0] === "unattributed";
const nameOfStore = (store) => store === REST ? t("rest.stores") : isNothing(store) ? "–" : model.names.stores[store] || store || "–";
const nameOfChannel = (words) => {
  const [source, medium, campaign] = words;
  const own = (list) => model.names.channels[list.map((word) => word ?? "").join("/")];
  const shown = (list) => own(list) || list.map((word) => word ?? "–").join("/");
  if (source === REST) return [t("rest.month")];
  if (isTogether(words) && source === "other") return [t("rest.day")];
  if (medium === REST) return [t("rest.source", { of: own([source]) || source })];
  if (campaign === REST) return [t("rest.campaign", { of: shown([source, medium]) })];
  if (isUntouched(words)) return [t(medium === "oversized" ? "oversized" : "unattributed")];
  const named = words.map((word, at) => own(words.slice(0, at + 1)));
  const deepest = named.findLastIndex(Boolean);
  const rest = words.slice(deepest + 1).filter((word) => !isNothing(word));
  return deepest < 0 ? rest : [named[deepest], ...rest];
};
const channelText = (words) => nameOfChannel(words).join(" / ");
const channelKey = (words) => words.map((word) => word ?? "–").join("/");
const label = ([first, ...rest]) => [first, rest.length ? h("span", { class: "way" }, " / " + rest.join(" / ")) : null];
