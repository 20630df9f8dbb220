// What lights up: attention rows and columns, or signed attribution scores, and the line that says so.

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

function attended(group, head, token) {
  const maps = group.maps.filter((map) => map.query === token.modality && token.index < map.shape[1]);
  const values = {};
  const shares = {};
  for (const map of maps) {
    addInto(values, map.key, rowOf(map, head, token.index));
    shares[map.key] = (shares[map.key] || 0) + massOf(map, head, token.index);
  }
  return { values, shares, single: isShared(shares), empty: maps.length === 0 };
}

function attendedBy(group, head, token) {
  const maps = group.maps.filter((map) => map.key === token.modality && token.index < map.shape[2]);
  const values = {};
  for (const map of maps) addInto(values, map.query, columnOf(map, head, token.index));
  const shares = Object.fromEntries(Object.entries(values).map(([m, v]) => [m, total(v) / v.length]));
  return { values, shares, single: true, empty: maps.length === 0 };
}

function meanOverQueries(group, head) {
  const queries = {};
  const byQuery = {};
  const values = {};
  const shares = {};
  const readers = {};
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
  }
  return { values, shares, single, count: total(Object.values(queries)), empty: group.maps.length === 0 };
}

function tokenName(board, token) {
  const axis = board.axis(token.modality);
  if (!axis) return board.nameOf(token.modality);
  const [a, b] = axis.spans[token.index] || [0, 0];
  if (token.modality === "text") return `\u201c${axis.labels[token.index]}\u201d`;
  if (token.modality === "audio") return `audio ${plain(a, 2)}\u2013${plain(b, 2)} s`;
  if (!axis.grid) return `image ${axis.labels[token.index]}`;
  return `image row ${Math.floor(token.index / axis.grid[1]) + 1}, column ${(token.index % axis.grid[1]) + 1}`;
}

const byValue = (shares) => Object.entries(shares).sort((a, b) => b[1] - a[1]);

function attentionLine(board, found, lead, kind) {
  const group = board.group();
  const heads = board.ui.head < 0 ? `mean of ${group.heads} heads` : `head ${board.ui.head + 1} of ${group.heads}`;
  const words = [];
  for (const [key, share] of byValue(found.shares)) {
    if (words.length) words.push(" \u00b7 ");
    if (found.single) words.push(`${board.nameOf(key)} `, { strong: fine(share) });
    else {
      const index = argmax(found.values[key]);
      words.push("strongest ", tokenName(board, { modality: key, index }), " ", { strong: fine(found.values[key][index]) });
    }
  }
  const unit = { row: found.single ? "shares of one row" : "each map its own softmax", column: "mean weight per query token" };
  const mean = found.single ? "shares of the mean row" : "mean rows, each map its own softmax";
  return [...lead, ...words, { quiet: ` (${kind === "mean" ? mean : unit[kind]}, ${group.label}, ${heads})` }];
}

function attentionLook(board) {
  const { ui } = board;
  const group = board.group();
  const token = board.active();
  let found, line;
  if (token) {
    const name = { strong: tokenName(board, token) };
    const towards = ui.direction === "to";
    found = towards ? attended(group, ui.head, token) : attendedBy(group, ui.head, token);
    const verb = towards ? " attends to: " : " is attended by: ";
    line = found.empty
      ? [name, { quiet: towards ? ` asks nothing at ${group.label}: its modality is only read there.` : ` is not read by any token at ${group.label}.` }]
      : attentionLine(board, found, [name, verb], towards ? "row" : "column");
  } else if (group.maps.some((map) => map.query === "cls")) {
    found = attended(group, ui.head, { modality: "cls", index: 0 });
    line = attentionLine(board, found, ["The ", { strong: "summary token" }, " (cls) attends to: "], "row");
  } else {
    found = meanOverQueries(group, ui.head);
    line = attentionLine(board, found, [`Mean over all ${found.count} query tokens: `], "mean");
  }
  const shown = MODALITIES.filter((m) => found.values[m]);
  const most = Object.fromEntries(shown.map((m) => [m, largest(found.values[m])]));
  const common = Math.max(0, ...Object.values(most));
  const scales = found.single ? Object.fromEntries(shown.map((m) => [m, common])) : most;
  const comparable = found.single || shown.length === 1;
  return { kind: "attention", values: found.values, scales, common: comparable ? common : null, line };
}

function attributionLook(board) {
  const chosen = board.attribution();
  const token = board.active();
  const known = Object.entries(chosen.scores).filter(([m]) => board.axis(m));
  const values = Object.fromEntries(known.map(([m, scores]) => [m, scores.map((score) => score ?? 0)])); // null: not finite
  const common = Math.max(0, ...Object.values(values).map(largest));
  const scales = Object.fromEntries(Object.keys(values).map((m) => [m, common]));
  const complete = chosen.error === null ? "" : `, completeness error ${plain(100 * chosen.error, 1)} %`;
  const from = { quiet: ` (${chosen.method}, ${chosen.seam} seam, baseline ${chosen.baseline}${complete})` };
  const target = { strong: chosen.target };
  let line;
  if (token && chosen.scores[token.modality]?.[token.index] === null) {
    line = [{ strong: tokenName(board, token) }, " has no finite score", from];
  } else if (token && values[token.modality]) {
    const score = values[token.modality][token.index] || 0;
    const side = Math.abs(score) < 5e-5 ? "for or against " : score > 0 ? "for " : "against ";
    line = [{ strong: tokenName(board, token) }, " ", { strong: Math.abs(score) < 5e-5 ? "0.00" : signed(score, decimals(score)) }, ` logits, ${side}`, target, from];
  } else {
    line = ["Signed scores to the logit of ", target, ", summed: "];
    Object.entries(values).forEach(([m, scores], i) =>
      line.push(`${i ? " \u00b7 " : ""}${board.nameOf(m)} `, { strong: signed(total(scores)) }),
    );
    line.push(from);
  }
  return { kind: "attribution", values, scales, common, line };
}

// { kind, values: {modality: numbers}, scales: {modality: the value of full colour}, common, line }
function lookAt(board) {
  if (board.ui.view === "attention" && board.group()) return attentionLook(board);
  if (board.ui.view === "attribution" && board.attribution()) return attributionLook(board);
  return { kind: "none", values: {}, scales: {}, common: null, line: [] };
}

// Colour and strength of one token: for (blue) above zero, against (orange) below.
function shade(look, modality, index, colours) {
  const value = look.values[modality]?.[index] ?? 0;
  const scale = look.scales[modality] || 0;
  const alpha = scale > 0 ? Math.min(1, Math.abs(value) / scale) : 0;
  return { value, alpha, colour: value < 0 ? colours[1] : colours[0] };
}
