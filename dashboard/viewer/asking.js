// What may be asked of an attribution: method, contrast; what it costs, and the button that starts a slow one.

const QUICK = 10; // seconds that are not asked about
const USUAL_METHOD = "integrated_gradients"; // begins by itself

// A heavy strategy has costs of its own.
const costIn = (board, card, method) => (method.heavy[card.name] ?? method.cost)[board.ui.seam] ?? null;
const methodOf = (board) => board.data.methods.find((one) => one.name === board.ui.method);
const costOf = (pane) => (methodOf(pane.board) ? costIn(pane.board, pane.card(), methodOf(pane.board)) : null);
const spend = (cost) => `${cost.passes.toLocaleString("en")} passes, about ${cost.seconds < 1 ? "a second" : `${Math.round(cost.seconds)} s`} on this record`;

const isSlow = (pane, cost) => cost.seconds > QUICK && (pane.board.ui.method !== USUAL_METHOD || cost.heavy);
const startOf = (pane) => ({ strategy: pane.card().name, name: pane.board.attributionName() });
const isStarted = (pane) => pane.board.started.has(JSON.stringify(startOf(pane)));

// Whether something that takes long is being worked out for what is shown.
const isGoing = (board) =>
  board.panes.some((pane) => {
    if (pane.role === "difference") return false;
    const map = pane.view() === "attribution" && isStarted(pane) && !pane.attribution();
    return map || (pane.card().heavy && !pane.judged() && board.asked.has(JSON.stringify(testOf(pane))));
  });

// Why there is no map yet; nothing where the usual word for waiting will do.
function waitingFor(pane) {
  const { board } = pane;
  const method = methodOf(board);
  if (!method) return pane.card().heavy ? "Measuring what this takes." : null;
  const cost = costOf(pane);
  if (!cost) return `${method.label} does not work at the ${board.ui.seam} seam of this record.`;
  return isSlow(pane, cost) && !isStarted(pane) ? `Not worked out yet: ${spend(cost)}.` : `Working: ${spend(cost)}.`;
}

function paintAsking(board, attribution) {
  const { data, ui } = board;
  const at = (name) => board.root.querySelector(`[data-testid="${name}"]`);
  const offered = data.methods.filter((one) => costIn(board, board.strategy(), one) || one.name === ui.method);
  at("method").parentElement.hidden = at("against").parentElement.hidden = !attribution || offered.length < 2;
  choices(at("method"), offered.map((one) => [one.name, one.label]), ui.method);
  at("method").onchange = (event) => board.set({ method: event.target.value });
  at("method").title = offered.find((one) => one.name === ui.method)?.sentence ?? "";
  const others = data.classes.filter((name) => name !== board.target());
  choices(at("against"), [["", "the mean of all classes"], ...others.map((name) => [name, name])], board.against());
  at("against").onchange = (event) => board.set({ against: event.target.value });
  paintOffer(board, attribution);
}

// Slow ones begin when somebody says so, and end when somebody has seen enough: of all strategies that are shown.
function paintOffer(board, attribution) {
  const box = board.root.querySelector(".offer");
  const lacks = (pane) => pane.role !== "difference" && costOf(pane) && isSlow(pane, costOf(pane)) && !(pane.attribution()?.done >= 1);
  const panes = attribution ? board.panes.filter(lacks) : [];
  box.hidden = !panes.length;
  if (box.hidden) return;
  const parts = panes.map((pane) => pane.attribution()).filter(Boolean);
  const going = panes.some((pane) => isStarted(pane) && !pane.attribution());
  const stopped = (found) => `${found.method} was stopped after ${Math.round(100 * found.done)} % of its passes.`;
  const costs = panes.map((pane) => `${panes.length > 1 ? `${pane.card().label}: ` : ""}${spend(costOf(pane))}.`);
  box.querySelector("span").textContent = parts.length ? stopped(parts[0]) : costs.join(" ");
  const button = box.querySelector("button");
  button.textContent = going ? "Stop" : parts.length ? "Start again" : "Start";
  button.onclick = () => {
    for (const pane of panes) {
      board.started[going ? "delete" : "add"](JSON.stringify(startOf(pane)));
      board.ask({ [going ? "stop" : "start"]: startOf(pane) });
    }
    board.paint();
  };
}
