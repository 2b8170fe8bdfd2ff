// The boxes of the processes, and the jacks of their ports. An element is changed only if its text is another.

import * as actions from "./actions.js";
import { bytes, jackKey, patchKey, patchRate, short } from "./model.js";

/** Cables of one box beyond this depth have no label, and hang no lower. */
export const MOST_LEVELS = 12;
/** Elements by the key of their box or jack. */
export const cards = new Map();
export const jacks = new Map();

/** Boxes outside the window are not updated: with 64 processes of 32 ports a frame would take 100 ms. */
let onScroll = () => {};
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const card = cards.get(entry.target.dataset.process);
    if (card) card.visible = entry.isIntersecting;
  }
  onScroll();
}, { rootMargin: "300px" });

/** Call ``update`` when other boxes come into the window. */
export function whenScrolled(update) {
  onScroll = update;
}

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setClass(element, text) {
  if (element.className === text) return false;
  element.className = text;
  return true;
}

/** Make the boxes equal to ``found``. Return whether an element was added, removed or moved, so that cables move. */
export function render(root, found, handlers) {
  let moved = false;
  const names = new Set(found.map((box) => box.name));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    for (const key of card.jackKeys.values()) jacks.delete(key);
    card.root.remove();
    observer.unobserve(card.root);
    cards.delete(name);
    moved = true;
  }
  found.forEach((box, index) => {
    let card = cards.get(box.name);
    if (!card) {
      card = makeCard(box.name, handlers);
      cards.set(box.name, card);
      moved = true;
    }
    if (root.children[index] !== card.root) {
      root.insertBefore(card.root, root.children[index] ?? null);
      moved = true;
    }
    moved = update(card, box, handlers) || moved;
  });
  return moved;
}

function makeCard(name, handlers) {
  const title = make("h2");
  const badge = make("span", { class: "badge" });
  const load = make("span", { class: "load" });
  const reason = make("p", { class: "reason" });
  const toggle = make("button", { class: "toggle", onclick: () => handlers.toggle(name) });
  const port = make("input", { list: "new-ports", placeholder: "vhost:3", size: 9, "aria-label": `New port of ${name}`, required: true });
  const form = make("form", { class: "add", onsubmit: (event) => {
    event.preventDefault();
    handlers.add(name, port.value.trim()).then((done) => done && (port.value = ""));
  } }, port, make("button", { title: "Add this port" }, "Add port"));
  const grid = make("div", { class: "jacks", role: "group", "aria-label": `Ports of ${name}` });
  const summary = make("summary");
  const list = make("ul");
  const patches = make("details", { class: "patches" }, summary, list);
  const root = make("article", { class: "card" },
    make("div", { class: "head" }, title, badge, load, toggle), reason, grid, patches, form);
  root.dataset.process = name;
  observer.observe(root);
  return { visible: true, root, title, badge, load, reason, toggle, form, grid, summary, list, patches, jackKeys: new Map(), rows: new Map(), box: null };
}

function update(card, box, handlers) {
  const { part, process } = box;
  card.box = box;
  const size = box.ports.length > 8 ? " full" : box.ports.length > 4 ? " wide" : "";
  let moved = setClass(card.root, `card ${box.level}${size}`);
  setText(card.title, part ? part.name : box.name);
  card.title.title = part ? `${part.role} ${box.name}` : box.name;
  setText(card.badge, box.state);
  const load = part && part.cpu !== undefined && part.cpu !== null ? `${Math.round(part.cpu * 100)} % ${bytes(part.memory)}` : "";
  setText(card.load, part?.restarts ? `${load} · ${part.restarts} restarts` : load);
  setText(card.reason, box.reason ?? "");
  card.reason.hidden = !box.reason;
  const usable = process !== undefined && (process.state === "running" || process.state === "idling") && actions.canPatch(process);
  setText(card.toggle, process?.state === "running" ? "Stop" : "Start");
  card.toggle.title = process?.state === "running" ? `Stop forwarding of ${box.name}` : `Start forwarding of ${box.name}`;
  card.toggle.hidden = card.form.hidden = !usable;
  moved = updateJacks(card, box, handlers) || moved;
  return updateList(card, box, handlers) || moved;
}

function updateJacks(card, box, handlers) {
  let moved = false;
  const present = new Set(box.ports);
  for (const [port, key] of card.jackKeys) {
    if (present.has(port)) continue;
    jacks.get(key)?.root.remove();
    jacks.delete(key);
    card.jackKeys.delete(port);
    moved = true;
  }
  box.ports.forEach((port, index) => {
    const key = jackKey(box.name, port);
    let jack = jacks.get(key);
    if (!jack) {
      jack = makeJack(box, port, handlers);
      jacks.set(key, jack);
      card.jackKeys.set(port, key);
      moved = true;
    }
    if (card.grid.children[index] !== jack.root) {
      card.grid.insertBefore(jack.root, card.grid.children[index] ?? null);
      moved = true;
    }
    if (card.visible) updateJack(jack, box.process.ports[port], box);
  });
  return moved;
}

function makeJack({ name, shown }, port, handlers) {
  const socket = make("span", { class: "socket" });
  const label = make("span", { class: "port" }, shown(port));
  const rx = make("span", { class: "rx" });
  const tx = make("span", { class: "tx" });
  const drop = make("span", { class: "drop" });
  const root = make("button", { class: "jack", onclick: () => handlers.select(name, port) }, label, make("span", { class: "rates" }, rx, tx), drop, socket);
  root.dataset.jack = jackKey(name, port);
  return { root, socket, rx, tx, drop, name, port, spoken: "" };
}

function updateJack(jack, row, box) {
  const known = row.rx !== undefined;
  setText(jack.rx, known ? `↓${short(row.rx_rate)}` : "");
  setText(jack.tx, known ? `↑${short(row.tx_rate)}` : "");
  const drops = (row.rx_drop ?? 0) + (row.tx_drop ?? 0);
  const dropping = (row.drop_rate ?? 0) >= 0.5;
  setText(jack.drop, drops ? `${short(drops)} dropped` : "");
  const kind = ["jack"];
  if (dropping) kind.push("dropping");
  if (!row.linked) kind.push("unlinked");
  if ((row.rx_rate ?? 0) + (row.tx_rate ?? 0) >= 0.5) kind.push("busy");
  if (jack.root.classList.contains("selected")) kind.push("selected");
  setClass(jack.root, kind.join(" "));
  const peer = row.linked ? "" : ", nothing is connected to it";
  const spoken = `Port ${box.shown(jack.port)} of ${box.name}: receives ${short(row.rx_rate)}, sends ${short(row.tx_rate)} frames a second, ${drops} dropped${peer}`;
  if (spoken !== jack.spoken) {
    jack.spoken = spoken;
    jack.root.setAttribute("aria-label", spoken);
    jack.root.title = row.rx === undefined ? jack.port : `${jack.port}\nreceived ${row.rx}, dropped ${row.rx_drop}\nsent ${row.tx}, dropped ${row.tx_drop}${peer}`;
  }
}

/** Update the list of patches, which serves keyboards, screen readers and phones. */
function updateList(card, box, handlers) {
  let moved = false;
  const wanted = new Map(box.patches.map(([src, dst]) => [patchKey(box.name, src, dst), [src, dst]]));
  for (const [key, row] of card.rows) {
    if (wanted.has(key)) continue;
    row.root.remove();
    card.rows.delete(key);
    moved = true;
  }
  for (const [key, [src, dst]] of wanted) {
    let row = card.rows.get(key);
    if (!row) {
      const rate = make("span", { class: "rate" });
      const remove = make("button", { onclick: () => handlers.disconnect(box.name, src, dst), "aria-label": `Remove the patch ${box.shown(src)} to ${box.shown(dst)} of ${box.name}` }, "Remove");
      row = { rate, remove, root: make("li", {}, make("span", {}, `${box.shown(src)} → ${box.shown(dst)}`), rate, remove) };
      card.list.append(row.root);
      card.rows.set(key, row);
      moved = true;
    }
    if (card.visible) setText(row.rate, `${short(patchRate(box.process, src))}/s`);
    row.remove.hidden = card.form.hidden;
  }
  const count = box.patches.length;
  setText(card.summary, `${count} patch${count === 1 ? "" : "es"}`);
  card.patches.hidden = count === 0;
  const deepest = Math.min(Math.max(0, ...box.levels.values()), MOST_LEVELS - 1);
  const room = `${count ? 46 + 16 * deepest : 6}px`;
  if (card.grid.style.paddingBottom !== room) {
    card.grid.style.paddingBottom = room;
    moved = true;
  }
  return moved;
}
