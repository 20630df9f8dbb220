// What stands around the pictures: the class to explain, a second strategy, the link, full screen, the walk.

function choices(select, options, current) {
  const signature = JSON.stringify(options);
  if (select.dataset.options !== signature) {
    select.dataset.options = signature;
    put(
      select,
      ...options.map(([value, label]) => {
        const option = el("option", "", label);
        option.value = value;
        return option;
      }),
    );
  }
  select.value = current;
}

const USUAL = { seam: "fusion", direction: "both", map: "raw", method: "integrated_gradients" }; // not named in a link

function linkTo(board) {
  const url = new URL(window.location.href);
  url.pathname = url.pathname.replace(/(inspect|present)\/?$/, ""); // a screen is named by its part, and found at the root
  const parts = { ...board.data.link, screen: board.data.presenting ? "present" : "inspect", ...board.selection() };
  for (const [name, usual] of Object.entries(USUAL)) if (parts[name] === usual) parts[name] = "";
  for (const [name, value] of Object.entries(parts)) value ? url.searchParams.set(name, value) : url.searchParams.delete(name);
  return url.href;
}

// An upload is seen only where it was made; the operator's log and records are seen by all.
const isPrivate = (board) => Boolean(board.data.link.set) && board.data.link.set !== "log";

async function copyLink(board) {
  const [button, box] = [board.root.querySelector(".copy"), board.root.querySelector(".linkbox")];
  const link = linkTo(board);
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = isPrivate(board) ? "Copied: opens in this browser only" : "Link copied";
    setTimeout(() => (button.textContent = "Copy link"), 2500);
  } catch {
    // Browsers allow the clipboard on secure addresses only: show the link to be copied by hand.
    box.hidden = false;
    box.querySelector(".caption").textContent = isPrivate(board) ? "Opens in this browser only." : "";
    const field = box.querySelector("input");
    field.value = link;
    field.focus();
    field.select();
  }
}

function bindTools(board) {
  const at = (name) => board.root.querySelector(`[data-testid="${name}"]`);
  at("target").onchange = (event) => board.set({ target: event.target.value });
  at("beside").onchange = (event) => board.set({ beside: event.target.value });
  at("copy-link").onclick = () => copyLink(board);
  at("walk").onclick = (event) => {
    if (event.target.dataset.step) board.ask({ step: Number(event.target.dataset.step) });
  };
  const look = at("look");
  at("full-screen").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : look.requestFullscreen?.());
  look.addEventListener("fullscreenchange", () => {
    const on = Boolean(document.fullscreenElement);
    at("full-screen").textContent = on ? "Leave full screen" : "Full screen";
    board.draw();
  });
}

function paintTools(board) {
  const { data, ui } = board;
  const box = board.root.querySelector(".linkbox");
  box.hidden ||= box.querySelector("input").value !== linkTo(board); // it was the link to another view
  const card = board.strategy();
  const at = (name) => board.root.querySelector(`[data-testid="${name}"]`);
  const truth = data.record.label;
  const own = card.prediction?.top ? `own answer (${card.prediction.top})` : "own answer";
  const classes = data.classes.map((name) => [name, name === truth ? `${name} (truth)` : name]);
  choices(at("target"), [["", own], ...classes], ui.target);
  const others = data.strategies.filter((c) => c.prediction && c.name !== card.name);
  choices(at("beside"), [["", "nothing"], ...others.map((c) => [c.name, c.label])], ui.beside);
  at("beside").parentElement.hidden = others.length === 0;
  at("walk").hidden = !data.presenting || data.list.of < 2;
  at("walk").querySelector(".place").textContent = `${data.list.at} of ${data.list.of}`;
  at("copy-link").title = data.link.set ? "An upload's link opens in this browser only" : "Opens this record, strategy, token and view in another browser";
}

const TYPING = "input, textarea, select, [role=dialog], [role=combobox], [role=listbox]";
const WALKED = "[role=radiogroup], [role=group], [role=list]"; // arrows move inside these

// Escape lets a pinned token go.
function onKey(board, event) {
  const inside = event.composedPath();
  const within = (selector) => inside.some((node) => node.matches?.(selector));
  if (!board.data || event.ctrlKey || event.metaKey || event.altKey || within(TYPING)) return;
  if (event.key === "Escape" && board.ui.pin) board.pin(board.ui.pin);
  else if (!board.data.presenting || (event.key.startsWith("Arrow") && within(WALKED))) return;
  else if (present(board, event.key)) event.preventDefault();
}

// In the presenter's view arrows and page keys walk through the records, digits swap the strategy, A swaps the map.
function present(board, key) {
  const step = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[key];
  const card = /^[0-9]$/.test(key) ? board.data.strategies[(Number(key) + 9) % 10] : null; // 0 stands for the tenth
  if (step) board.ask({ step });
  else if (card?.prediction) board.choose(card.name);
  else if (key.toLowerCase() === "a") board.set({ wanted: board.main().view() === "attention" ? "attribution" : "attention" });
  else if (key.toLowerCase() === "f") board.root.querySelector(".full").click();
  else return false;
  return true;
}
