// What may be asked of an attribution: method, contrast; what it costs, and the button that starts a slow one.

const QUICK = 10; // seconds that are not asked about
const USUAL_METHOD = "integrated_gradients"; // begins by itself

// A heavy strategy has costs of its own.
const costIn = (board, method) => (method.heavy[board.strategy().name] ?? method.cost)[board.ui.seam] ?? null;
const methodOf = (board) => board.data.methods.find((one) => one.name === board.ui.method);
const costOf = (board) => (methodOf(board) ? costIn(board, methodOf(board)) : null);
const spend = (cost) => `${cost.passes.toLocaleString("en")} passes, about ${cost.seconds < 1 ? "a second" : `${Math.round(cost.seconds)} s`} on this record`;

const comesByItself = (board) => board.ui.method === USUAL_METHOD && !board.strategy().heavy;
const isSlow = (board, cost) => cost.seconds > QUICK && !comesByItself(board);

// Why there is no map yet; nothing where the usual word for waiting will do.
function waitingFor(board) {
  const method = methodOf(board);
  const cost = costOf(board);
  if (method && !cost) return `${method.label} does not work at the ${board.ui.seam} seam of this record.`;
  if (!cost) return null;
  return isSlow(board, cost) && !board.started?.has(board.attributionName()) ? `Not worked out yet: ${spend(cost)}.` : `Working: ${spend(cost)}.`;
}

function paintAsking(board, attribution) {
  const { data, ui } = board;
  const at = (name) => board.root.querySelector(`[data-testid="${name}"]`);
  const offered = data.methods.filter((one) => costIn(board, one) || one.name === ui.method);
  at("method").parentElement.hidden = at("against").parentElement.hidden = !attribution || offered.length < 2;
  choices(at("method"), offered.map((one) => [one.name, one.label]), ui.method);
  at("method").onchange = (event) => board.set({ method: event.target.value });
  at("method").title = offered.find((one) => one.name === ui.method)?.sentence ?? "";
  const others = data.classes.filter((name) => name !== board.target());
  choices(at("against"), [["", "the mean of all classes"], ...others.map((name) => [name, name])], board.against());
  at("against").onchange = (event) => board.set({ against: event.target.value });
  paintOffer(board, attribution);
}

// Slow ones begin when somebody says so, and end when somebody has seen enough.
function paintOffer(board, attribution) {
  const box = board.root.querySelector(".offer");
  const name = board.attributionName();
  const found = board.main().attribution();
  const cost = costOf(board);
  const slow = cost && isSlow(board, cost);
  const going = board.started.has(name) && !found;
  box.hidden = !attribution || !slow || (found && found.done >= 1);
  if (box.hidden) return;
  const button = box.querySelector("button");
  const ask = { strategy: board.strategy().name, name };
  box.querySelector("span").textContent = found ? `${found.method} was stopped after ${Math.round(100 * found.done)} % of its passes.` : `${spend(cost)}.`;
  button.textContent = going ? "Stop" : found ? "Start again" : "Start";
  button.onclick = () => {
    going ? board.started.delete(name) : board.started.add(name);
    board.ask(going ? { stop: ask } : { start: ask });
    board.paint();
  };
}
