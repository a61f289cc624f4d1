// The video with what was found drawn over it: heat, boxes, and the region that a question is about.
import { between, button, clock, make } from "./parts.js";

const FLASH_MS = 1600;
const START = [0.4, 0.35, 0.6, 0.65];  // of a region that is marked by keys

export class Picture {
  // say(text): the page's line. region({t, box} or null): what the next question is about. moved(t): the video is there.
  constructor(say, region, moved) {
    Object.assign(this, { say, told: region, moved, data: null, sheets: [], region: null, marking: null, flash: null, until: null });
    this.video = make("video", { controls: true, playsinline: true, preload: "auto", "aria-label": "The video" });
    this.video.muted = true;
    this.paint = this.paint.bind(this);
    for (const name of ["seeked", "loadeddata", "timeupdate", "pause"]) this.video.addEventListener(name, this.paint);
    this.video.addEventListener("error", () => { if (this.video.currentSrc && this.data) say("This browser cannot play the file; the analysis goes on."); });
    this.canvas = make("canvas", { class: "tv-canvas", "aria-hidden": "true", onkeydown: (e) => this.key(e) });
    for (const [name, act] of [["pointerdown", "grab"], ["pointermove", "stretch"], ["pointerup", "release"], ["pointercancel", "unmark"]])
      this.canvas.addEventListener(name, (e) => this[act](e));
    this.stage = make("div", { class: "tv-stage", hidden: true }, this.video, this.canvas);
    this.heatOn = make("input", { type: "checkbox", checked: true, id: "tv-heat", onchange: this.paint });
    this.opacity = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.9, "aria-label": "Opacity of the heat", oninput: this.paint });
    this.boxesOn = make("input", { type: "checkbox", checked: true, id: "tv-boxes", onchange: this.paint });
    this.markButton = button("Mark a region", () => this.mark(), { "aria-pressed": "false" });
    this.chip = make("button", { type: "button", class: "tv-chip", hidden: true, onclick: () => { this.unmark(); this.markButton.focus(); } });
    this.tools = make("div", { class: "tv-tools", hidden: true },
      make("label", {}, this.heatOn, " Heat"), make("label", {}, this.boxesOn, " Boxes"), make("label", { class: "tv-grow" }, "Opacity ", this.opacity),
      this.markButton, this.chip);
    const tick = () => { this.paint(); this.frame(tick); };
    this.frame(tick);
  }

  frame(tick) {
    const later = this.video.requestVideoFrameCallback && !this.video.paused;
    if (later) this.video.requestVideoFrameCallback(tick);
    else setTimeout(() => requestAnimationFrame(tick), 60);
  }

  // data: of /case/ID, null for none. sheets: pictures of its heat.
  show(data, sheets) {
    this.data = data;
    this.sheets = sheets;
    this.tools.hidden = !data;
    if (data) this.stage.style.aspectRatio = `${data.size[0]} / ${data.size[1]}`;
    this.paint();
  }

  source(address, at = 0) {
    if (this.video.src === address) return;
    this.video.src = address;
    if (at) this.video.addEventListener("loadedmetadata", () => { this.video.currentTime = at; }, { once: true });
  }

  // tracks: ids whose boxes flash, drawn even where boxes are switched off.
  seek(t, tracks = []) {
    this.until = null;
    this.video.currentTime = this.data ? between(t, 0, this.data.duration_s) : t;
    this.flash = tracks.length ? { tracks, until: performance.now() + FLASH_MS } : null;
    this.stage.dataset.flash = tracks.join(" ");
    clearTimeout(this.fading);
    this.fading = setTimeout(() => { this.stage.dataset.flash = ""; this.paint(); }, FLASH_MS);
    this.stage.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  play(start, end, tracks) {
    this.seek(start, tracks);
    this.until = end;
    this.video.play();
  }

  // Tracks with a box near t.
  at(t) {
    return this.tracks().filter((track) => boxNear(track, t)).map((track) => track.id);
  }

  tracks() {
    return this.data ? (this.data.events.length ? this.data.tracks : this.data.suspects.flatMap((s) => s.tracks)) : [];
  }

  paint() {
    const { video, canvas } = this, box = canvas.getBoundingClientRect();
    if (!box.width) return;
    const scale = window.devicePixelRatio || 1, w = Math.round(box.width * scale), h = Math.round(box.height * scale);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const draw = canvas.getContext("2d"), t = video.currentTime;
    draw.clearRect(0, 0, w, h);
    if (this.until !== null && t >= this.until) { this.until = null; video.pause(); }
    if (this.data) {
      if (this.heatOn.checked) this.paintHeat(draw, this.data.heat, t, w, h);
      this.paintBoxes(draw, t, w / this.data.size[0], h / this.data.size[1], scale);
      this.moved(t);
    }
    const region = this.marking?.box || (this.region && Math.abs(this.region.t - t) < 0.5 ? this.region.box : null);
    if (region) {
      draw.setLineDash([6 * scale, 4 * scale]);
      for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
        draw.strokeStyle = colour;
        draw.lineWidth = width * scale;
        draw.strokeRect(region[0] * w, region[1] * h, (region[2] - region[0]) * w, (region[3] - region[1]) * h);
      }
      draw.setLineDash([]);
    }
  }

  paintHeat(draw, heat, t, w, h) {
    const times = heat.times_s;
    if (!times.length) return;
    let low = 0, high = times.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (times[middle] <= t + 1e-3) low = middle; else high = middle - 1; }
    if (low + 1 < times.length && times[low + 1] - t < t - times[low]) low += 1;
    if (Math.abs(times[low] - t) > 1) return;
    const sheet = this.sheets[Math.floor(low / heat.tiles)], at = low % heat.tiles;
    if (!sheet || !sheet.complete || !sheet.naturalWidth) return;
    draw.globalAlpha = Number(this.opacity.value);
    draw.imageSmoothingEnabled = true;
    // Through a canvas of its own, or smoothing would mix in the neighbouring tiles.
    this.tile ??= document.createElement("canvas");
    if (this.tile.width !== heat.columns || this.tile.height !== heat.rows) { this.tile.width = heat.columns; this.tile.height = heat.rows; }
    const small = this.tile.getContext("2d");
    small.clearRect(0, 0, heat.columns, heat.rows);
    small.drawImage(sheet, (at % heat.across) * heat.columns, Math.floor(at / heat.across) * heat.rows, heat.columns, heat.rows, 0, 0, heat.columns, heat.rows);
    draw.drawImage(this.tile, 0, 0, w, h);
    draw.globalAlpha = 1;
  }

  paintBoxes(draw, t, sx, sy, scale) {
    const flashing = this.flash && performance.now() < this.flash.until ? this.flash.tracks : [];
    for (const track of this.tracks()) {
      const flash = flashing.includes(track.id), best = boxNear(track, t);
      if (!best || !(flash || this.boxesOn.checked)) continue;
      const [, x0, y0, x1, y1] = best;
      draw.strokeStyle = "rgba(0,0,0,.7)";
      draw.lineWidth = (flash ? 9 : 4) * scale;
      draw.strokeRect(x0 * sx, y0 * sy, (x1 - x0) * sx, (y1 - y0) * sy);
      draw.strokeStyle = flash ? "#ffe14d" : this.data.events.length ? track.colour : "#bbb";
      draw.lineWidth = (flash ? 5 : 2) * scale;
      draw.strokeRect(x0 * sx, y0 * sy, (x1 - x0) * sx, (y1 - y0) * sy);
      draw.font = `${12 * scale}px system-ui, sans-serif`;
      const text = `${track.id} ${track.label}`, wide = draw.measureText(text).width + 8 * scale;
      const ty = y0 * sy > 18 * scale ? y0 * sy - 17 * scale : y0 * sy;
      const tx = Math.max(0, Math.min(x0 * sx, draw.canvas.width - wide));
      draw.fillStyle = "rgba(0,0,0,.7)";
      draw.fillRect(tx, ty, wide, 16 * scale);
      draw.fillStyle = "#fff";
      draw.fillText(text, tx + 4 * scale, ty + 12 * scale);
    }
  }

  // A region, by pointer or by keys

  mark() {
    if (this.marking) return this.unmark();
    this.video.pause();
    this.marking = { box: null };
    this.canvas.classList.add("tv-marking");
    this.canvas.removeAttribute("aria-hidden");
    for (const [name, value] of [["tabindex", "0"], ["role", "application"],
      ["aria-label", "Region of the picture. Arrow keys move it, with shift they size it, Enter takes it, Escape leaves."]]) this.canvas.setAttribute(name, value);
    this.markButton.setAttribute("aria-pressed", "true");
    this.canvas.focus({ preventScroll: true });
    this.say("Draw a box on the picture, or use the arrow keys (with shift: its size) and Enter; then ask about it.");
  }

  still() {
    this.marking = null;
    this.canvas.classList.remove("tv-marking");
    for (const name of ["tabindex", "role", "aria-label"]) this.canvas.removeAttribute(name);
    this.canvas.setAttribute("aria-hidden", "true");
    this.markButton.setAttribute("aria-pressed", "false");
  }

  unmark() {
    const had = this.region;
    this.still();
    this.region = null;
    this.chip.hidden = true;
    if (had) this.told(null);
    this.paint();
  }

  take(box) {
    const t = this.video.currentTime;
    this.still();
    this.region = { t, box };
    this.chip.hidden = false;
    this.chip.textContent = `Region at ${clock(t)} ✕`;
    this.chip.setAttribute("aria-label", `Region at ${clock(t)}; remove it`);
    this.say("The next question is about this region.");
    this.told(this.region);
    this.paint();
  }

  key(e) {
    if (!this.marking) return;
    if (e.key === "Escape") { e.preventDefault(); this.unmark(); this.markButton.focus(); return; }
    if (e.key === "Enter") { e.preventDefault(); this.take(this.marking.box || START); this.chip.focus(); return; }
    const step = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.02], ArrowDown: [0, 0.02] }[e.key];
    if (!step) return;
    e.preventDefault();
    let [x0, y0, x1, y1] = this.marking.box || START;
    if (e.shiftKey) {
      x1 = between(x1 + step[0], x0 + 0.02, 1);
      y1 = between(y1 + step[1], y0 + 0.02, 1);
    } else {
      const dx = between(step[0], -x0, 1 - x1), dy = between(step[1], -y0, 1 - y1);
      [x0, y0, x1, y1] = [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
    }
    this.marking.box = [x0, y0, x1, y1];
    const share = (v) => Math.round(100 * v);
    this.say(`Region: ${share(x0)} to ${share(x1)} % from the left, ${share(y0)} to ${share(y1)} % from the top.`);
    this.paint();
  }

  spot(e) {
    const box = this.canvas.getBoundingClientRect();
    return [between((e.clientX - box.left) / box.width, 0, 1), between((e.clientY - box.top) / box.height, 0, 1)];
  }
  grab(e) {
    if (!this.marking) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.marking.from = this.spot(e);
  }
  stretch(e) {
    if (!this.marking?.from) return;
    const [x, y] = this.spot(e), [u, v] = this.marking.from;
    this.marking.box = [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
    this.paint();
  }
  release(e) {
    if (!this.marking?.from) return;
    this.stretch(e);
    let box = this.marking.box;
    if (box[2] - box[0] < 0.01 || box[3] - box[1] < 0.01) {  // a click: a small box around it
      const [x, y] = this.marking.from;
      box = [x - 0.05, y - 0.08, x + 0.05, y + 0.08].map((value) => between(value, 0, 1));
    }
    this.take(box);
  }
}

function boxNear(track, t) {
  const boxes = track.boxes;
  if (!boxes.length || t < boxes[0][0] - 0.2 || t > boxes[boxes.length - 1][0] + 0.2) return null;
  let best = boxes[0];
  for (const b of boxes) if (Math.abs(b[0] - t) < Math.abs(best[0] - t)) best = b;
  return Math.abs(best[0] - t) > 1 ? null : best;
}
