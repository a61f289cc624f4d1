// The left side of the page: open a video, watch it with its heat, its curve and its events. No library, nothing from
// outside. Python (chat/ui.py) says which case is shown and gets told what the person opens, chooses and marks.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const MB = 2 ** 20;
  const EVENT_COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }
  function drawn(tag, attributes) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  }
  function clock(t) {
    const tenths = Math.max(0, Math.round(t * 10));
    const minutes = Math.floor(tenths / 600), seconds = (tenths % 600) / 10;
    return `${minutes}:${seconds < 10 ? "0" : ""}${seconds.toFixed(1)}`;
  }
  const url = (path) => new URL(path, document.baseURI.split("#")[0].split("?")[0]).href;
  const limits = () => JSON.parse(document.querySelector("meta[name=tvad-limits]")?.content || "{}");

  class Board {
    constructor() {
      this.cases = [];            // {id, name}
      this.id = null;
      this.version = -1;
      this.data = null;           // of /case/ID
      this.sheets = [];           // pictures of heat
      this.region = null;         // {t, box} shares of the picture
      this.marking = null;
      this.say = { opened() {}, chosen() {}, region() {} };
      this.build();
      this.paint = this.paint.bind(this);
      const tick = () => { this.paint(); this.frame(tick); };
      this.frame(tick);
    }

    frame(tick) {
      const later = this.video.requestVideoFrameCallback && !this.video.paused;
      if (later) this.video.requestVideoFrameCallback(tick);
      else setTimeout(() => requestAnimationFrame(tick), 60);
    }

    // The page's parts

    build() {
      this.file = make("input", { type: "file", id: "tv-file", accept: "video/*,.avi,.mkv,.mov,.ts,.flv,.wmv,.mpg", class: "tv-hidden",
        onchange: () => this.file.files[0] && this.open(this.file.files[0]) });
      this.drop = make("label", { class: "tv-drop", for: "tv-file", tabindex: "0",
        onkeydown: (e) => (e.key === "Enter" || e.key === " ") && (e.preventDefault(), this.file.click()) },
        make("strong", {}, "Drop a video here"), make("span", {}, " or choose a file. It stays on this machine."));
      this.tabs = make("div", { class: "tv-tabs", role: "tablist", "aria-label": "Open videos" });
      this.note = make("p", { class: "tv-note", role: "status", "aria-live": "polite" });
      this.bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": "Progress" });
      this.video = make("video", { controls: true, playsinline: true, muted: true, preload: "auto", "aria-label": "The video" });
      this.video.muted = true;
      for (const name of ["seeked", "loadeddata", "timeupdate", "pause"]) this.video.addEventListener(name, () => this.paint());
      this.video.addEventListener("error", () => { if (this.video.currentSrc && this.data) this.tell("This browser cannot play the file; the analysis goes on."); });
      this.canvas = make("canvas", { class: "tv-canvas", "aria-hidden": "true" });
      for (const [name, act] of [["pointerdown", "grab"], ["pointermove", "stretch"], ["pointerup", "release"]])
        this.canvas.addEventListener(name, (e) => this[act](e));
      this.stage = make("div", { class: "tv-stage", hidden: true }, this.video, this.canvas);
      this.heatOn = make("input", { type: "checkbox", checked: true, id: "tv-heat", onchange: () => this.paint() });
      this.opacity = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.9, "aria-label": "Opacity of the heat", oninput: () => this.paint() });
      this.boxesOn = make("input", { type: "checkbox", checked: true, id: "tv-boxes", onchange: () => this.paint() });
      this.markButton = make("button", { type: "button", class: "tv-button", "aria-pressed": "false", onclick: () => this.mark() }, "Mark a region");
      this.regionChip = make("button", { type: "button", class: "tv-chip", hidden: true, onclick: () => this.unmark() });
      this.tools = make("div", { class: "tv-tools", hidden: true },
        make("label", {}, this.heatOn, " Heat"), make("label", {}, this.boxesOn, " Boxes"), make("label", { class: "tv-grow" }, "Opacity ", this.opacity),
        this.markButton, this.regionChip);
      this.line = make("div", { class: "tv-line", tabindex: "0", role: "slider", hidden: true, "aria-label": "Time; score of how unusual it is",
        onkeydown: (e) => this.key(e) });
      this.line.addEventListener("pointermove", (e) => this.hover(e));
      this.line.addEventListener("pointerleave", () => { this.tip.hidden = true; });
      this.line.addEventListener("click", (e) => this.seek(this.timeAt(e)));
      this.preview = make("video", { muted: true, preload: "auto", playsinline: true, tabindex: "-1", "aria-hidden": "true" });
      this.preview.muted = true;
      this.tipText = make("span");
      this.tip = make("div", { class: "tv-tip", hidden: true }, this.preview, this.tipText);
      this.rate = make("input", { type: "range", min: -1, max: 3, step: 0.1, value: 0, id: "tv-rate", oninput: () => this.askRate() });
      this.rateText = make("output", { for: "tv-rate" });
      this.threshold = make("div", { class: "tv-tools", hidden: true },
        make("label", { for: "tv-rate" }, "False alarms to put up with"), this.rate, this.rateText);
      this.verdict = make("p", { class: "tv-verdict" });
      this.list = make("ol", { class: "tv-events", "aria-label": "Events" });
      this.exports = make("p", { class: "tv-exports", hidden: true });
      this.about = make("p", { class: "tv-about" });
      this.root = make("div", { class: "tv-root" }, this.tabs, this.file, this.drop, this.note, this.bar, this.stage, this.line, this.tools,
        this.threshold, this.verdict, this.list, this.exports, this.about);
      this.root.addEventListener("dragover", (e) => { e.preventDefault(); this.drop.classList.add("tv-over"); });
      this.root.addEventListener("dragleave", () => this.drop.classList.remove("tv-over"));
      this.root.addEventListener("drop", (e) => {
        e.preventDefault();
        this.drop.classList.remove("tv-over");
        if (e.dataTransfer.files[0]) this.open(e.dataTransfer.files[0]);
      });
    }

    tell(text, share = null) {
      this.note.textContent = text;
      this.bar.hidden = share === null;
      if (share !== null) this.bar.value = share;
    }

    // Opening

    open(file) {
      const most = limits().upload_mb;
      if (most && file.size > most * MB) return this.tell(`${file.name} is larger than ${most} MB, the most that is taken here.`);
      this.show(null);
      // The browser's own copy is there at once; the server's takes over when it is known to play.
      this.video.src = URL.createObjectURL(file);
      this.stage.hidden = false;
      const request = new XMLHttpRequest();
      request.open("POST", url(`upload?name=${encodeURIComponent(file.name)}`));
      request.upload.onprogress = (e) => this.tell(`Opening ${file.name}`, e.total ? e.loaded / e.total : 0);
      request.onerror = () => this.tell(`${file.name} could not be opened: the connection was lost.`);
      request.onload = () => {
        let answer = {};
        try { answer = JSON.parse(request.responseText); } catch { /* not ours */ }
        this.file.value = "";
        if (request.status !== 200) {
          this.stage.hidden = true;
          return this.tell(answer.error || `${file.name} could not be opened (${request.status}).`);
        }
        this.cases.push({ id: answer.id, name: answer.name });
        this.id = answer.id;
        this.version = -1;
        this.drawTabs();
        this.tell("Opened.", 0);
        this.say.opened({ id: answer.id });
      };
      request.send(file);
    }

    drawTabs() {
      this.tabs.replaceChildren(...this.cases.map(({ id, name }) => make("button", {
        type: "button", role: "tab", "aria-selected": String(id === this.id), class: "tv-tab", title: name,
        onclick: () => { if (id !== this.id) { this.id = id; this.version = -1; this.drawTabs(); this.say.chosen({ id }); } },
      }, name)));
      this.drop.classList.toggle("tv-small", this.cases.length > 0);
    }

    // What Python says: {id, version, note, share}

    async take(value) {
      if (!value) return;
      if (value.cases) { this.cases = value.cases; }
      if (!value.id) return this.drawTabs();
      if (value.note !== undefined) this.tell(value.note, value.share ?? null);
      if (value.id === this.id && value.version === this.version) return;
      this.id = value.id;
      this.version = value.version;
      this.drawTabs();
      const answer = await fetch(url(`case/${encodeURIComponent(value.id)}`));
      const data = await answer.json();
      if (!answer.ok) return this.tell(data.error);
      if (data.id === this.id) this.show(data);
    }

    show(data) {
      const other = !data || !this.data || this.data.id !== data.id || !data.events;
      this.data = data && data.events ? data : null;
      this.version = data ? data.version : -1;
      for (const part of [this.line, this.tools, this.threshold, this.exports]) part.hidden = !this.data;
      if (other) { this.unmark(); this.sheets = []; }
      if (!data) {
        this.verdict.textContent = "";
        this.list.replaceChildren();
        this.about.textContent = "";
        return;
      }
      if (data.shown) {
        const source = url(`case/${data.id}/file/${data.shown}`);
        if (this.video.src !== source) {
          const at = other ? 0 : this.video.currentTime;
          this.video.src = source;
          this.preview.src = source;
          if (at) this.video.addEventListener("loadedmetadata", () => { this.video.currentTime = at; }, { once: true });
        }
        this.stage.hidden = false;
      }
      if (!this.data) return;
      this.stage.style.aspectRatio = `${data.size[0]} / ${data.size[1]}`;
      if (other) {
        this.sheets = Array.from({ length: data.heat.pictures }, (_, n) => {
          const picture = new Image();
          picture.onload = this.paint;
          picture.src = url(`case/${data.id}/file/heat-${n}.png`);
          return picture;
        });
      }
      this.drawLine();
      this.drawEvents();
      this.rate.value = Math.log10(data.per_hour || 1);
      this.tellRate();
      this.drawExports();
      if (other) {  // the first heat is seen without a click
        const first = [...(data.events.length ? data.events : data.suspects)].sort((a, b) => b.score - a.score)[0];
        const go = () => { this.video.currentTime = first ? first.peak_s : 0; };
        if (this.video.readyState) go(); else this.video.addEventListener("loadedmetadata", go, { once: true });
      }
      this.about.textContent = `${data.calibration === "scene" ? "Calibrated on this camera" : "Not calibrated: judged against the clip's own frequent patterns"}; ${data.made_by}.`
        + (data.warnings.length ? ` ${data.warnings.join(" ")}` : "");
      this.paint();
    }

    // The curve

    drawLine() {
      const d = this.data, w = 1000, h = 100, x = (t) => (w * t) / Math.max(d.duration_s, 1e-6), y = (s) => h - h * s;
      const chart = drawn("svg", { viewBox: `0 0 ${w} ${h}`, preserveAspectRatio: "none", "aria-hidden": "true" });
      d.events.forEach((e, n) => chart.append(drawn("rect", { x: x(e.start_s), width: Math.max(x(e.end_s) - x(e.start_s), 3), y: 0, height: h,
        class: "tv-band", fill: EVENT_COLOURS[n % EVENT_COLOURS.length] })));
      const points = d.times_s.map((t, n) => `${x(t).toFixed(1)},${y(d.scores[n]).toFixed(1)}`).join(" ");
      chart.append(drawn("polygon", { points: `0,${h} ${points} ${w},${h}`, class: "tv-area" }));
      chart.append(drawn("polyline", { points, class: "tv-curve" }));
      chart.append(drawn("line", { x1: 0, x2: w, y1: y(d.threshold), y2: y(d.threshold), class: "tv-limit" }));
      this.head = drawn("line", { x1: 0, x2: 0, y1: 0, y2: h, class: "tv-head" });
      chart.append(this.head);
      const marks = make("div", { class: "tv-marks", "aria-hidden": "true" });
      for (let n = 0; n <= 4; n++) marks.append(make("span", {}, clock((d.duration_s * n) / 4)));
      this.line.replaceChildren(chart, make("span", { class: "tv-level", style: `bottom: calc(${d.threshold} * (100% - 1.3rem) + 1.3rem)` }, "alarm"), marks, this.tip);
      this.line.setAttribute("aria-valuemin", "0");
      this.line.setAttribute("aria-valuemax", d.duration_s.toFixed(1));
    }
    scoreAt(t) {
      const times = this.data.times_s;
      let n = times.findIndex((s) => s >= t);
      if (n < 0) n = times.length - 1;
      return this.data.scores[n] ?? 0;
    }
    timeAt(e) {
      const box = this.line.getBoundingClientRect();
      return Math.min(Math.max((e.clientX - box.left) / box.width, 0), 1) * this.data.duration_s;
    }
    hover(e) {
      const t = this.timeAt(e), box = this.line.getBoundingClientRect();
      this.tip.hidden = false;
      this.tip.style.left = `${Math.min(Math.max(e.clientX - box.left, 70), box.width - 70)}px`;
      this.tipText.textContent = `${clock(t)}, score ${this.scoreAt(t).toFixed(2)}`;
      this.wanted = t;
      if (!this.waits) this.waits = setTimeout(() => { this.waits = 0; if (this.preview.src) this.preview.currentTime = this.wanted; }, 80);
    }
    key(e) {
      const step = e.shiftKey ? 5 : 1, now = this.video.currentTime;
      const to = { ArrowRight: now + step, ArrowUp: now + step, ArrowLeft: now - step, ArrowDown: now - step, Home: 0, End: this.data.duration_s }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      this.seek(to);
    }
    seek(t, track = null) {
      if (!this.data) return;
      this.video.currentTime = Math.min(Math.max(t, 0), this.data.duration_s);
      this.flash = track ? { track, until: performance.now() + 1600 } : null;
      this.stage.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }
    // A citation: t=SECONDS, e=EVENT, k=TRACK
    follow(target) {
      if (!this.data) return;
      const [kind, value] = target.split("=");
      const tracks = [...this.data.tracks, ...this.data.suspects.flatMap((s) => s.tracks)];
      if (kind === "t") return this.seek(Number(value));
      if (kind === "e") {
        const event = [...this.data.events, ...this.data.suspects].find((e) => e.id === Number(value));
        if (event) this.seek(event.peak_s, event.track_ids[0]);
      } else if (kind === "k") {
        const track = tracks.find((k) => k.id === Number(value));
        if (track) this.seek(track.boxes[Math.floor(track.boxes.length / 2)][0], track.id);
      }
    }

    // Events, threshold, exports

    drawEvents() {
      const d = this.data;
      this.verdict.textContent = d.has_anomaly
        ? `${d.events.length === 1 ? "1 event" : `${d.events.length} events`} above the alarm level`
        : `Nothing reaches the alarm level (highest score ${(d.peak_score ?? 0).toFixed(2)} of ${d.threshold.toFixed(2)})`;
      const shown = d.events.length ? d.events : d.suspects;
      this.list.replaceChildren(...shown.map((e, n) => make("li", {}, make("button", { type: "button", class: "tv-event", "aria-expanded": "false",
        onclick: (click) => { this.seek(e.peak_s, e.track_ids[0]); if (d.events.length) this.card(click.currentTarget, e); } },
        make("span", { class: "tv-swatch", style: `background:${d.events.length ? EVENT_COLOURS[n % EVENT_COLOURS.length] : "#888"}` }),
        make("span", { class: "tv-when" }, `${clock(e.start_s)} – ${clock(e.end_s)}`),
        make("span", { class: "tv-what" }, d.events.length ? e.category : "least usual moment, no alarm"),
        make("span", { class: "tv-who" }, [...e.what].join(", ") + (e.motion ? ` ${e.motion}` : "")),
        make("span", { class: "tv-score" }, e.score.toFixed(2))))));
    }
    // What an event rests on, below its line; a second click shuts it.
    card(button, e) {
      const line = button.parentNode, open = line.querySelector(".tv-card");
      button.setAttribute("aria-expanded", String(!open));
      if (open) return open.remove();
      const judged = make("span", { role: "status" });
      const judge = async (right) => {
        const answer = await fetch(url(`case/${this.data.id}/event/${e.id}`), { method: "POST", body: JSON.stringify({ right }) });
        judged.textContent = answer.ok ? "Kept." : (await answer.json()).error;
      };
      line.append(make("div", { class: "tv-card" },
        make("img", { src: url(`case/${this.data.id}/event/${e.id}.jpg`), alt: `Event ${e.id} at ${clock(e.peak_s)}: heat and boxes on the frame`, loading: "lazy" }),
        make("dl", {},
          ...[["Strongest at", clock(e.peak_s)], ["Score", `${e.score.toFixed(2)} (alarm at ${this.data.threshold.toFixed(2)})`], ["Raised by", e.raised_by.join(", ")],
            ["Tracks", e.track_ids.join(", ") || "none"], ["Said by", this.data.said_by]].flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
        make("p", { class: "tv-judge" }, "Is this right? ",
          make("button", { type: "button", class: "tv-button", onclick: () => judge(true), "aria-label": `Event ${e.id} is right` }, "👍 Yes"),
          make("button", { type: "button", class: "tv-button", onclick: () => judge(false), "aria-label": `Event ${e.id} is wrong` }, "👎 No"), judged)));
    }
    tellRate() {
      const rate = 10 ** Number(this.rate.value);
      this.rateText.textContent = `${rate < 1 ? rate.toFixed(1) : Math.round(rate)} an hour`;
    }
    askRate() {
      this.tellRate();
      clearTimeout(this.later);
      this.later = setTimeout(async () => {
        const id = this.id;
        const answer = await fetch(url(`case/${encodeURIComponent(id)}/threshold`), { method: "POST", body: JSON.stringify({ per_hour: 10 ** Number(this.rate.value) }) });
        const data = await answer.json();
        if (!answer.ok) this.tell(data.error);
        else if (id === this.id) this.show(data);
      }, 120);
    }
    drawExports() {
      const kinds = { report: "Report (HTML)", pdf: "Report (PDF)", evidence: "Evidence (JSON)", transcript: "Dialogue (Markdown)", dialogue: "Dialogue (JSON)", srt: "SRT", vtt: "WebVTT", overlay: "Overlay video" };
      this.exports.replaceChildren("Save: ", ...Object.entries(kinds).map(([kind, name]) => make("a", { href: url(`case/${this.data.id}/export/${kind}`), download: true, class: "tv-export" }, name)));
    }

    // Heat, boxes, region

    paint() {
      const { video, canvas } = this, box = canvas.getBoundingClientRect();
      if (!box.width) return;
      const scale = window.devicePixelRatio || 1, w = Math.round(box.width * scale), h = Math.round(box.height * scale);
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
      const draw = canvas.getContext("2d");
      draw.clearRect(0, 0, w, h);
      const d = this.data, t = video.currentTime;
      if (d) {
        if (this.heatOn.checked) this.paintHeat(draw, d.heat, t, w, h);
        if (this.boxesOn.checked) this.paintBoxes(draw, d, t, w / d.size[0], h / d.size[1], scale);
        this.head?.setAttribute("x1", (1000 * t) / d.duration_s);
        this.head?.setAttribute("x2", (1000 * t) / d.duration_s);
        this.line.setAttribute("aria-valuenow", t.toFixed(1));
        this.line.setAttribute("aria-valuetext", `${clock(t)}, score ${this.scoreAt(t).toFixed(2)}`);
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
    paintBoxes(draw, d, t, sx, sy, scale) {
      const all = d.events.length ? d.tracks : d.suspects.flatMap((s) => s.tracks);
      for (const track of all) {
        const boxes = track.boxes;
        if (!boxes.length || t < boxes[0][0] - 0.2 || t > boxes[boxes.length - 1][0] + 0.2) continue;
        let best = boxes[0];
        for (const b of boxes) if (Math.abs(b[0] - t) < Math.abs(best[0] - t)) best = b;
        if (Math.abs(best[0] - t) > 1) continue;
        const flash = this.flash && this.flash.track === track.id && performance.now() < this.flash.until;
        const [, x0, y0, x1, y1] = best;
        draw.strokeStyle = "rgba(0,0,0,.7)";
        draw.lineWidth = (flash ? 8 : 4) * scale;
        draw.strokeRect(x0 * sx, y0 * sy, (x1 - x0) * sx, (y1 - y0) * sy);
        draw.strokeStyle = d.events.length ? track.colour : "#bbb";
        draw.lineWidth = (flash ? 5 : 2) * scale;
        draw.strokeRect(x0 * sx, y0 * sy, (x1 - x0) * sx, (y1 - y0) * sy);
        draw.font = `${12 * scale}px system-ui, sans-serif`;
        const text = `${track.id} ${track.label}`, wide = draw.measureText(text).width + 8 * scale;
        const ty = y0 * sy > 18 * scale ? y0 * sy - 17 * scale : y0 * sy;
        draw.fillStyle = "rgba(0,0,0,.7)";
        const tx = Math.max(0, Math.min(x0 * sx, draw.canvas.width - wide));
        draw.fillRect(tx, ty, wide, 16 * scale);
        draw.fillStyle = "#fff";
        draw.fillText(text, tx + 4 * scale, ty + 12 * scale);
      }
    }
    mark() {
      if (this.marking) return this.unmark();
      this.video.pause();
      this.marking = { box: null };
      this.canvas.classList.add("tv-marking");
      this.markButton.setAttribute("aria-pressed", "true");
      this.tell("Draw a box on the picture, then ask about it.");
    }
    unmark() {
      const had = this.region;
      this.marking = this.region = null;
      this.canvas.classList.remove("tv-marking");
      this.markButton.setAttribute("aria-pressed", "false");
      this.regionChip.hidden = true;
      if (had) this.say.region({ id: this.id, box: null });
      this.paint();
    }
    spot(e) {
      const box = this.canvas.getBoundingClientRect();
      const share = (v, size) => Math.min(Math.max(v / size, 0), 1);
      return [share(e.clientX - box.left, box.width), share(e.clientY - box.top, box.height)];
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
        box = [x - 0.05, y - 0.08, x + 0.05, y + 0.08].map((value) => Math.min(Math.max(value, 0), 1));
      }
      const t = this.video.currentTime;
      this.marking = null;
      this.region = { t, box };
      this.canvas.classList.remove("tv-marking");
      this.markButton.setAttribute("aria-pressed", "false");
      this.regionChip.hidden = false;
      this.regionChip.textContent = `Region at ${clock(t)} ✕`;
      this.regionChip.setAttribute("aria-label", `Region at ${clock(t)}; remove it`);
      this.tell("The next question is about this region.");
      this.say.region({ id: this.id, t, box });
      this.paint();
    }
  }

  let board = null;
  // Called by the page's own HTML part: element to live in, what to say to Python, and how to hear of a new value.
  window.tvadBoard = (element, say, props, watch) => {
    board ??= new Board();
    Object.assign(board.say, say);
    const place = () => {
      const home = element.querySelector(".tv-home") || element;
      if (board.root.parentNode !== home) home.replaceChildren(board.root);
    };
    place();
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
})();
