// The verdict and the strip of strategies.

function paintVerdict(board) {
  const { record } = board.data;
  const card = board.strategy();
  const answer = card.prediction;
  const at = (name) => board.root.querySelector(`[data-testid="${name}"]`);
  const caption = at("record-caption");
  caption.textContent = caption.title = record.caption;

  const headline = at("headline");
  if (!answer?.finite) put(headline, el("span", "bad", answer ? "No finite answer" : "No answer"));
  else {
    const top = el("strong", answer.correct === null || card.chance ? "top" : `top ${answer.correct ? "good" : "bad"}`, answer.top);
    top.dataset.testid = "prediction";
    const confidence = el("span", "num confidence", plain(answer.confidence));
    confidence.dataset.testid = "confidence";
    put(headline, `Predicted `, top, " ", confidence);
    if (answer.undecided) headline.append(" ", el("span", "chip quiet", "all classes alike \u2013 not an answer"));
    if (card.chance) headline.append(" ", el("span", "chip quiet", "at chance level \u2013 not an answer"));
  }

  const truth = at("truth");
  truth.textContent = record.label ?? "not known";
  const stranger = record.label !== null && !board.data.classes.includes(record.label);
  truth.previousElementSibling.textContent = stranger ? "truth, not a class" : "truth";
  truth.classList.toggle("muted", record.label === null);
  const classes = answer?.classes ?? [];
  const more = classes.slice(0, 3).map(([name, p]) => `${name} ${plain(p)}`);
  at("probabilities").textContent = more.join(" \u00b7 ");
  at("probabilities").parentElement.hidden = more.length === 0;

  at("free-answer").textContent = card.free ?? "";
  at("free-answer").parentElement.hidden = !card.free;

  const present = MODALITIES.filter(board.shows).map((m) => {
    const [has, read, name] = [record.present.includes(m), board.data.reads.includes(m), board.nameOf(m)];
    const chip = has && read ? el("span", "chip here", name) : el("span", "chip absent", has ? `${name} not read` : `no ${name}`);
    chip.dataset.modality = m;
    return chip;
  });
  put(at("present"), ...present);
  const flags = record.flags.map((flag) => el("span", "chip flag", flag));
  put(at("flags"), ...flags, ...(card.notes ?? []).map((note) => el("span", "chip quiet", note)));
  at("flags").parentElement.hidden = at("flags").childElementCount === 0;
  const judged = answer?.correct === true ? ", right" : answer?.correct === false ? ", wrong" : "";
  at("live").textContent = answer?.finite ? `${card.label}: ${answer.top} ${plain(answer.confidence)}${judged}` : "";
}

const verdictMark = (answer) => (answer?.correct === true ? ["\u2713", "good"] : answer?.correct === false ? ["\u2717", "bad"] : ["\u00b7", "muted"]);

// The class the bars of a card speak of: the one chosen for all, else the card's own answer.
const barsOf = (board, card) => card.ledgers?.[board.ui.target || card.prediction?.top] ?? null;

function paintMini(box, account) {
  box.setAttribute("aria-hidden", "true");
  put(box);
  if (!account) return;
  const rows = account.rows.filter((row) => row.kind === "modality");
  const most = Math.max(1e-9, ...rows.map((row) => Math.abs(row.value)));
  for (const row of rows) {
    const line = el("span", row.present ? "mini-row" : "mini-row gone");
    const bar = el("i", row.value < 0 ? "against" : "for");
    bar.style.width = `${(50 * Math.abs(row.value)) / most}%`;
    line.append(bar);
    box.append(line);
  }
  box.title = rows.map((row) => `${row.name} ${row.present ? row.text : "absent"}`).join(", ");
}

const WHOLE = 22; // characters of a fact that is not broken
const FEW = 4; // cards, from which on they share the width
const ROW = 10; // cards, beyond which they stand in two rows of about as many

function strategyButton(board, card) {
  const answer = card.prediction;
  const button = el("button", "strategy");
  button.type = "button";
  button.dataset.strategy = card.name;
  button.dataset.testid = `strategy-${card.name}`;
  button.setAttribute("role", "radio");
  button.append(el("span", "name", card.label));
  const line = el("span", "said");
  if (answer?.finite) {
    const [mark, tone] = card.chance ? ["\u00b7", "muted"] : verdictMark(answer);
    line.append(el("span", `mark ${tone}`, mark), el("span", "class", answer.top), el("span", "num", plain(answer.confidence)));
  } else line.append(el("span", "muted", answer ? "no finite answer" : "no answer"));
  button.append(line);
  if (card.ledgers) button.append(el("span", "mini"));
  const facts = card.chance ? ["at chance level \u2013", "not an answer"] : card.facts;
  const caption = el("span", card.chance ? "caption tight" : "caption num");
  caption.append(...facts.flatMap((fact) => [el("span", fact.length > WHOLE ? "long" : "", fact), " "]));
  if (facts.length) button.append(caption);
  if (card.chance) button.classList.add("chance");
  button.disabled = !answer;
  if (!answer) button.title = card.sentence;
  button.addEventListener("click", () => board.choose(card.name));
  return button;
}

function buildStrip(board) {
  const strip = board.root.querySelector(".strip");
  put(strip, ...board.data.strategies.map((card) => strategyButton(board, card)));
  strip.classList.toggle("few", board.data.strategies.length < FEW);
  strip.classList.toggle("rows", board.data.strategies.length > ROW);
  strip.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...strip.children].filter((button) => !button.disabled);
    const at = buttons.findIndex((button) => button.dataset.strategy === board.strategy().name);
    const to = { Home: 0, End: buttons.length - 1 }[event.key] ?? (step ? (at + step + buttons.length) % buttons.length : -1);
    if (to < 0) return;
    event.preventDefault();
    board.choose(buttons[to].dataset.strategy);
    buttons[to].focus();
  };
}

function paintStripNote(board) {
  const accounts = board.data.strategies.map((card) => barsOf(board, card)).filter(Boolean);
  const targets = new Set(accounts.map((account) => account.target));
  const to = targets.size === 1 ? `to \u201c${[...targets][0]}\u201d` : "to each strategy\u2019s own answer";
  const measured = board.data.strategies.some((card) => card.facts.some((fact) => fact.startsWith("val "))) ? " val = validation accuracy and its interval." : "";
  const order = board.data.reads.map((m) => board.nameOf(m)).join(", ");
  board.root.querySelector(".strip-note").textContent = targets.size
    ? `Bars, top to bottom: what ${order} contributed ${to}; blue for, orange against, longest = largest of that strategy.${measured}`
    : "";
}

function paintStrip(board) {
  for (const button of board.root.querySelectorAll(".strategy")) {
    const chosen = button.dataset.strategy === board.strategy().name;
    button.setAttribute("aria-checked", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    const card = board.data.strategies.find((c) => c.name === button.dataset.strategy);
    const mini = button.querySelector(".mini");
    if (mini) paintMini(mini, barsOf(board, card));
  }
  paintStripNote(board);
}
