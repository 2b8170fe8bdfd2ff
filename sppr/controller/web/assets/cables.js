// The cables of the patches, which hang below the jacks, and the links between boxes along a chain.

import { patchKey, patchRate, short } from "./model.js";
import { cards, jacks, MOST_LEVELS } from "./cards.js";

const SVG = "http://www.w3.org/2000/svg";
const cables = new Map();

function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Place all cables and links. Read all positions before the first change, so that the browser lays the page out once. */
export function place(root, links, chains, handlers) {
  const origin = root.getBoundingClientRect();
  const centres = new Map();
  for (const [key, jack] of jacks) {
    const rect = jack.socket.getBoundingClientRect();
    if (rect.width) centres.set(key, [rect.left + rect.width / 2 - origin.left, rect.top + rect.height / 2 - origin.top]);
  }
  const wanted = new Set();
  for (const card of cards.values()) {
    const { box } = card;
    const floor = Math.max(0, ...box.ports.map((port) => centres.get(`${box.name}/${port}`)?.[1] ?? 0)) + 36;
    for (const [src, dst] of box.patches) {
      const [from, to] = [centres.get(`${box.name}/${src}`), centres.get(`${box.name}/${dst}`)];
      if (!from || !to) continue;
      const key = patchKey(box.name, src, dst);
      const level = box.levels.get(`${src} ${dst}`);
      wanted.add(key);
      draw(key, box, { src, dst, from, to }, floor + 16 * Math.min(level, MOST_LEVELS - 1), level < MOST_LEVELS, chains, handlers);
    }
  }
  for (const [key, cable] of cables) {
    if (wanted.has(key)) continue;
    cable.group.remove();
    cables.delete(key);
  }
  drawLinks(links, centres, chains.links);
}

function draw(key, box, { src, dst, from, to }, bottom, labelled, chains, handlers) {
  let cable = cables.get(key);
  if (!cable) {
    const group = makeSvg("g", { class: "cable", role: "button", tabindex: "0" });
    const hit = makeSvg("path", { class: "hit" });
    const line = makeSvg("path", { class: "line", "marker-end": "url(#tip)" });
    const label = makeSvg("text", { "text-anchor": "middle" });
    group.append(hit, line, label);
    group.addEventListener("click", () => handlers.disconnect(box.name, src, dst));
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " " || event.key === "Delete") {
        event.preventDefault();
        handlers.disconnect(box.name, src, dst);
      }
    });
    group.dataset.patch = key;
    document.getElementById("cables").append(group);
    cable = { group, hit, line, label, name: box.name, src, dst, spoken: "" };
    cables.set(key, cable);
  }
  const chain = chains.colours.get(key);
  cable.chain = chain?.chain;
  cable.colour = chain ? `c${chain.colour}` : "none";
  const side = from[0] <= to[0] ? 1 : -1;
  const [x1, y1, x2, y2] = [from[0] + 5 * side, from[1] + 9, to[0] - 5 * side, to[1] + 11];
  // The lowest point of this curve is 3/4 of the way to its control points.
  const depth = (low) => low + (bottom - low) * 1.33;
  const path = `M${x1.toFixed(1)} ${y1.toFixed(1)}C${x1.toFixed(1)} ${depth(y1).toFixed(1)} ${x2.toFixed(1)} ${depth(y2).toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
  set(cable.hit, "d", path);
  set(cable.line, "d", path);
  set(cable.label, "x", ((x1 + x2) / 2).toFixed(1));
  set(cable.label, "y", (bottom + 4).toFixed(1));
  cable.labelled = labelled;
}

/** Update the rates and colours of the cables, without moving them. */
export function update(selectedChain) {
  for (const [key, cable] of cables) {
    const { box, visible } = cards.get(cable.name) ?? {};
    if (!visible) continue;
    const rate = patchRate(box.process, cable.src);
    const [source, target] = [box.process?.ports[cable.src], box.process?.ports[cable.dst]];
    const dropping = (source?.drop_rate ?? 0) >= 0.5 || (target?.drop_rate ?? 0) >= 0.5;
    const flows = (rate ?? 0) >= 0.5;
    const other = selectedChain && cable.chain !== selectedChain;
    const kind = ["cable", cable.colour, flows ? "flows" : "", dropping ? "dropping" : "", box.state === "running" ? "" : "idle", other ? "faded" : ""];
    set(cable.group, "class", kind.filter(Boolean).join(" "));
    const width = (flows ? 2.5 + Math.min(2.5, Math.log10(rate + 1) / 3) : 2).toFixed(1);
    set(cable.line, "stroke-width", width);
    const text = cable.labelled && (flows || dropping) ? `${short(rate)}/s` : "";
    if (cable.label.textContent !== text) cable.label.textContent = text;
    const spoken = `Patch ${box.shown(cable.src)} to ${box.shown(cable.dst)} of ${box.name}${cable.chain ? `, chain ${cable.chain}` : ""}: ${short(rate)} frames a second. Press Enter to remove it.`;
    if (spoken !== cable.spoken) {
      cable.spoken = spoken;
      cable.group.setAttribute("aria-label", spoken);
    }
  }
  for (const line of document.querySelectorAll("#links path")) {
    line.classList.toggle("faded", Boolean(selectedChain) && line.dataset.chain !== selectedChain);
  }
}

function drawLinks(root, centres, links) {
  const lines = [];
  for (const { ends, colour, chain } of links) {
    const [from, to] = ends.map((key) => centres.get(key));
    if (!from || !to) continue;
    const bend = Math.min(60, Math.abs(from[0] - to[0]) / 3 + 14);
    const path = makeSvg("path", { class: `link c${colour}`, d: `M${from[0]} ${from[1]}C${from[0]} ${from[1] - bend} ${to[0]} ${to[1] - bend} ${to[0]} ${to[1]}` });
    path.dataset.chain = chain;
    lines.push(path);
  }
  root.replaceChildren(...lines);
}
