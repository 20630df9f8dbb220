// Times in the page: from a click to the next painted frame, and from the message to the server's last answer.

(() => {
  const Plain = window.WebSocket;
  window.wire = { sent: 0, got: 0 };
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", () => (window.wire.got = performance.now()));
    }
    send(data) {
      window.wire.sent ||= performance.now();
      super.send(data);
    }
  };
})();

function deep(selector, root = document) {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const node of root.querySelectorAll("*")) {
    const inside = node.shadowRoot && deep(selector, node.shadowRoot);
    if (inside) return inside;
  }
  return null;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Resolves in the task after the next frame was drawn.
const painted = () =>
  new Promise((done) =>
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => done(performance.now());
      port2.postMessage(0);
    }),
  );

async function quiet(ms) {
  while (!window.wire.sent || performance.now() - Math.max(window.wire.sent, window.wire.got) < ms) await sleep(10);
}

// Click each of `selectors` in turn, `times` in all: milliseconds to paint and milliseconds of the server.
async function drive(selectors, times, pause) {
  const out = [];
  for (let i = 0; i < times; i++) {
    window.wire.sent = window.wire.got = 0;
    const started = performance.now();
    deep(selectors[i % selectors.length]).click();
    const seen = await painted();
    await quiet(250);
    out.push({ paint: seen - started, server: window.wire.got - window.wire.sent });
    await sleep(pause * (0.5 + Math.random()));
  }
  return out;
}

// Move the pointer over a token: milliseconds to paint.
async function hovering(selectors, times) {
  const out = [];
  for (let i = 0; i < times; i++) {
    const node = deep(selectors[i % selectors.length]);
    const started = performance.now();
    node.dispatchEvent(new PointerEvent("pointerover", { bubbles: true, composed: true }));
    out.push((await painted()) - started);
    await sleep(30);
  }
  return out;
}

window.drive = drive;
window.hovering = hovering;
