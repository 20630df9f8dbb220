// Is the map true? A badge beside it, and the curves behind the badge.

const BADGE = {
  trusted: ["\u2713 trusted", "good"],
  weak: ["\u223c weak", "muted"],
  random: ["\u2717 no better than random", "bad"],
};

function paintBadge(pane, look) {
  const button = pane.root.querySelector(".judge");
  const found = pane.judged();
  button.hidden = look.kind === "none" || look.kind === "difference";
  const offer = found ? null : offerOf(pane);
  const [word, tone] = found ? BADGE[found.badge] : [offer ? offer.word : "testing the map\u2026", "muted"];
  if (button.textContent !== word) button.textContent = word;
  button.className = `judge badge ${tone}`;
  button.disabled = !found && !offer?.run;
  button.title = found ? found.scopes[0].sentence : (offer?.title ?? "");
  button.setAttribute("aria-expanded", String(pane.board.ui.curves === pane.role));
  button.onclick = () => {
    if (!found) return offer.run();
    const opens = pane.board.ui.curves !== pane.role;
    pane.board.set({ curves: opens ? pane.role : "" }, false);
  };
}

// Under a heavy strategy a map is tested when somebody says so, who is told what it takes.
function offerOf(pane) {
  const { heavy, test } = pane.card();
  const { board } = pane;
  const ask = testOf(pane);
  if (!heavy) return null;
  if (board.asked.has(JSON.stringify(ask))) return { word: "testing the map \u00b7 stop", run: () => endTest(board, ask) };
  if (!test) return { word: "not tested" };
  const title = `${test.passes} passes without some of the tokens`;
  return { word: `Test this map: about ${Math.round(test.seconds)} s`, title, run: () => askTest(board, ask) };
}
const testOf = (pane, each = "") => ({ strategy: pane.card().name, name: pane.mapName(), target: pane.board.target(), each });
function askTest(board, ask) {
  board.asked.add(JSON.stringify(ask));
  board.ask({ judge: ask });
  board.paint();
}
function endTest(board, ask) {
  board.asked.delete(JSON.stringify(ask));
  board.ask({ untest: ask });
  board.paint();
}

// What is not known about the maps on the screen is asked for when nobody has clicked for a moment.
function judge(board) {
  clearTimeout(board.judging);
  // Of each modality only when the curves are open: that is four times the work.
  const open = (pane) => pane.role === board.ui.curves;
  const whole = (pane) => pane.judged()?.scopes.length > (open(pane) ? 1 : 0);
  const wanted = board.panes.find((pane) => pane.mapName() && !pane.card().heavy && !whole(pane));
  if (!wanted) return;
  const ask = testOf(wanted, open(wanted) ? "each" : "");
  if (!board.asked.has(JSON.stringify(ask))) board.judging = setTimeout(() => askTest(board, ask), 350);
}

const SVG = "http://www.w3.org/2000/svg";
function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const MOVE = { deletion: "removed", insertion: "put back" };
const WANTED = { deletion: "below the band is better", insertion: "above the band is better" };

// One curve over the band of random orders.
function chart(curve, orders) {
  const [width, height, left, top, bottom] = [300, 150, 34, 8, 30];
  const all = [...curve.values, ...curve.low, ...curve.high];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const x = (moved) => left + moved * (width - left - 8);
  const y = (value) => top + ((most - value) / Math.max(1e-9, most - least)) * (height - top - bottom);
  const points = (values) => curve.moved.map((moved, i) => `${x(moved).toFixed(1)},${y(values[i]).toFixed(1)}`);
  const [area, band] = [plain(curve.area, 2), curve.band.map((edge) => plain(edge, 2)).join(" to ")];
  const label = `${curve.name}: mean height ${area}, ${orders} random orders ${band}`;
  const picture = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  picture.append(
    shape("polygon", { class: "band", points: [...points(curve.low), ...points(curve.high).reverse()].join(" ") }),
    shape("line", { class: "axis", x1: left, x2: width - 8, y1: height - bottom, y2: height - bottom }),
    shape("polyline", { class: "curve", points: points(curve.values).join(" ") }),
    shape("text", { x: left - 5, y: y(most) + 4, "text-anchor": "end" }, plain(most, 1)),
    shape("text", { x: left - 5, y: y(least) + 4, "text-anchor": "end" }, plain(least, 1)),
    shape("text", { x: left, y: height - 15 }, "0"),
    shape("text", { x: width - 8, y: height - 15, "text-anchor": "end" }, "all"),
    shape("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, `share of tokens ${MOVE[curve.name]}`),
  );
  const box = el("figure", "chart");
  box.append(el("figcaption", "", curve.name), picture, el("p", "caption num", `mean height ${area}, ${orders} random orders ${band}; ${WANTED[curve.name]}`));
  return box;
}

function scopeButtons(board, found) {
  const box = el("div", "seg");
  box.setAttribute("role", "radiogroup");
  box.setAttribute("aria-label", "Tokens moved");
  for (const scope of found.scopes) {
    const button = el("button", "", `${scope.name} \u00b7 ${scope.word}`);
    button.type = "button";
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(scope.scope === board.ui.scope));
    button.onclick = () => board.set({ scope: scope.scope }, false);
    box.append(button);
  }
  return box;
}

function paintCurves(board) {
  const box = board.root.querySelector(".curves");
  const pane = board.panes.find((one) => one.role === board.ui.curves);
  const found = pane?.judged();
  box.hidden = !found;
  if (!found) return;
  const shown = found.scopes.find((scope) => scope.scope === board.ui.scope) ?? found.scopes[0];
  const charts = el("div", "charts");
  charts.append(...shown.curves.map((curve) => chart(curve, shown.orders)));
  const numbers = el("p", "caption num", shown.numbers.map(([name, value]) => `${name} ${value}`).join(" \u00b7 "));
  const title = board.ui.beside ? `Is this map true? ${pane.card().label}` : "Is this map true?";
  put(box, el("h4", "", title), scopeButtons(board, found), el("p", "sentence", shown.sentence), charts, numbers, ...found.checks.map(checkRow));
}
