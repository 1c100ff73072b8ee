// What a person without a mouse, without good sight or with a screen reader would stumble over; [] where nothing.
(() => {
  const found = [];
  const visible = (node) => node.checkVisibility({ opacityProperty: false }) && node.getClientRects().length;
  const named = (node) => (node.getAttribute("aria-label") || [...(node.labels || [])].map((l) => l.innerText).join(" ")
    || (node.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent || "").join(" ")
    || node.textContent || "").trim();

  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push("id twice: " + id);
  for (const node of document.querySelectorAll("button, select, input, a[href], form, nav"))
    if (visible(node) && !named(node)) found.push("no name: " + node.outerHTML.slice(0, 80));
  for (const landmark of ["header", "main", "footer", "nav"])
    if (document.querySelectorAll("body " + landmark).length !== 1) found.push("not one " + landmark);
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (!document.documentElement.lang) found.push("no language");
  if (!document.querySelector("[aria-live=polite]")) found.push("no live region");
  for (const of of document.querySelectorAll("section, [aria-controls]"))
    for (const id of (of.getAttribute("aria-labelledby") || of.getAttribute("aria-controls")).split(" "))
      if (!document.getElementById(id)) found.push("points nowhere: " + id);
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    if (heading.tagName[1] - level > 1) found.push("heading skips a level: " + heading.textContent);
    level = +heading.tagName[1];
  }
  for (const table of document.querySelectorAll("table"))
    if (!table.caption?.textContent) found.push("a table without caption");
  if (document.documentElement.scrollWidth > innerWidth) found.push("scrolls sideways: " + document.documentElement.scrollWidth);

  const colour = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [.2126, .7152, .0722][at], 0);
  const paper = (node) => {
    for (; node; node = node.parentElement) {
      const back = colour(getComputedStyle(node).backgroundColor);
      if (back.length === 3 || back[3] === 1) return back;
    }
    return [255, 255, 255];
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !visible(node) || node.closest("script, style, .sr, .skip, noscript, option")) continue;
    const [a, b] = [light(colour(getComputedStyle(node).color)), light(paper(node))].sort((a, b) => b - a);
    const contrast = (a + .05) / (b + .05);
    if (contrast < 4.5) found.push("contrast " + contrast.toFixed(2) + ": " + walk.currentNode.data.trim().slice(0, 40));
  }
  return [...new Set(found)];
})()
