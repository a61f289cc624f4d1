// Small things that every part of the page uses.
export const MB = 2 ** 20;
export const EVENT_COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];  // Okabe and Ito 2008

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function drawn(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

export function button(text, onclick, more = {}) {
  return make("button", { type: "button", class: "tv-button", onclick, ...more }, text);
}

export function clock(t) {
  const tenths = Math.max(0, Math.round(t * 10));
  const minutes = Math.floor(tenths / 600), seconds = (tenths % 600) / 10;
  return `${minutes}:${seconds < 10 ? "0" : ""}${seconds.toFixed(1)}`;
}

// Text whose `commands` are shown as such; never markup.
export const worded = (text) => text.split(/`([^`]+)`/).map((part, n) => (n % 2 ? make("code", {}, part) : part));

export const url = (path) => new URL(path, document.baseURI.split("#")[0].split("?")[0]).href;
export const limits = () => JSON.parse(document.querySelector("meta[name=tvad-limits]")?.content || "{}");
export const between = (value, low, high) => Math.min(Math.max(value, low), high);

// POST a file with its progress: {ok, status, answer}; never throws.
export function sent(path, file, onprogress) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", url(`${path}?name=${encodeURIComponent(file.name)}`));
    request.upload.onprogress = (e) => onprogress(e.total ? e.loaded / e.total : 0);
    request.onerror = () => done({ ok: false, status: 0, answer: { error: `${file.name} could not be opened: the connection was lost.` } });
    request.onload = () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* not ours */ }
      if (request.status !== 200) answer.error ??= `${file.name} could not be opened (${request.status}).`;
      done({ ok: request.status === 200, status: request.status, answer });
    };
    request.send(file);
  });
}

export function tooLarge(file) {
  const most = limits().upload_mb;
  return most && file.size > most * MB ? `${file.name} is larger than ${most} MB, the most that is taken here.` : "";
}
