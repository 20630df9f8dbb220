// The ledger: signed bars with error whiskers, the sum that adds up, and each modality alone and left out.

function ledgerBar(row, most) {
  const bar = el("span", "bar");
  const at = (value) => 50 + (50 * value) / most;
  const fill = el("i", row.value < 0 ? "against" : "for");
  fill.style.left = `${Math.min(50, at(row.value))}%`;
  fill.style.width = `${Math.abs(at(row.value) - 50)}%`;
  bar.append(fill);
  if (row.error) {
    const whisker = el("i", "whisker");
    whisker.style.left = `${at(row.value - row.error)}%`;
    whisker.style.width = `${at(row.value + row.error) - at(row.value - row.error)}%`;
    bar.append(whisker);
  }
  return bar;
}

function ledgerRow(row, most) {
  const line = el("div", `entry ${row.kind}`);
  line.append(el("span", "name", row.name));
  if (!row.present) {
    const value = el("span", "num amount muted", "absent");
    value.dataset.testid = `ledger-${row.id}`;
    line.append(el("span", "bar none"), value, el("span", ""));
    return line;
  }
  const value = el("span", "num amount", row.text);
  value.dataset.testid = `ledger-${row.id}`;
  value.dataset.value = row.value;
  line.append(ledgerBar(row, most), value, el("span", "num spread", row.spread));
  if (row.clear === false) {
    line.classList.add("unclear");
    line.append(el("span", "caption doubt", "not distinguishable from 0"));
  }
  return line;
}

function sumLine(sum) {
  const line = el("p", "sum num");
  line.dataset.testid = "ledger-sum";
  const joined = sum.parts.map((part, i) => {
    const bare = part.replace(/^[+\u2212]/, "");
    if (!i) return part.replace(/^\+/, "");
    return part[0] === "\u2212" ? ` \u2212 ${bare}` : ` + ${bare}`;
  });
  const total = el("strong", "", sum.total);
  total.dataset.testid = "ledger-total";
  const base = sum.base[0] === "\u2212" ? `(${sum.base})` : sum.base;
  const whole = (text) => el("span", "whole", text);
  line.append(`Sum ${joined.join("") || "of nothing"} = `, total, " ", whole(`= full ${sum.full} \u2212 base ${base}`));
  return line;
}

function readingCell(reading) {
  const cell = el("td", "num");
  if (!reading) {
    cell.append(el("span", "muted", "\u2013"));
    return cell;
  }
  const [mark, tone] = verdictMark(reading);
  cell.append(`${reading.top} ${plain(reading.probability)} `, el("span", `mark ${tone}`, reading.correct === null ? "" : mark));
  return cell;
}

function readingTable(rows) {
  const table = el("table", "readings");
  table.dataset.testid = "alone-without";
  const head = el("tr");
  head.append(el("th", ""), el("th", "", "alone"), el("th", "", "without it"));
  table.append(head);
  for (const row of rows) {
    const line = el("tr");
    const name = el("th", "", row.name);
    name.scope = "row";
    line.append(name, readingCell(row.alone), readingCell(row.without));
    table.append(line);
  }
  return table;
}

const EACH = "Class and probability from one modality alone, and from the others without it; means over donors.";

function accountOf(board, card) {
  const account = card.ledgers?.[board.target()];
  const column = el("div", "column");
  if (board.ui.beside) column.append(el("h4", "", card.label));
  if (!account) {
    column.append(el("p", "sentence", "No ledger: this strategy's logits for the record are not finite numbers."));
    return column;
  }
  const most = Math.max(1e-9, ...account.rows.map((row) => Math.abs(row.value) + (row.error ?? 0)));
  const entries = el("div", "entries");
  entries.append(...account.rows.map((row) => ledgerRow(row, most)));
  const numbers = el("div", "numbers");
  if (card.chance) numbers.append(el("p", "sentence", "This head is at chance level: read nothing into these numbers."));
  numbers.append(entries, sumLine(account.sum), el("p", "caption", account.caption), checkRow(account.check));
  const each = el("div", "each");
  each.append(el("h4", "", "Alone and without"), readingTable(card.readings), el("p", "caption", EACH));
  put(column, ...column.children, numbers, card.readings.length ? each : null);
  return column;
}

function paintLedger(board) {
  const card = board.strategy();
  const cards = [card, board.ui.beside ? board.named(board.ui.beside) : null].filter(Boolean);
  const account = card.ledgers?.[board.target()];
  const caption = board.root.querySelector(".account-caption");
  caption.textContent = [`to \u201c${board.target()}\u201d`, card.label, account?.unit].filter(Boolean).join(" \u00b7 ");
  put(board.root.querySelector(".account-body"), ...cards.map((c) => accountOf(board, c)));
}
