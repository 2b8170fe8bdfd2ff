// The page: it receives samples, draws them, and makes changes.

import * as actions from "./actions.js";
import * as cables from "./cables.js";
import { cards, jacks, make, render, whenScrolled } from "./cards.js";
import { boxes, chainMap, comparePorts, jackKey, mergePatch, proofText, short } from "./model.js";

const byId = (id) => document.getElementById(id);
const [panel, root, links] = [byId("panel"), byId("cards"), byId("links")];
const PORT_TYPES = ["ring", "vhost", "tap", "nullpmd", "pcap", "memif"];
let sample = {};
let selected = null; // {name, port}
let selectedChain = null;
let scheduled = false;
let mustPlace = true;
/** Milliseconds that the last frames took, for tests. */
window.frameTimes = [];

// ---- samples

function connect() {
  const source = new EventSource("/v1/live/stream");
  source.addEventListener("sample", (event) => {
    sample = mergePatch({}, JSON.parse(event.data));
    status("live", "live");
    schedule();
  });
  source.addEventListener("change", (event) => {
    mergePatch(sample, JSON.parse(event.data));
    schedule();
  });
  source.onerror = () => {
    status("lost", "no connection to the controller; trying again …");
    document.body.classList.add("stale");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
}

function status(kind, text) {
  byId("link").className = kind;
  byId("link").textContent = text;
  document.body.classList.toggle("stale", kind !== "live");
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

function draw() {
  scheduled = false;
  const began = performance.now();
  const found = boxes(sample).filter(matches);
  const chains = chainMap(sample);
  if (selected && !sample.processes?.[selected.name]?.ports[selected.port]) select(null);
  const moved = render(root, found, handlers);
  drawChains();
  if (moved || mustPlace || chainsMoved(chains)) cables.place(panel, links, chains, handlers);
  mustPlace = false;
  cables.update(selectedChain);
  drawSummary(found);
  byId("empty").hidden = found.length > 0;
  byId("undo").disabled = actions.nextUndo() === null;
  byId("undo").title = actions.nextUndo() ? `Undo: ${actions.nextUndo()} (Ctrl+Z)` : "Nothing to undo";
  window.frameTimes.push(performance.now() - began);
  if (window.frameTimes.length > 100) window.frameTimes.shift();
}

let chainsBefore = "";
function chainsMoved(chains) {
  const now = JSON.stringify([[...chains.colours], chains.links]);
  const moved = now !== chainsBefore;
  chainsBefore = now;
  return moved;
}

function matches(box) {
  const text = byId("filter").value.trim().toLowerCase();
  if (!text) return true;
  const chains = Object.values(sample.chains ?? {}).filter((c) => c.legs.some((leg) => leg.process === box.name));
  return [box.name, box.part?.name ?? "", box.state, ...box.ports, ...box.ports.map(box.shown), ...chains.map((c) => c.name)].some((word) => word.toLowerCase().includes(text));
}

// ---- header and chains

function drawSummary(found) {
  const ready = found.filter((box) => box.level === "ok").length;
  const bad = found.filter((box) => box.level === "bad").length;
  const session = sample.session ? `session ${sample.session} · ` : "";
  const text = `${session}${ready} of ${found.length} processes forward${bad ? ` · ${bad} failed` : ""}`;
  if (byId("summary").textContent !== text) byId("summary").textContent = text;
}

const chips = new Map();
function drawChains() {
  const chains = Object.values(sample.chains ?? {});
  for (const [name, chip] of chips) {
    if (sample.chains?.[name]) continue;
    chip.root.remove();
    chips.delete(name);
  }
  chains.forEach((chain, number) => {
    let chip = chips.get(chain.name);
    if (!chip) {
      const [state, rates, why, proof] = ["state", "rates", "why", "proof"].map((kind) => make("span", { class: kind }));
      const root = make("button", { class: "chip", onclick: () => chooseChain(chain.name) },
        make("span", { class: "name" }, chain.name), state, make("span", { class: "path" }, chain.path.join(" → ")), rates, why, proof);
      root.dataset.chain = chain.name;
      chip = { root, state, rates, why, proof };
      chips.set(chain.name, chip);
      byId("chains").append(root);
    }
    const dropping = (chain.drop_rate ?? 0) >= 0.5;
    const texts = {
      state: chain.state,
      rates: `${short(chain.forward)}/s →${chain.reverse === undefined ? "" : `  ← ${short(chain.reverse)}/s`}${chain.dropped ? `  ${short(chain.dropped)} dropped` : ""}`,
      why: chain.why[0] ?? "",
      proof: proofText(chain.proof, sample.time),
    };
    for (const [key, text] of Object.entries(texts)) {
      if (chip[key].textContent !== text) chip[key].textContent = text;
    }
    const kind = `chip c${number % 8} ${chain.state}${dropping ? " dropping" : ""}${selectedChain === chain.name ? " chosen" : ""}`;
    if (chip.root.className !== kind) chip.root.className = kind;
    chip.root.setAttribute("aria-pressed", String(selectedChain === chain.name));
  });
}

function chooseChain(name) {
  selectedChain = selectedChain === name ? null : name;
  schedule();
}

// ---- changes

/** Make a change, and show why it failed. Return whether it succeeded. */
async function attempt(what, change) {
  try {
    await change();
    schedule();
    return true;
  } catch (error) {
    message(`${what}: ${error.message}`);
    return false;
  }
}

function message(text) {
  const line = make("p", { role: "alert" }, text, make("button", { "aria-label": "Close this message", onclick: () => line.remove() }, "×"));
  byId("messages").append(line);
  setTimeout(() => line.remove(), 12000);
}

const handlers = {
  select(name, port) {
    if (!selected || selected.name === name && selected.port === port) {
      select(selected ? null : { name, port });
      return;
    }
    if (selected.name !== name) {
      message(`${shown(selected)} belongs to ${selected.name}, ${shown({ name, port })} to ${name}: a patch connects two ports of one process. Processes meet at a ring or at the port of a VM.`);
      select({ name, port });
      return;
    }
    const [process, src] = [sample.processes[name], selected.port];
    select(null);
    attempt(`patch ${src} ${port}`, () => actions.patch(process, src, port));
  },
  disconnect: (name, src, dst) => attempt(`remove ${src} → ${dst}`, () => actions.disconnect(sample.processes[name], src, dst)),
  add: (name, port) => attempt(`add ${port}`, () => actions.addPort(sample.processes[name], port)),
  toggle(name) {
    const process = sample.processes[name];
    const action = process.state === "running" ? "stop" : "start";
    attempt(`${action} ${name}`, () => actions.forward(process, action));
  },
};

/** Return the port of a place as its jack shows it. */
function shown({ name, port }) {
  return cards.get(name).box.shown(port);
}

function select(place) {
  if (selected) jacks.get(jackKey(selected.name, selected.port))?.root.classList.remove("selected");
  selected = place;
  const bar = byId("selection");
  bar.hidden = !place;
  if (!place) return;
  const process = sample.processes[place.name];
  jacks.get(jackKey(place.name, place.port))?.root.classList.add("selected");
  const text = actions.canPatch(process) ? `${shown(place)} of ${place.name} is selected: choose the port of ${place.name} to which its frames go, or` : `${place.name} is a ${process.kind}: its ports are changed at the prompt.`;
  const buttons = actions.canPatch(process) ? [make("button", { onclick: deleteSelected }, "Delete port")] : [];
  bar.replaceChildren(make("span", {}, text), ...buttons, make("button", { onclick: () => select(null) }, "Cancel"));
}

function deleteSelected() {
  const { name, port } = selected;
  select(null);
  attempt(`delete ${port}`, () => actions.deletePort(sample.processes[name], port));
}

function undoLast() {
  const label = actions.nextUndo();
  if (label) attempt(`undo ${label}`, actions.undo);
}

// ---- keys

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === "Escape") {
    select(null);
    if (typing) event.target.blur();
  } else if (!typing && (event.ctrlKey || event.metaKey) && event.key === "z") {
    event.preventDefault();
    undoLast();
  } else if (!typing && event.key === "/") {
    event.preventDefault();
    byId("filter").focus();
  } else if (!typing && event.key === "?") {
    byId("keys").showModal();
  } else if (!typing && selected && (event.key === "Delete" || event.key === "Backspace")) {
    deleteSelected();
  } else if (event.key.startsWith("Arrow") && event.target.dataset?.jack) {
    moveFocus(event);
  }
});

function moveFocus(event) {
  const all = [...root.querySelectorAll(".jack")];
  const here = event.target.getBoundingClientRect();
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const ahead = all.filter((jack) => {
    const rect = jack.getBoundingClientRect();
    return jack !== event.target && (rect.left - here.left) * dx + (rect.top - here.top) * dy > 4;
  });
  const distance = (jack) => {
    const rect = jack.getBoundingClientRect();
    const [x, y] = [rect.left - here.left, rect.top - here.top];
    return Math.abs(x * dx + y * dy) + 3 * Math.abs(x * dy + y * dx);
  };
  const next = ahead.sort((a, b) => distance(a) - distance(b))[0];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

// ---- set-up

byId("undo").addEventListener("click", undoLast);
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("filter").addEventListener("input", () => { mustPlace = true; schedule(); });
byId("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
});
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
}
if (localStorage.getItem("theme")) setTheme(localStorage.getItem("theme"));
whenScrolled(schedule);
new ResizeObserver(() => { mustPlace = true; schedule(); }).observe(root);
document.body.append(make("datalist", { id: "new-ports" }));
function suggestPorts() {
  const used = new Set([...cards.values()].flatMap((card) => card.box.ports));
  const free = (type) => `${type}:${[...Array(1000).keys()].find((n) => !used.has(`${type}:${n}`))}`;
  const rings = [...used].filter((port) => port.startsWith("ring:"));
  byId("new-ports").replaceChildren(...[...rings.sort(comparePorts), ...PORT_TYPES.map(free)].map((port) => make("option", { value: port })));
}
document.addEventListener("focusin", (event) => event.target.matches?.(".add input") && suggestPorts());
connect();
