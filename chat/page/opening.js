// Videos come in: dropped, chosen, the example, or recorded with the webcam. Each is a tab.
import { button, limits, make, sent, tooLarge, url } from "./parts.js";

const LONGEST_S = 60;  // of a recording

export class Opening {
  // say(text, share), before(file): a video is about to be sent; opened({id, behind}), chosen({id}): tell Python.
  constructor(say, before, opened, chosen) {
    Object.assign(this, { say, before, opened, chosen, cases: [], id: null, recorder: null, doing: new Map() });
    this.file = make("input", { type: "file", id: "tv-file", multiple: true, tabindex: "-1", "aria-label": "Videos", class: "tv-unseen",
      accept: "video/*,.avi,.mkv,.mov,.ts,.flv,.wmv,.mpg", onchange: () => { const files = [...this.file.files]; this.file.value = ""; this.take(files); } });
    this.choose = make("button", { type: "button", class: "tv-drop", onclick: () => this.file.click() },
      make("strong", {}, "Drop videos here"), " or choose files. ", this.where = make("span"));
    this.example = button("Example", () => this.takeExample(), { hidden: true, title: "A short clip that comes with tvad" });
    this.camera = button("Webcam", () => this.record(), { "aria-pressed": "false", title: `Record up to ${LONGEST_S} seconds` });
    this.tabs = make("div", { class: "tv-tabs", role: "tablist", "aria-label": "Open videos", hidden: true, onkeydown: (e) => this.key(e) });
    this.shut = button("✕ Close this video", () => this.close(), { class: "tv-plain", hidden: true });
    this.root = make("div", { class: "tv-opening" }, make("div", { class: "tv-tabline" }, this.tabs, this.shut), this.file,
      make("div", { class: "tv-openline" }, this.choose, this.example, this.camera));
  }

  ready() {
    const { example, elsewhere } = limits();
    this.example.hidden = !example;
    this.where.textContent = elsewhere ? `Findings and key frames go to ${elsewhere}, which words the answers.` : "They go nowhere but to this server.";
  }

  catchDrops(root) {
    root.addEventListener("dragover", (e) => { e.preventDefault(); this.choose.classList.add("tv-over"); });
    root.addEventListener("dragleave", () => this.choose.classList.remove("tv-over"));
    root.addEventListener("drop", (e) => { e.preventDefault(); this.choose.classList.remove("tv-over"); this.take([...e.dataTransfer.files]); });
  }

  // The first is shown at once, the others are looked at behind it.
  async take(files) {
    let behind = false;
    for (const file of files) {
      const refused = tooLarge(file);
      if (refused) { this.say(refused); continue; }
      if (!behind) this.before(file);
      const { ok, answer } = await sent("upload", file, (share) => this.say(`Opening ${file.name}`, share));
      if (!ok) { this.say(answer.error); if (!behind) this.before(null); continue; }
      this.add(answer, behind);
      behind = true;
    }
  }

  add(answer, behind) {
    this.cases.push({ id: answer.id, name: answer.name });
    if (!behind) { this.id = answer.id; this.say("Opened.", 0); }
    this.draw();
    this.opened({ id: answer.id, behind });
  }

  async takeExample() {
    this.before(null);
    const answer = await fetch(url("example"), { method: "POST" }), said = await answer.json();
    if (answer.ok) this.add(said, false);
    else this.say(said.error);
  }

  async record() {
    if (this.recorder) return this.recorder.stop();
    const say = (text) => { this.say(text); };
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return say("This browser gives no webcam here; it does on https:// and on this machine itself.");
    let stream;
    try { stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } }, audio: false }); }
    catch (error) { return say(error.name === "NotAllowedError" ? "The webcam was not allowed." : `There is no webcam to record with (${error.name}).`); }
    const type = ["video/webm;codecs=vp8", "video/webm", "video/mp4"].find((t) => MediaRecorder.isTypeSupported(t)), pieces = [];
    const began = new Date(), recorder = this.recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 2.5e6 });
    recorder.ondataavailable = (e) => e.data.size && pieces.push(e.data);
    recorder.onstop = () => {
      clearInterval(counting);
      for (const track of stream.getTracks()) track.stop();
      this.recorder = null;
      this.camera.setAttribute("aria-pressed", "false");
      this.camera.textContent = "Webcam";
      this.live(null);
      const name = `webcam ${began.toTimeString().slice(0, 8).replaceAll(":", ".")}.${type.includes("mp4") ? "mp4" : "webm"}`;
      this.take([new File(pieces, name, { type })]);
    };
    const counting = setInterval(() => {
      const s = Math.round((Date.now() - began) / 1000);
      this.camera.textContent = `Stop recording (${s} s)`;
      if (s >= LONGEST_S) recorder.stop();
    }, 250);
    this.live(stream);
    this.camera.setAttribute("aria-pressed", "true");
    this.camera.textContent = "Stop recording";
    this.say("Recording; press the button again to end it.");
    recorder.start(1000);
  }

  live() {}  // the board shows what is being recorded

  // Tabs

  setCases(cases, id) {
    this.cases = cases;
    if (id !== undefined) this.id = id;
    this.draw();
  }

  draw() {
    const held = this.tabs.contains(document.activeElement);
    this.tabs.hidden = this.shut.hidden = !this.cases.length;
    this.shut.hidden = !this.cases.some((c) => c.id === this.id);
    this.tabs.replaceChildren(...this.cases.map(({ id, name }) => make("button", {
      type: "button", role: "tab", "aria-selected": String(id === this.id), "aria-controls": "tv-panel", class: "tv-tab", title: name, tabindex: id === this.id ? "0" : "-1",
      onclick: () => this.pick(id),
    }, make("span", { class: "tv-tabname" }, name), make("span", { class: "tv-doing" }, this.doing.get(id) ?? ""))));
    if (held) this.tabs.querySelector("[aria-selected=true]")?.focus();
    this.choose.classList.toggle("tv-small", this.cases.length > 0);
  }

  // How far a video behind the shown one is; null: it is done.
  working(id, share) {
    if (share === null) this.doing.delete(id); else this.doing.set(id, ` ${Math.round(100 * share)} %`);
    this.draw();
  }

  pick(id) {
    if (id === this.id) return;
    this.id = id;
    this.draw();
    this.chosen({ id });
  }

  key(e) {
    const now = this.cases.findIndex((c) => c.id === this.id), last = this.cases.length - 1;
    const to = { ArrowRight: now === last ? 0 : now + 1, ArrowLeft: now <= 0 ? last : now - 1, Home: 0, End: last }[e.key];
    if (e.key === "Delete") { e.preventDefault(); this.close(); return; }
    if (to === undefined || !this.cases[to]) return;
    e.preventDefault();
    this.pick(this.cases[to].id);
    this.tabs.querySelector("[aria-selected=true]")?.focus();
  }

  async close() {
    const now = this.cases.findIndex((c) => c.id === this.id);
    if (now < 0) return;
    await fetch(url(`case/${encodeURIComponent(this.id)}`), { method: "DELETE" });
    this.cases.splice(now, 1);
    this.id = (this.cases[now] ?? this.cases[now - 1])?.id ?? "";
    this.draw();
    this.chosen({ id: this.id });
  }
}
