// What lights up: attention rows and columns; scores and differences are in scores.js.

function decoded(map) {
  if (!map.levels) {
    map.levels = bytes(map.data);
    map.scales = floats(map.scale);
    map.masses = floats(map.mass);
  }
  return map;
}

const headsOf = (map, head) => (head >= 0 && head < map.shape[0] ? [head] : [...Array(map.shape[0]).keys()]);

function rowOf(map, head, query) {
  const [, queries, keys] = decoded(map).shape;
  const chosen = headsOf(map, head);
  const out = new Float32Array(keys);
  for (const h of chosen) {
    const row = h * queries + query;
    const unit = map.scales[row] / 255 / chosen.length;
    for (let k = 0; k < keys; k++) out[k] += map.levels[row * keys + k] * unit;
  }
  return out;
}

function columnOf(map, head, key) {
  const [, queries, keys] = decoded(map).shape;
  const chosen = headsOf(map, head);
  const out = new Float32Array(queries);
  for (const h of chosen)
    for (let q = 0; q < queries; q++) {
      const row = h * queries + q;
      out[q] += (map.levels[row * keys + key] * map.scales[row]) / 255 / chosen.length;
    }
  return out;
}

function massOf(map, head, query) {
  const chosen = headsOf(decoded(map), head);
  return total(chosen.map((h) => map.masses[h * map.shape[1] + query])) / chosen.length;
}

// Sum of all query rows of a map, and of their masses; kept, because swapping back and forth asks again.
function rowSum(map, head) {
  map.sums ??= {};
  if (!map.sums[head]) {
    const queries = map.shape[1];
    const values = new Float32Array(map.shape[2]);
    let mass = 0;
    for (let q = 0; q < queries; q++) {
      rowOf(map, head, q).forEach((value, k) => (values[k] += value));
      mass += massOf(map, head, q);
    }
    map.sums[head] = { values, mass };
  }
  return map.sums[head];
}

function addInto(values, modality, extra, weight = 1) {
  values[modality] ??= new Float32Array(extra.length);
  extra.forEach((value, i) => (values[modality][i] += value * weight));
}

// Shares mean something within one softmax that reads several modalities.
const isShared = (shares) => Object.keys(shares).length > 1 && total(Object.values(shares)) <= 1.01;

// The weight every key would have if a row of this map were spread evenly over all keys of its softmax.
function evenShare(group, map) {
  const row = group.maps.filter((other) => other.query === map.query);
  const masses = row.map((other) => massOf(other, -1, 0));
  if (row.length > 1 && total(masses) <= 1.01) return total(masses) / total(row.map((other) => other.shape[2]));
  return massOf(map, -1, 0) / map.shape[2];
}

function attended(group, head, token) {
  const maps = group.maps.filter((map) => map.query === token.modality && token.index < map.shape[1]);
  const [values, shares, even] = [{}, {}, {}];
  for (const map of maps) {
    addInto(values, map.key, rowOf(map, head, token.index));
    shares[map.key] = (shares[map.key] || 0) + massOf(map, head, token.index);
    even[map.key] = evenShare(group, map);
  }
  return { values, shares, even, single: isShared(shares), empty: maps.length === 0 };
}

function attendedBy(group, head, token) {
  const maps = group.maps.filter((map) => map.key === token.modality && token.index < map.shape[2]);
  const [values, even] = [{}, {}];
  for (const map of maps) {
    addInto(values, map.query, columnOf(map, head, token.index));
    even[map.query] = evenShare(group, map);
  }
  const shares = Object.fromEntries(Object.entries(values).map(([m, v]) => [m, total(v) / v.length]));
  return { values, shares, even, single: true, empty: maps.length === 0 };
}

function meanOverQueries(group, head) {
  const [queries, byQuery, values, shares, readers, even] = [{}, {}, {}, {}, {}, {}];
  for (const map of group.maps) {
    queries[map.query] = map.shape[1];
    (readers[map.key] ??= {})[map.query] = map.shape[1];
    const row = (byQuery[map.query] ??= {});
    row[map.key] = (row[map.key] || 0) + rowSum(map, head).mass / map.shape[1];
  }
  const read = new Set(group.maps.map((map) => map.key)).size;
  const single = Object.values(byQuery).every((row) => isShared(row) && Object.keys(row).length === read);
  for (const map of group.maps) {
    const count = total(Object.values(single ? queries : readers[map.key]));
    const sum = rowSum(map, head);
    addInto(values, map.key, sum.values, 1 / count);
    shares[map.key] = (shares[map.key] || 0) + sum.mass / count;
    even[map.key] = (even[map.key] || 0) + (evenShare(group, map) * map.shape[1]) / count;
  }
  return { values, shares, even, single, count: total(Object.values(queries)), empty: group.maps.length === 0 };
}

function tokenName(pane, token) {
  const axis = pane.axis(token.modality);
  if (!axis) return pane.board.nameOf(token.modality);
  const [a, b] = axis.spans[token.index] || [0, 0];
  if (token.modality === "text") return `\u201c${axis.labels[token.index]}\u201d`;
  if (token.modality === "audio") return `audio ${plain(a, 2)}\u2013${plain(b, 2)} s`;
  if (!axis.grid) return `image ${axis.labels[token.index]}`;
  return `image row ${Math.floor(token.index / axis.grid[1]) + 1}, column ${(token.index % axis.grid[1]) + 1}`;
}

const byValue = (shares) => Object.entries(shares).sort((a, b) => b[1] - a[1]);

// The token with the most weight for its lane, as a multiple of an even share.
function strongest(pane, found) {
  let best = null;
  for (const m of MODALITIES.filter((m) => found.values[m] && found.even[m] > 0 && pane.axis(m))) {
    const index = argmax(found.values[m]);
    const lift = found.values[m][index] / found.even[m];
    if (!best || lift > best.lift) best = { lift, token: { modality: m, index } };
  }
  return best;
}

// What a row or column says in words: shares where they mean something, and the token that stands out most.
function shareWords(pane, found) {
  const words = [];
  if (found.single)
    for (const [key, share] of byValue(found.shares)) words.push(words.length ? " \u00b7 " : "", `${pane.board.nameOf(key)} `, { strong: fine(share) });
  const best = strongest(pane, found);
  if (best && best.lift > 1.05) words.push(words.length ? "; most " : "most ", tokenName(pane, best.token), " ", { strong: `${plain(best.lift, 1)} \u00d7` }, " an even share");
  else if (best) words.push(words.length ? "; " : "", "no token more than an even share");
  return words;
}

// A model that reads a record once with each label has the heads of one reading after those of another.
function readingsOf(pane, group) {
  const { classes } = pane.board.data;
  const own = group.heads / classes.length;
  const each = group.maps.some((map) => map.query === "text_label" || map.key === "text_label");
  return each && Number.isInteger(own) ? { labels: classes, own } : { labels: null, own: group.heads };
}

function headName(pane, group, head) {
  const { labels, own } = readingsOf(pane, group);
  const number = `head ${(head % own) + 1}`;
  return labels ? `\u201c${labels[Math.floor(head / own)]}\u201d, ${number}` : number;
}

function unitOf(pane, what) {
  const group = pane.group();
  const { head } = pane.board.ui;
  const { labels, own } = readingsOf(pane, group);
  const over = labels ? `, each read with ${labels.length} labels` : "";
  const mean = `mean of ${labels ? own : group.of} heads${over}`;
  const heads = head < 0 || group.heads === 1 ? mean : `${headName(pane, group, head)} of ${own}`;
  return { quiet: ` (${[what, group.label, heads, group.left].filter(Boolean).join(", ")})` };
}

const rowUnit = (found, row) => (found.single ? `shares of ${row}` : `${row === "one row" ? "" : "mean rows, "}each pair its own softmax`);

// A token's own row, what reads the token, or both.
function tokenLook(pane, token) {
  const { ui } = pane.board;
  const group = pane.group();
  const to = ui.direction === "by" ? null : attended(group, ui.head, token);
  const by = ui.direction === "to" ? null : attendedBy(group, ui.head, token);
  const line = [{ strong: tokenName(pane, token) }];
  const asks = to && !to.empty;
  const read = by && !by.empty;
  if (asks) line.push(" attends to: ", ...shareWords(pane, to));
  else if (to && !read) line.push({ quiet: ` asks nothing at ${group.label}: its modality is only read there.` });
  if (read) line.push(asks ? "; is attended by: " : " is attended by: ", ...shareWords(pane, by));
  else if (by && !asks) line.push({ quiet: ` is not read by any token at ${group.label}.` });
  const units = [asks ? rowUnit(to, "one row") : "", read ? "attended by: mean weight per query token" : ""].filter(Boolean);
  if (units.length) line.push(unitOf(pane, units.join("; ")));
  return { found: to ?? by, back: to ? by : null, line };
}

// What a head reads on the whole: the row of the token that the answer is read from where it is one, else the mean
// over all query tokens.
const onTheWhole = (group, head) => (group.summary ? attended(group, head, { modality: group.summary, index: 0 }) : meanOverQueries(group, head));

function wholeLook(pane) {
  const { ui } = pane.board;
  const group = pane.group();
  const found = onTheWhole(group, ui.head);
  if (group.summary) return { found, line: ["The ", { strong: pane.board.nameOf(group.summary) }, " attends to: ", ...shareWords(pane, found), unitOf(pane, rowUnit(found, "one row"))] };
  return { found, line: [`Mean over all ${found.count} query tokens: `, ...shareWords(pane, found), unitOf(pane, rowUnit(found, "the mean row"))] };
}

// Weights as multiples of an even share. A nearly even row stays pale: full colour is the strongest token, but at
// least twice an even share.
function liftsOf(found) {
  const values = {};
  for (const m of MODALITIES.filter((m) => found.values[m])) values[m] = Array.from(found.values[m], (value) => (found.even[m] > 0 ? value / found.even[m] : 0));
  return { values, most: Math.max(2, ...Object.values(values).map(largest)) };
}

function attentionLook(pane) {
  const token = pane.token(pane.board.active());
  const { found, back, line } = token ? tokenLook(pane, token) : wholeLook(pane);
  return { kind: "attention", ...liftsOf(found), weights: found.values, back: back ? liftsOf(back) : null, line };
}

// { kind, values: {modality: numbers}, most: the value of full colour, line }
function lookAt(pane) {
  if (pane.role === "difference") return differenceLook(pane);
  // A map that ranks tokens no better than chance is drawn in grey.
  return { ...mapLook(pane), grey: pane.judged()?.badge === "random" };
}

function mapLook(pane) {
  const view = pane.view();
  if (view === "attention") return pane.map() === "raw" ? attentionLook(pane) : attentionScoresLook(pane);
  if (view === "attribution") return attributionLook(pane);
  return { kind: "none", values: {}, most: 0, line: [] };
}

const aboveEven = ({ values, most }, modality, index) => ((values[modality]?.[index] ?? 0) - 1) / Math.max(1e-9, most - 1);
const within = (alpha) => Math.min(1, Math.max(0, alpha));

// Colour and strength of one token. Attention: what is above an even share. Scores: for (blue) and against (orange).
function shade(look, modality, index, colours) {
  const value = look.values[modality]?.[index] ?? 0;
  const alpha = look.kind === "attention" ? aboveEven(look, modality, index) : look.most > 0 ? Math.abs(value) / look.most : 0;
  return { value, alpha: within(alpha), colour: look.grey ? GREY : value < 0 ? colours[1] : colours[0] };
}

// How strongly a token is marked as one that attends to the token in question.
const marked = (look, modality, index) => (look.back ? within(aboveEven(look.back, modality, index)) : 0);
