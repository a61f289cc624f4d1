// What is normal before this camera: a stretch of the video, all of it, or clips of ordinary footage.
import { button, make, sent, tooLarge, url } from "./parts.js";

export class Normal {
  // learn({clips}, {start, end} or {}) and forget(): tell Python.
  constructor(learn, forget) {
    this.learn = learn;
    this.clips = [];  // {id, name}
    this.file = make("input", { type: "file", id: "tv-normal-file", multiple: true, tabindex: "-1", "aria-label": "Ordinary clips", class: "tv-unseen",
      accept: "video/*,.avi,.mkv,.mov,.ts,.flv,.wmv,.mpg", onchange: () => { const files = [...this.file.files]; this.file.value = ""; this.add(files); } });
    this.list = make("ul", { class: "tv-clips", "aria-label": "Ordinary clips" });
    this.note = make("p", { class: "tv-note", role: "status" });
    this.learnClips = button("Learn these clips", () => learn({ clips: true }), { hidden: true });
    this.root = make("div", { class: "tv-root" },
      make("p", {}, "Ordinary footage of this camera makes the alarm level mean something: at least 25 seconds where nothing happens. Drag along the curve for a stretch of the video, or give clips."),
      make("div", { class: "tv-tools" }, button("All of this video is normal", () => learn({})), button("Add ordinary clips", () => this.file.click()), this.learnClips,
        button("Forget what was learnt", forget)),
      this.file, this.list, this.note);
  }

  async load() {
    const answer = await fetch(url("normal"));
    if (answer.ok) this.show(await answer.json());
  }

  show({ clips, learnt }) {
    this.clips = clips;
    this.note.textContent = learnt;
    this.learnClips.hidden = !clips.length;
    this.learnClips.textContent = clips.length === 1 ? "Learn this clip" : `Learn these ${clips.length} clips`;
    this.list.replaceChildren(...clips.map(({ id, name }) => make("li", {}, make("span", {}, name),
      button("✕", () => this.remove(id), { class: "tv-plain", "aria-label": `Leave ${name} out` }))));
  }

  async add(files) {
    let refused = "";
    for (const file of files) {
      refused ||= tooLarge(file);
      if (tooLarge(file)) continue;
      const { ok, answer } = await sent("normal", file, (share) => { this.note.textContent = `Opening ${file.name}: ${Math.round(100 * share)} %`; });
      if (!ok) refused ||= answer.error;
    }
    await this.load();
    if (refused) this.note.textContent = refused;
  }

  async remove(id) {
    await fetch(url(`case/${encodeURIComponent(id)}`), { method: "DELETE" });
    await this.load();
  }
}
