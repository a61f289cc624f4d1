// The left side of the page: open a video, watch it with its heat, its curve and its events. No library, nothing from
// outside. Python (chat/ui.py) says which case is shown and gets told what the person opens, chooses and marks.
import { Events } from "./events.js";
import { Normal } from "./normal.js";
import { Opening } from "./opening.js";
import { clock, make, url, worded } from "./parts.js";
import { Picture } from "./picture.js";
import { Timeline, coloured } from "./timeline.js";

const EXPORTS = { report: "Report (HTML)", pdf: "Report (PDF)", evidence: "Evidence (JSON)", transcript: "Dialogue (Markdown)", dialogue: "Dialogue (JSON)",
  srt: "SRT", vtt: "WebVTT", overlay: "Overlay video", clips: "Clips of the events (ZIP)" };

class Board {
  constructor() {
    this.version = -1;
    this.data = null;           // of /case/ID
    this.sheets = [];           // pictures of heat
    this.say = { opened() {}, chosen() {}, region() {}, learn() {}, forget() {} };
    this.note = make("p", { class: "tv-note", role: "status", "aria-live": "polite" });
    this.bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": "Progress" });
    const tell = (text, share = null) => this.tell(text, share);
    this.opening = new Opening(tell, (file) => this.before(file), (d) => this.say.opened(d), (d) => { this.version = -1; this.say.chosen(d); });
    this.opening.live = (stream) => this.live(stream);
    this.picture = new Picture(tell, (region) => this.say.region({ id: this.opening.id, t: region?.t, box: region?.box ?? null }), (t) => this.timeline.move(t));
    this.timeline = new Timeline((t) => this.picture.seek(t, this.picture.at(t)), (r) => this.propose(`What happens from ${clock(r.start)} to ${clock(r.end)}?`), (r) => this.say.learn({ ...r, id: this.opening.id }));
    this.events = new Events((t, tracks) => this.picture.seek(t, tracks), (a, b, tracks) => this.picture.play(a, b, tracks));
    this.normal = new Normal((d) => this.say.learn({ ...d, id: this.opening.id }), () => this.say.forget({}));
    this.rate = make("input", { type: "range", min: -1, max: 3, step: 0.1, value: 0, id: "tv-rate", oninput: () => this.askRate() });
    this.rateText = make("output", { for: "tv-rate" });
    this.threshold = make("div", { class: "tv-tools", hidden: true }, make("label", { for: "tv-rate" }, "False alarms to put up with"), this.rate, this.rateText);
    this.exports = make("div", { class: "tv-exports", hidden: true, role: "group", "aria-label": "Save" });
    this.about = make("p", { class: "tv-about" });
    this.panel = make("div", { id: "tv-panel", class: "tv-panel", role: "tabpanel", "aria-label": "The video and what was found" },
      this.note, this.bar, this.picture.stage, this.timeline.root, this.picture.tools, this.threshold, this.events.root, this.exports, this.about);
    this.root = make("div", { class: "tv-root" }, this.opening.root, this.panel);
    this.opening.catchDrops(this.root);
  }

  tell(text, share = null) {
    // Told aloud at the quarters only: a voice that counts seconds is in the way.
    const quarter = share === null ? null : Math.floor(4 * share);
    this.note.setAttribute("aria-live", quarter === null || quarter !== this.quarter ? "polite" : "off");
    this.quarter = quarter;
    this.note.replaceChildren(...worded(text));
    this.bar.hidden = share === null;
    if (share !== null) this.bar.value = share;
  }

  // The browser's own copy is there at once; the server's takes over when it is known to play.
  before(file) {
    this.show(null);
    this.opening.id = "";
    this.picture.stage.hidden = !file;
    if (file) this.picture.source(URL.createObjectURL(file));
  }

  live(stream) {
    if (stream) this.before(null);
    this.picture.video.srcObject = stream;
    this.picture.stage.hidden = !stream;
    if (stream) this.picture.video.play();
  }

  // What Python says: {id, version, note, share}; behind: of a video that is not the shown one.
  async take(value) {
    if (!value) return;
    if (value.normal) this.normal.load();
    if (value.cases) this.opening.setCases(value.cases, value.id ?? "");
    if (value.behind) return this.opening.working(value.id, value.share ?? null);
    if (!value.id) {
      if (value.note !== undefined) this.tell(value.note);
      if (value.cases) { this.show(null); this.picture.stage.hidden = true; }
      return;
    }
    if (value.note !== undefined) this.tell(value.note, value.share ?? null);
    if (value.id === this.opening.id && value.version === this.version) return;
    this.opening.id = value.id;
    this.version = value.version;
    this.opening.working(value.id, null);
    const answer = await fetch(url(`case/${encodeURIComponent(value.id)}`));
    const data = await answer.json();
    if (!answer.ok) return this.tell(data.error);
    if (data.id === this.opening.id) this.show(data);
  }

  show(data) {
    const other = !data || !this.data || this.data.id !== data.id || !data.events;
    const looked = other || this.data.looked !== data.looked;  // another threshold has the same heat
    this.data = data && data.events ? { ...data, events: coloured(data.events) } : null;
    this.version = data ? data.version : -1;
    for (const part of [this.threshold, this.exports]) part.hidden = !this.data;
    if (other) { this.picture.unmark(); this.sheets = []; }
    if (data?.shown) {
      const source = url(`case/${data.id}/file/${data.shown}`), video = this.picture.video;
      this.picture.source(source, other ? 0 : video.currentTime);
      if (this.timeline.preview.src !== source) this.timeline.preview.src = source;
      this.picture.stage.hidden = false;
    }
    if (this.data && looked) this.sheets = this.heat(this.data);
    this.picture.show(this.data, this.sheets);
    this.timeline.show(this.data, other);
    this.events.show(this.data);
    this.about.textContent = "";
    if (!this.data) return;
    this.rate.value = Math.log10(data.per_hour || 1);
    this.tellRate();
    this.drawExports();
    if (other) {  // the first heat is seen without a click
      const first = [...(data.events.length ? data.events : data.suspects)].sort((a, b) => b.score - a.score)[0], video = this.picture.video;
      const go = () => { video.currentTime = first ? first.peak_s : 0; };
      if (video.readyState) go(); else video.addEventListener("loadedmetadata", go, { once: true });
    }
    this.about.replaceChildren(...worded(`${data.calibration === "scene" ? "Calibrated on this camera" : "Not calibrated: judged against the clip's own frequent patterns"}; ${data.made_by}.`
      + (data.warnings.length ? ` ${data.warnings.join(" ")}` : "")));
  }

  heat(data) {
    return Array.from({ length: data.heat.pictures }, (_, n) => {
      const picture = new Image();
      picture.onload = this.picture.paint;
      picture.src = url(`case/${data.id}/file/heat-${n}.png?v=${data.looked}`);
      return picture;
    });
  }

  // A citation: t=SECONDS, e=EVENT, k=TRACK
  follow(target) {
    if (!this.data) return;
    const [kind, value] = target.split("="), number = Number(value);
    if (kind === "t") this.picture.seek(number, this.picture.at(number));
    else if (kind === "e") {
      const event = [...this.data.events, ...this.data.suspects].find((e) => e.id === number);
      if (event) this.picture.seek(event.peak_s, event.track_ids.slice(0, 1));
    } else {
      const track = [...this.data.tracks, ...this.data.suspects.flatMap((s) => s.tracks)].find((k) => k.id === number);
      if (track) this.picture.seek(track.boxes[Math.floor(track.boxes.length / 2)][0], [track.id]);
    }
  }

  // A question into its box, to be sent or changed.
  propose(question) {
    const box = document.querySelector("#tv-question textarea, #tv-question input");
    if (!box) return;
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(box), "value").set.call(box, question);
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus();
  }

  tellRate() {
    const rate = 10 ** Number(this.rate.value);
    this.rateText.textContent = `${rate < 1 ? rate.toFixed(1) : Math.round(rate)} an hour`;
    this.rate.setAttribute("aria-valuetext", this.rateText.textContent);
  }
  askRate() {
    this.tellRate();
    clearTimeout(this.later);
    this.later = setTimeout(async () => {
      const id = this.opening.id;
      const answer = await fetch(url(`case/${encodeURIComponent(id)}/threshold`), { method: "POST", body: JSON.stringify({ per_hour: 10 ** Number(this.rate.value) }) });
      const data = await answer.json();
      if (!answer.ok) this.tell(data.error);
      else if (id === this.opening.id) this.show(data);
    }, 120);
  }
  drawExports() {
    this.exports.replaceChildren(make("span", {}, "Save"), ...Object.entries(EXPORTS).filter(([kind]) => kind !== "clips" || this.data.events.length).map(([kind, name]) =>
      make("a", { href: url(`case/${this.data.id}/export/${kind}`), download: true, class: "tv-export" }, name)));
  }
}

// Gradio's button that sends a question has a picture and no name; it is drawn anew at times.
function nameAsk() {
  const box = document.querySelector("#tv-question");
  if (!box) return setTimeout(nameAsk, 100);
  const name = () => {
    for (const button of box.querySelectorAll("button:not([aria-label])")) button.setAttribute("aria-label", "Ask");
    for (const text of box.querySelectorAll(":is(textarea, input):not([aria-label])")) text.setAttribute("aria-label", "Question");
  };
  new MutationObserver(name).observe(box, { childList: true, subtree: true });
  name();
}

// Gradio's folds say by an arrow alone whether they are open.
function tellFolds() {
  const folds = document.querySelectorAll("button.label-wrap");
  if (!folds.length) return setTimeout(tellFolds, 100);
  for (const fold of folds) {
    const tell = () => fold.setAttribute("aria-expanded", String(fold.classList.contains("open")));
    fold.querySelector(".icon")?.setAttribute("aria-hidden", "true");
    if (!fold.hasAttribute("aria-expanded")) new MutationObserver(tell).observe(fold, { attributeFilter: ["class"] });
    tell();
  }
}

// An answer that comes word by word would be read out again with every word: the dialogue is hushed, and what it ends
// with is read out once it is still.
function tellAnswer() {
  const log = document.querySelector("#tv-dialogue [aria-live]");
  if (!log) return setTimeout(tellAnswer, 100);
  if (log.getAttribute("aria-live") === "off") return;
  const status = document.querySelector("#tv-answer") || document.body.appendChild(make("div", { id: "tv-answer", class: "tv-unseen", role: "status", "aria-live": "polite", "aria-atomic": "true" }));
  const last = () => [...log.querySelectorAll(".bot.message, .message.bot")].at(-1)?.innerText.trim() || "";
  let known = last(), still = 0;
  log.setAttribute("aria-live", "off");
  new MutationObserver(() => {
    clearTimeout(still);
    still = setTimeout(() => { if (last() !== known && last() !== "\u2026") status.textContent = known = last(); }, 1000);
  }).observe(log, { childList: true, subtree: true, characterData: true });
}

let board = null;
// Called by the page's own HTML parts: which part, the element to live in, what to say to Python, and how to hear of a new value.
window.tvadBoard = (part, element, say, props, watch) => {
  board ??= new Board();
  Object.assign(board.say, say);
  const root = part === "normal" ? board.normal.root : board.root;
  const place = () => {
    const home = element.querySelector(".tv-home") || element;
    if (root.parentNode === home) return;
    const held = root.contains(document.activeElement) ? document.activeElement : null;
    home.replaceChildren(root);
    held?.focus({ preventScroll: true });  // moved, it would lose the keys
  };
  place();
  if (part === "normal") { watch("value", place); board.normal.load(); return; }
  board.opening.ready();
  nameAsk();
  tellFolds();
  tellAnswer();
  watch("value", () => { place(); board.take(props.value); });
  board.take(props.value);
};
document.addEventListener("click", (e) => {
  const link = e.target.closest?.("a[href*='#']");
  const target = link?.getAttribute("href").match(/#((?:t|e|k)=[\d.]+)$/)?.[1];
  if (!target || !board) return;
  e.preventDefault();
  board.follow(target);
}, true);
