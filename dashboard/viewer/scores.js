// Signed scores of one class, and the difference of two strategies.

const known = (value) => value !== null && value !== undefined;
const missing = (values) => total(Object.values(values).map((scores) => scores.filter((score) => !known(score)).length));
const gapWords = (count) => (count ? [`; ${count} ${count === 1 ? "token has" : "tokens have"} no finite score and ${count === 1 ? "is" : "are"} not in the sums`] : []);

function sumWords(board, values) {
  return Object.entries(values).flatMap(([m, scores], i) => [`${i ? " \u00b7 " : ""}${board.nameOf(m)} `, { strong: signed(total(scores)) }]);
}

// Rollout and relevancy: how much of each token reaches the answer by attention, as shares of the whole.
function attentionScoresLook(pane) {
  const { board } = pane;
  const chosen = pane.attentionScores();
  if (!chosen) return { kind: "none", values: {}, most: 0, line: [WAIT.fusion] };
  const shown = Object.entries(chosen.scores).filter(([m]) => pane.axis(m));
  const whole = Math.max(1e-12, total(shown.flatMap(([, scores]) => scores)));
  const even = 1 / Math.max(1, total(shown.map(([, scores]) => scores.length)));
  const found = { values: {}, shares: {}, even: {}, single: true };
  for (const [m, scores] of shown) {
    found.values[m] = scores.map((score) => score / whole);
    found.shares[m] = total(found.values[m]);
    found.even[m] = even;
  }
  const token = pane.token(board.active());
  const share = token ? found.values[token.modality]?.[token.index] : undefined;
  const same = chosen.target === null ? "the same for every class" : `to \u201c${chosen.target}\u201d`;
  const unit = { quiet: ` (${chosen.label} through all layers, ${same}; shares of all tokens)` };
  const own = share === undefined ? null : [{ strong: tokenName(pane, token) }, " reaches the answer with ", { strong: fine(share) }, `, ${plain(share / even, 1)} \u00d7 an even share`];
  return { kind: "attention", ...liftsOf(found), weights: found.values, back: null, line: [...(own ?? ["What reaches the answer by attention: ", ...shareWords(pane, found)]), unit] };
}

function attributionLook(pane) {
  const { board } = pane;
  const chosen = pane.attribution();
  if (!chosen) return { kind: "none", values: {}, most: 0, line: [waitingFor(pane) ?? pane.waiting()] };
  const token = pane.token(board.active());
  const values = Object.fromEntries(Object.entries(chosen.scores).filter(([m]) => pane.axis(m))); // null: not finite
  const most = Math.max(0, ...Object.values(values).map(largest));
  const unit = chosen.against ? `unit: logit minus that of \u201c${chosen.against}\u201d` : "unit: logit minus the mean logit";
  const part = chosen.done < 1 ? `stopped after ${Math.round(100 * chosen.done)} % of its passes` : "";
  const facts = [chosen.method, `${chosen.seam} seam`, `baseline ${chosen.baseline}`, unit, chosen.complete, part];
  const from = { quiet: ` (${facts.filter(Boolean).join(", ")})` };
  const target = { strong: chosen.target };
  const score = token ? values[token.modality]?.[token.index] : undefined;
  let line = ["Signed scores to the logit of ", target, ", summed: ", ...sumWords(board, values), ...gapWords(missing(values)), from];
  if (score === null) line = [{ strong: tokenName(pane, token) }, " has no finite score", from];
  else if (score !== undefined) {
    const small = Math.abs(score) < 5e-5;
    const side = small ? "for or against " : score > 0 ? "for " : "against ";
    const spread = chosen.spread[token.modality]?.[token.index];
    const error = known(spread) ? ` \u00b1 ${fine(2 * spread)} (2 standard errors)` : "";
    line = [{ strong: tokenName(pane, token) }, " ", { strong: small ? "0.00" : signed(score, decimals(score)) }, `${error} logits, ${side}`, target, from];
  }
  return { kind: "attribution", values, most, line };
}

// The second strategy minus the first, token by token; only tokens that both read and score.
function differenceLook(pane) {
  const { board } = pane;
  const [first, second] = [board.panes[0], board.panes[1]];
  const [a, b] = [lookAt(first), lookAt(second)];
  if (a.kind !== b.kind || a.kind === "none") return { kind: "none", values: {}, most: 0, line: ["No difference to draw yet."] };
  const values = {};
  for (const m of MODALITIES)
    if (a.values[m] && b.values[m] && first.axis(m) === second.axis(m))
      values[m] = Array.from(b.values[m], (value, i) => (known(value) && known(a.values[m][i]) ? value - a.values[m][i] : null));
  const most = Math.max(a.kind === "attention" ? 1 : 1e-9, ...Object.values(values).map(largest));
  const unit = a.kind === "attention" ? "\u00d7 an even share" : `logits of \u201c${board.target()}\u201d`;
  const token = pane.token(board.active());
  const value = token ? values[token.modality]?.[token.index] : undefined;
  const at = value === undefined ? null : [{ strong: tokenName(pane, token) }, ...(value === null ? [" has no finite score under both"] : [" ", { strong: signed(value) }, ` ${unit}`])];
  const whole = a.kind === "attribution" ? [...sumWords(board, values), ` ${unit}`, ...gapWords(missing(values))] : ["blue: more under the second, orange: less"];
  const short = a.kind === "attention" ? "\u00d7 even share" : "logits";
  return { kind: "difference", unit: short, values, most, line: [...(at ?? whole), { quiet: ` (${second.card().label} minus ${first.card().label})` }] };
}
