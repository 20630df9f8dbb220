// The audio lane: waveform and spectrogram under the same frames, and a player.

const WAVE = 54;
const MEL = 92;

// The clip and its player belong to the board; every pane draws them.
function loadClip(board) {
  const { audio } = board.data;
  loadPicture(board);
  if (board.player) board.player.onplay = board.player.onpause = board.player.onended = null;
  board.player?.pause();
  board.player = null;
  board.melInk = null;
  if (!audio) return;
  board.peaks = new Int8Array(bytes(audio.peaks).buffer);
  board.player = new Audio(audio.src);
  board.player.preload = "auto";
  board.player.onplay = board.player.onpause = board.player.onended = () => paintPlayer(board);
}

function buildAudio(pane) {
  const { board } = pane;
  const { audio } = board.data;
  const lane = pane.lane("audio");
  const clip = lane.querySelector(".clip");
  lane.querySelector(".playhead").hidden = true;
  if (!audio) return;
  const secondAt = (event) => {
    const area = clip.getBoundingClientRect();
    return ((event.clientX - area.left) / area.width) * audio.seconds;
  };
  const tokenAt = (event) => {
    const second = secondAt(event);
    const index = (pane.axis("audio")?.spans ?? []).findIndex(([a, b]) => second >= a && second < b);
    return index < 0 ? null : { modality: "audio", index };
  };
  clip.onpointermove = (event) => pane.hover(tokenAt(event));
  clip.onpointerleave = () => pane.hover(null);
  clip.onclick = (event) => {
    if (tokenAt(event)) pane.pin(tokenAt(event));
  };
  clip.ondblclick = (event) => playFrom(board, secondAt(event));
  walkable(pane, clip, "audio", () => 10);
  lane.querySelector(".toggle").onclick = () => {
    if (!board.player.paused) board.player.pause();
    else playFrom(board, board.player.currentTime < audio.playable - 0.05 ? board.player.currentTime : 0);
  };
  lane.querySelector(".from").onclick = () => playFrom(board, pinnedSecond(board));
  const scroll = lane.querySelector(".scroll");
  scroll.onscroll = () => board.panes.forEach((other) => (other.lane("audio").querySelector(".scroll").scrollLeft = scroll.scrollLeft));
  for (const button of lane.querySelectorAll("[data-zoom]"))
    button.onclick = () => zoomTo(board, board.ui.zoom * (button.dataset.zoom === "in" ? 2 : 0.5));
}

const CLOSEST = 8;

// Keep the second in the middle of what is seen where it is.
function zoomTo(board, zoom) {
  const scrolls = board.panes.map((pane) => pane.lane("audio").querySelector(".scroll"));
  const middle = scrolls.map((s) => (s.scrollLeft + s.clientWidth / 2) / s.scrollWidth);
  board.ui.zoom = Math.min(CLOSEST, Math.max(1, zoom));
  board.panes.forEach(paintZoom);
  board.drawNow();
  scrolls.forEach((s, i) => (s.scrollLeft = middle[i] * s.scrollWidth - s.clientWidth / 2));
}

function paintZoom(pane) {
  const { zoom } = pane.board.ui;
  const { audio } = pane.board.data;
  const lane = pane.lane("audio");
  const box = lane.querySelector(".zoom");
  box.hidden = !audio || audio.seconds < 2 || pane.role === "difference";
  box.querySelector(".caption").textContent = `${zoom}\u00d7`;
  box.querySelector('[data-zoom="out"]').disabled = zoom <= 1;
  box.querySelector('[data-zoom="in"]').disabled = zoom >= CLOSEST;
  for (const part of lane.querySelectorAll(".clip, .seconds")) part.style.width = `${100 * zoom}%`;
  if (!audio) return;
  const ticks = Math.min(5 * zoom, Math.max(2, Math.floor(audio.seconds / 0.4) + 1));
  put(
    lane.querySelector(".seconds"),
    ...[...Array(ticks).keys()].map((i) => el("span", "", `${plain((audio.seconds * i) / (ticks - 1), 1)}${i ? "" : " s"}`)),
  );
}

const pinnedSecond = (board) => (board.ui.pin?.modality === "audio" ? (board.main().axis("audio")?.spans[board.ui.pin.index]?.[0] ?? null) : null);

function playFrom(board, second) {
  board.player.currentTime = second ?? 0;
  board.player.play().catch(() => paintPlayer(board));
}

function paintPlayer(board) {
  const { player } = board;
  if (!player) return;
  const second = pinnedSecond(board);
  for (const pane of board.panes) {
    const lane = pane.lane("audio");
    const toggle = lane.querySelector(".toggle");
    toggle.hidden = pane.role === "difference";
    toggle.textContent = player.paused ? "\u25b6 play" : "\u275a\u275a pause";
    toggle.setAttribute("aria-label", player.paused ? "Play the audio" : "Pause the audio");
    const from = lane.querySelector(".from");
    from.hidden = second === null || pane.role !== "main";
    if (second !== null) from.textContent = `\u25b6 play from here (${plain(second, 2)} s)`;
  }
  const follow = () => {
    if (board.player !== player) return;
    for (const pane of board.panes) {
      const head = pane.lane("audio").querySelector(".playhead");
      head.hidden = player.paused && player.currentTime === 0;
      const at = Math.min(1, player.currentTime / board.data.audio.seconds);
      head.style.transform = `translateX(${at * (head.parentElement.clientWidth - 2)}px)`;
    }
    board.following = !player.paused && board.alive ? requestAnimationFrame(follow) : 0;
  };
  cancelAnimationFrame(board.following); // one loop, however often this is painted
  follow();
}

// The spectrogram in the theme's ink, painted once: loud is dark on a light theme and light on a dark one.
function melInk(board) {
  const { spectrogram } = board.data.audio;
  if (!spectrogram || board.melInk) return board.melInk;
  const { rows, columns } = spectrogram;
  const canvas = el("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const image = new ImageData(columns, rows);
  const levels = bytes(spectrogram.data);
  for (let i = 0; i < levels.length; i++) {
    image.data.set(board.colours.text, 4 * i);
    image.data[4 * i + 3] = Math.round(levels[i] * 0.85);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  board.melInk = canvas;
  return canvas;
}

function drawWave(board, pen, width) {
  const columns = board.peaks.length / 2;
  pen.fillStyle = css(board.colours.text, 0.55);
  const middle = WAVE / 2;
  const step = 3;
  for (let x = 0; x < width; x += step) {
    const [from, to] = [Math.floor((x / width) * columns), Math.max(1, Math.ceil(((x + step) / width) * columns))];
    let [low, high] = [0, 0];
    for (let i = from; i < Math.min(to, columns); i++) {
      low = Math.min(low, board.peaks[i]);
      high = Math.max(high, board.peaks[columns + i]);
    }
    const [top, bottom] = [middle - (high / 127) * (middle - 2), middle - (low / 127) * (middle - 2)];
    pen.fillRect(x, top, 1.6, Math.max(1, bottom - top));
  }
}

function drawAudio(pane, look) {
  const { board } = pane;
  const { audio } = board.data;
  const clip = pane.lane("audio").querySelector(".clip");
  if (!audio || clip.hidden) return;
  const width = clip.clientWidth;
  const wave = canvasOf(clip.querySelector(".wave"), width, WAVE);
  drawWave(board, wave, width);
  const melCanvas = clip.querySelector(".mel");
  const ink = melInk(board);
  melCanvas.hidden = !ink;
  const mel = ink ? canvasOf(melCanvas, width, MEL) : null;
  if (mel) mel.drawImage(ink, 0, 0, (width * audio.spectrogram.seconds) / audio.seconds, MEL);
  const spans = pane.axis("audio")?.spans ?? [];
  const [active, pin] = [pane.token(board.active()), pane.token(board.ui.pin)];
  const edge = (second) => Math.round((Math.min(second, audio.seconds) / audio.seconds) * width);
  const blend = [board.colours.for, board.colours.against];
  for (const [pen, height] of [[wave, WAVE], [mel, MEL]].filter(([p]) => p)) {
    spans.forEach(([a, b], index) => {
      const { alpha, colour } = shade(look, "audio", index, blend);
      pen.fillStyle = css(colour, 0.66 * alpha);
      if (alpha >= 0.02) pen.fillRect(edge(a), 0, edge(b) - edge(a), height);
      const back = marked(look, "audio", index);
      pen.fillStyle = css(board.colours.back, back);
      if (back >= 0.02) pen.fillRect(edge(a), height - 5, edge(b) - edge(a), 5);
    });
    for (const token of [pin, active])
      if (token?.modality === "audio" && spans[token.index]) {
        const [a, b] = spans[token.index].map(edge);
        pen.strokeStyle = css(board.colours.accent);
        pen.lineWidth = 2;
        pen.strokeRect(a + 1, 1, Math.max(2, b - a - 2), height - 2);
      }
  }
}
