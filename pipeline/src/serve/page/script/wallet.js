// Wallet passes on the tab Stores: scans at tills by store, passes by platform, and vouchers by channel.

const PASS_COUNTS = ["issued", "installed", "removed", "pushes", "opens"];

const walletOf = async (of, own) => {
  const [scans, days, vouchers] = await Promise.all([cells("scan_day", { ...of, ...own, group_by: "store" }),
    cells("wallet_day", { ...of, group_by: "platform,day", limit: 10000 }), cells("redemption_day", { ...of, ...own, group_by: "source,medium,campaign", sort: "-redemptions", limit: 8 })]);
  return () => {
    $("wallet").hidden = !scans.length && !days.length && !vouchers.length;
    setText("wallet-note", t("wallet.note", { period: spanName(of) }) + (hides() ? " " + t("wallet.hidden") : ""));
    const heads = (first, rest) => [{ text: t("c." + first) }, ...rest.map((term) => ({ text: t("c." + term), term: term === "active" || term === "covers" ? term : undefined }))];
    const caption = (key) => t(key) + ", " + spanName(of);
    put("wallet-scans", scans.length ? table({ id: "wallet-scans", caption: caption("h.wallet_scans"), heads: heads("store", ["scan_visits", "scans", ...hides() ? [] : ["redemptions"], "covers"]),
      rows: scans.map(({ cell: { store }, value, coverage }) => {
        const key = "scans:" + store;
        return { key, head: nameOfStore(store), csv: nameOfStore(store), apart: store === REST, cells: [countCell(key + ":visits", value?.presences), countCell(key + ":scans", value?.scans),
          ...hides() ? [] : [countCell(key + ":redemptions", value?.redemptions)], coverCell(coverage)] };
      }) }) : []);
    // Active passes do not add up over days: those of the newest day count.
    const platforms = new Map();
    for (const { cell: { platform, day }, value } of days) {
      const row = platforms.get(platform) || platforms.set(platform, { day: "", active: null }).get(platform);
      for (const name of PASS_COUNTS) row[name] = sum(row[name], value?.[name]);
      if (day > row.day) Object.assign(row, { day, active: value?.active });
    }
    $("h-wallet-passes").hidden = !platforms.size;
    put("wallet-passes", platforms.size ? table({ id: "wallet-passes", caption: caption("h.wallet_passes"), heads: heads("platform", ["active", ...PASS_COUNTS]),
      rows: [...platforms].sort().map(([platform, row]) => ({ key: "passes:" + platform, head: platform, csv: platform,
        cells: ["active", ...PASS_COUNTS].map((name) => countCell("passes:" + platform + ":" + name, row[name])) })) }) : []);
    $("h-vouchers").hidden = !vouchers.length;
    put("vouchers", vouchers.length ? table({ id: "vouchers", caption: caption("h.vouchers"), heads: heads("channel", ["redemptions"]),
      rows: vouchers.map(({ cell: { source, medium, campaign }, value }) => {
        const words = [source, medium, campaign], key = "vouchers:" + channelKey(words);
        return { key, head: label(nameOfChannel(words)), csv: channelText(words), cells: [countCell(key, value?.redemptions)] };
      }) }) : []);
  };
};
