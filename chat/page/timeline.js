// The score over time: hover shows the frame, a click or a key seeks, a drag chooses a stretch.
import { EVENT_COLOURS, between, button, clock, drawn, make } from "./parts.js";

const W = 1000, H = 100;
const LEAST_PX = 6;  // a drag, not a click

export class Timeline {
  // seek(t); ask({start, end}) and normal({start, end}): what is done with a chosen stretch.
  constructor(seek, ask, normal) {
    Object.assign(this, { seek, data: null, t: 0, range: null, from: null });
    this.line = make("div", { class: "tv-line", tabindex: "0", role: "slider", "aria-label": "Time and score", "aria-describedby": "tv-line-help",
      onkeydown: (e) => this.key(e) });
    this.line.addEventListener("pointerdown", (e) => { if (e.button === 0) { this.from = e.clientX; this.line.setPointerCapture(e.pointerId); } });
    this.line.addEventListener("pointermove", (e) => this.hover(e));
    this.line.addEventListener("pointerup", (e) => this.release(e));
    this.line.addEventListener("pointercancel", () => { this.from = null; });
    this.line.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.preview = make("video", { preload: "auto", playsinline: true, tabindex: "-1", "aria-hidden": "true" });
    this.preview.muted = true;
    this.tipText = make("span");
    this.tip = make("div", { class: "tv-tip", hidden: true }, this.preview, this.tipText);
    this.help = make("p", { id: "tv-line-help", class: "tv-unseen" },
      "Arrow keys move by a second, with shift by five; Home and End go to the ends; square brackets set the beginning and the end of a stretch.");
    this.told = make("span");
    this.help.append(" ", this.told);
    this.rangeText = make("span");
    this.chosen = make("div", { class: "tv-tools", hidden: true, role: "group", "aria-label": "Chosen stretch" }, this.rangeText,
      button("Ask about it", () => ask(this.range)), button("This is normal: learn it", () => normal(this.range)), button("✕", () => this.choose(null), { "aria-label": "Forget the chosen stretch" }));
    this.root = make("div", { class: "tv-curve-box", hidden: true }, this.line, this.help, this.chosen);
  }

  show(data, other) {
    this.data = data;
    this.root.hidden = !data;
    if (other) this.choose(null);
    if (!data) return;
    const x = (t) => (W * t) / Math.max(data.duration_s, 1e-6), y = (s) => H - H * s;
    const chart = drawn("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    data.events.forEach((e) => chart.append(drawn("rect", { x: x(e.start_s), width: Math.max(x(e.end_s) - x(e.start_s), 3), y: 0, height: H, class: "tv-band", fill: e.colour })));
    const points = data.times_s.map((t, n) => `${x(t).toFixed(1)},${y(data.scores[n]).toFixed(1)}`).join(" ");
    chart.append(drawn("polygon", { points: `0,${H} ${points} ${W},${H}`, class: "tv-area" }));
    chart.append(drawn("polyline", { points, class: "tv-curve" }));
    chart.append(drawn("line", { x1: 0, x2: W, y1: y(data.threshold), y2: y(data.threshold), class: "tv-limit" }));
    this.span = drawn("rect", { x: 0, width: 0, y: 0, height: H, class: "tv-range" });
    this.head = drawn("line", { x1: 0, x2: 0, y1: 0, y2: H, class: "tv-head" });
    chart.append(this.span, this.head);
    const marks = make("div", { class: "tv-marks", "aria-hidden": "true" });
    for (let n = 0; n <= 4; n++) marks.append(make("span", {}, clock((data.duration_s * n) / 4)));
    this.line.replaceChildren(chart, make("span", { class: "tv-level", style: `bottom: calc(${data.threshold} * (100% - 1.3rem) + 1.3rem)`, "aria-hidden": "true" }, "alarm"), marks, this.tip);
    this.line.setAttribute("aria-valuemin", "0");
    this.line.setAttribute("aria-valuemax", data.duration_s.toFixed(1));
    this.told.textContent = this.words();
    this.choose(this.range);
    this.move(this.t);
  }

  // What the curve shows, for who does not see it.
  words() {
    const { scores, times_s, threshold, events } = this.data;
    if (!scores.length) return "There are no scores.";
    const top = scores.reduce((best, s, n) => (s > scores[best] ? n : best), 0);
    const above = events.map((e) => `${e.category} from ${clock(e.start_s)} to ${clock(e.end_s)}`).join("; ");
    return `The highest score is ${scores[top].toFixed(2)} at ${clock(times_s[top])}; the alarm level is ${threshold.toFixed(2)}. Above it: ${above || "nothing"}.`;
  }

  move(t) {
    this.t = t;
    if (!this.data || !this.head) return;
    const x = (W * t) / Math.max(this.data.duration_s, 1e-6);
    this.head.setAttribute("x1", x);
    this.head.setAttribute("x2", x);
    this.line.setAttribute("aria-valuenow", between(t, 0, this.data.duration_s).toFixed(1));
    this.line.setAttribute("aria-valuetext", `${clock(t)}, score ${this.scoreAt(t).toFixed(2)}`);
  }

  choose(range) {
    this.range = range && range.end - range.start > 0.05 ? range : null;
    this.chosen.hidden = !this.range;
    if (this.range) this.rangeText.textContent = `${clock(this.range.start)} – ${clock(this.range.end)}`;
    const x = (t) => (W * t) / Math.max(this.data?.duration_s ?? 1, 1e-6);
    this.span?.setAttribute("x", this.range ? x(this.range.start) : 0);
    this.span?.setAttribute("width", this.range ? x(this.range.end) - x(this.range.start) : 0);
  }

  scoreAt(t) {
    const times = this.data.times_s;
    let n = times.findIndex((s) => s >= t);
    if (n < 0) n = times.length - 1;
    return this.data.scores[n] ?? 0;
  }
  timeAt(x) {
    const box = this.line.getBoundingClientRect();
    return between((x - box.left) / box.width, 0, 1) * this.data.duration_s;
  }
  dragged(e) {
    if (this.from === null || Math.abs(e.clientX - this.from) < LEAST_PX) return null;
    const [start, end] = [this.timeAt(this.from), this.timeAt(e.clientX)].sort((a, b) => a - b);
    return { start, end };
  }
  hover(e) {
    const t = this.timeAt(e.clientX), box = this.line.getBoundingClientRect(), range = this.dragged(e);
    if (range) this.choose(range);
    this.tip.hidden = false;
    this.tip.style.left = `${between(e.clientX - box.left, 70, box.width - 70)}px`;
    this.tipText.textContent = `${clock(t)}, score ${this.scoreAt(t).toFixed(2)}`;
    this.wanted = t;
    if (!this.waits) this.waits = setTimeout(() => { this.waits = 0; if (this.preview.src) this.preview.currentTime = this.wanted; }, 80);
  }
  release(e) {
    if (this.from === null) return;
    const range = this.dragged(e);
    if (range) this.choose(range);
    else this.seek(this.timeAt(e.clientX));
    this.from = null;
  }
  key(e) {
    if (e.ctrlKey || e.metaKey) return;
    const step = e.shiftKey ? 5 : 1, now = this.t, last = this.data.duration_s;
    const to = { ArrowRight: now + step, ArrowUp: now + step, ArrowLeft: now - step, ArrowDown: now - step,
      PageUp: now + 5, PageDown: now - 5, Home: 0, End: last }[e.key];
    if (e.key === "[") this.choose({ start: now, end: Math.max(this.range?.end ?? last, now) });
    else if (e.key === "]") this.choose({ start: Math.min(this.range?.start ?? 0, now), end: now });
    else if (e.key === "Escape" && this.range) this.choose(null);
    else if (to === undefined) return;
    else {
      this.t = between(to, 0, last);  // at once: the next key may come before the next picture
      this.seek(this.t);
    }
    e.preventDefault();
  }
}

// One colour a category, in the order of their first events.
export function coloured(events) {
  const seen = [];
  return events.map((e) => {
    if (!seen.includes(e.category)) seen.push(e.category);
    return { ...e, colour: EVENT_COLOURS[seen.indexOf(e.category) % EVENT_COLOURS.length] };
  });
}
