// The events below the curve: a line each, and a card with what it rests on.
import { button, clock, make, url } from "./parts.js";

export class Events {
  // seek(t, tracks), play(start, end, tracks).
  constructor(seek, play) {
    Object.assign(this, { seek, play, data: null });
    this.verdict = make("h2", { class: "tv-verdict" });
    this.warning = make("p", { class: "tv-warning", hidden: true });
    this.list = make("ol", { class: "tv-events", "aria-label": "Events" });
    this.paths = make("details", { class: "tv-fold", hidden: true, ontoggle: () => this.path() }, make("summary", {}, "Ways of the tracks"));
    this.root = make("section", { class: "tv-found", "aria-label": "What was found" }, this.verdict, this.warning, this.list, this.paths);
  }

  show(data) {
    const open = [...this.list.querySelectorAll("[aria-expanded=true]")].map((b) => b.dataset.event);
    const other = this.data?.id !== data?.id;
    this.data = data;
    this.verdict.textContent = "";
    this.warning.hidden = true;
    this.list.replaceChildren();
    this.paths.hidden = !data?.events.some((e) => e.track_ids.length);
    if (other) this.paths.open = false;
    this.paths.querySelector("img")?.remove();
    if (this.paths.open) this.path();
    if (!data) return;
    const count = data.events.length;
    this.verdict.textContent = count
      ? `${count === 1 ? "1 event" : `${count} events`} above the alarm level`
      : `Nothing reaches the alarm level (highest score ${(data.peak_score ?? 0).toFixed(2)} of ${data.threshold.toFixed(2)})`;
    this.warning.hidden = !data.doubt;
    this.warning.textContent = data.doubt;
    const shown = count ? data.events : data.suspects;
    this.list.replaceChildren(...shown.map((e) => this.line(e, count > 0)));
    if (!other) for (const id of open) this.list.querySelector(`[data-event="${id}"]`)?.click();
  }

  line(e, alarm) {
    const id = `tv-card-${e.id}`;
    const card = make("div", { class: "tv-card", id, hidden: true, role: "group", "aria-label": `Event ${e.id}` });
    const head = make("button", { type: "button", class: "tv-event", "data-event": e.id,
      ...(alarm ? { "aria-expanded": "false", "aria-controls": id } : {}),
      onclick: (click) => { if (click.isTrusted) this.seek(e.peak_s, e.track_ids.slice(0, 1)); if (alarm) this.card(head, card, e); } },
      make("span", { class: "tv-swatch", style: `background:${alarm ? e.colour : "#888"}` }),
      make("span", { class: "tv-when" }, `${clock(e.start_s)} – ${clock(e.end_s)}`),
      make("span", { class: "tv-what" }, alarm ? e.category : "least usual moment, no alarm"),
      make("span", { class: "tv-who" }, [...e.what].join(", ") + (e.motion ? ` ${e.motion}` : "")),
      make("span", { class: "tv-score", title: "Score" }, e.score.toFixed(2)));
    return make("li", {}, head, card);
  }

  // What an event rests on, below its line; a second click shuts it.
  card(head, card, e) {
    card.hidden = !card.hidden;
    head.setAttribute("aria-expanded", String(!card.hidden));
    if (card.hidden || card.childElementCount) return;
    const kept = make("span", { role: "status" });
    const judge = async (right) => {
      const answer = await fetch(url(`case/${this.data.id}/event/${e.id}`), { method: "POST", body: JSON.stringify({ right }) });
      kept.textContent = answer.ok ? "Kept." : (await answer.json()).error;
    };
    const kind = e.kind_sure ? ` (${Math.round(100 * e.kind_sure)} % likely)` : e.kind === "unspecified" && e.category.startsWith("unusual") ? ", kind unspecified" : "";
    const facts = [["Category", e.category + kind + (e.label_share ? ` (what was followed: ${Math.round(100 * e.label_share)} % sure)` : "")], ["Strongest at", clock(e.peak_s)], ["Score", `${e.score.toFixed(2)} (alarm at ${this.data.threshold.toFixed(2)})`],
      ["Raised by", e.raised_by.join(", ")], ["Tracks", e.track_ids.join(", ") || "none"], ["Said by", this.data.said_by]];
    card.append(
      make("img", { src: url(`case/${this.data.id}/event/${e.id}.jpg?v=${this.data.version}`), loading: "lazy",
        alt: `The frame at ${clock(e.peak_s)}${e.what.length ? ` with ${e.what.join(" and ")}` : ""}; over it heat, boxes and, in white, the edge of the hottest place` }),
      make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
      make("p", { class: "tv-judge" },
        button("Play it", () => this.play(e.start_s, e.end_s, e.track_ids.slice(0, 1)), { "aria-label": `Play event ${e.id}` }),
        make("span", {}, "Is it right?"),
        button("Yes", () => judge(true), { "aria-label": `Event ${e.id} is right` }),
        button("No", () => judge(false), { "aria-label": `Event ${e.id} is wrong` }), kept));
  }

  ways() {
    const told = this.data.events.filter((e) => e.track_ids.length).map((e) => `track ${e.track_ids[0]} (${e.category}) ${e.motion || "stays"}`);
    return `The ways that the tracks took through the picture: ${[...new Set(told)].join("; ")}`;
  }

  path() {
    if (!this.paths.open || this.paths.querySelector("img") || !this.data) return;
    this.paths.append(make("img", { src: url(`case/${this.data.id}/trajectory.jpg?v=${this.data.version}`), alt: this.ways() }));
  }
}
