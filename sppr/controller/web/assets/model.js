// The sample as the page needs it. Pure: no access to the document.

/** Apply a JSON merge patch (RFC 7396) in place. A key that becomes null is removed. */
export function mergePatch(target, patch) {
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete target[key];
    else target[key] = isObject(value) ? mergePatch(isObject(target[key]) ? target[key] : {}, value) : value;
  }
  return target;
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Return the boxes of the page: each part but the controller, then processes that belong to no part. */
export function boxes(sample) {
  const processes = sample.processes ?? {};
  const places = placesInChains(sample.chains ?? {});
  const shown = (port) => withLinkName(port, sample.links ?? {});
  const found = [];
  const taken = new Set();
  for (const part of Object.values(sample.parts ?? {})) {
    if (!part.process) continue;
    taken.add(part.process);
    found.push(makeBox(part.process, part, processes[part.process], places, shown));
  }
  for (const name of Object.keys(processes)) {
    if (!taken.has(name)) found.push(makeBox(name, null, processes[name], places, shown));
  }
  return found;
}

/** Return a port as a chain names it: link:east-west/2 for link:0nq2. links: the name of each link by its port. */
function withLinkName(port, links) {
  const [whole, vlan] = port.split("nq");
  const link = links[whole];
  if (link === undefined) return port;
  return vlan ? `link:${link}/${vlan}` : `link:${link}`;
}

/** Return the place of each port along the chains. Ports that a chain patches are then neighbours, and cables short. */
function placesInChains(chains) {
  const places = new Map();
  for (const chain of Object.values(chains)) {
    for (const leg of chain.legs) {
      for (const port of [leg.src, leg.dst]) {
        const key = jackKey(leg.process, port);
        if (!places.has(key)) places.set(key, places.size);
      }
    }
  }
  return places;
}

function makeBox(name, part, process, places, shown) {
  const place = (port) => places.get(jackKey(name, port)) ?? Infinity;
  const order = (a, b) => (place(a) === place(b) ? comparePorts(a, b) : place(a) - place(b));
  const ports = process ? Object.keys(process.ports).sort(order) : [];
  const patches = process?.patches ?? [];
  return { name, part, process, ports, patches, shown, levels: levelsOf(patches, ports), ...condition(part, process) };
}

/** Return the depth at which each cable hangs, by "src dst": short ones first, each as high as no other is in its way. */
function levelsOf(patches, ports) {
  const index = new Map(ports.map((port, number) => [port, number]));
  const spans = patches.filter((ends) => ends.every((port) => index.has(port))).map(([src, dst]) => {
    const [a, b] = [index.get(src), index.get(dst)];
    return { key: `${src} ${dst}`, low: Math.min(a, b), high: Math.max(a, b) };
  });
  spans.sort((a, b) => (a.high - a.low) - (b.high - b.low) || a.low - b.low || (a.key < b.key ? -1 : 1));
  const rows = [];
  const levels = new Map();
  for (const span of spans) {
    const free = (row) => row.every((other) => span.high <= other.low || span.low >= other.high);
    // A longer cable hangs below each shorter one that it spans.
    const below = 1 + rows.findLastIndex((row) => row.some((other) => span.low <= other.low && other.high <= span.high));
    let level = below;
    while (rows[level] && !free(rows[level])) level += 1;
    (rows[level] ??= []).push(span);
    levels.set(span.key, level);
  }
  return levels;
}

/** Return the state of a box, its level (ok, wait, off, bad) and a reason. */
function condition(part, process) {
  if (part && part.state === "failed") return { state: "failed", level: "bad", reason: exitReason(part) };
  if (part && part.state === "stopped") return { state: "stopped", level: "off", reason: exitReason(part) };
  if (process && (process.state === "lost" || process.state === "silent")) {
    return { state: process.state, level: "bad", reason: process.reason };
  }
  if (part && part.state !== "ready") return { state: part.state, level: "wait", reason: part.note ?? "" };
  if (!process) return { state: "no spp_vm", level: "off", reason: part?.note ?? "its own software forwards" };
  return { state: process.state, level: process.state === "running" ? "ok" : "idle", reason: part?.note ?? "" };
}

function exitReason(part) {
  const status = part.exit === undefined || part.exit === null ? "" : `exit ${part.exit}`;
  return [status, part.last ?? part.note ?? ""].filter(Boolean).join(": ");
}

export function comparePorts(first, second) {
  const [a, b] = [first.split(":"), second.split(":")];
  return a[0] === b[0] ? parseInt(a[1], 10) - parseInt(b[1], 10) || (first < second ? -1 : 1) : a[0] < b[0] ? -1 : 1;
}

/** Return the colour number of each patch of a chain, by patchKey, and the links between the patches of chains. */
export function chainMap(sample) {
  const colours = new Map();
  const links = new Map();
  Object.values(sample.chains ?? {}).forEach((chain, number) => {
    const colour = number % 8;
    let before = null;
    for (const leg of chain.legs) {
      if (before && before.direction !== leg.direction) before = null;
      if (!leg.own) colours.set(patchKey(leg.process, leg.src, leg.dst), { colour, chain: chain.name });
      if (before && (before.process !== leg.process || before.dst !== leg.src)) {
        const ends = [jackKey(before.process, before.dst), jackKey(leg.process, leg.src)].sort();
        links.set(ends.join(" "), { ends, colour, chain: chain.name });
      }
      before = leg;
    }
  });
  return { colours, links: [...links.values()] };
}

export const jackKey = (process, port) => `${process}/${port}`;
export const patchKey = (process, src, dst) => `${process}/${src}/${dst}`;

/** Return the frames per second of a patch: what its source receives. undefined: unknown. */
export function patchRate(process, src) {
  return process?.ports[src]?.rx_rate;
}

/** Return a number with three digits and a unit: 0, 12.3k, 1.40M. */
export function short(value) {
  if (value === undefined || value === null) return "–";
  if (value < 0.5) return "0";
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size * 0.9995) return digits(value / size) + unit;
  }
  return value < 9.95 ? value.toFixed(1) : value.toFixed(0);
}

function digits(value) {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

export function bytes(value) {
  return value === undefined || value === null ? "" : `${Math.round(value / 1048576)} MiB`;
}

/** Return the text of a proof: what it showed, and when. */
export function proofText(proof, now) {
  if (!proof) return "not proved";
  const latency = proof.p50_ns ? `, p50 ${milliseconds(proof.p50_ns)}, p99 ${milliseconds(proof.p99_ns)}` : "";
  const age = ago(now - proof.time);
  return `${proof.verdict === "pass" ? "proved" : `proof: ${proof.verdict}`} ${age}: ${proof.lost ?? "?"} lost of ${proof.sent ?? "?"}${latency}`;
}

function milliseconds(ns) {
  return ns < 1e6 ? `${(ns / 1e3).toFixed(0)} µs` : `${(ns / 1e6).toFixed(1)} ms`;
}

function ago(seconds) {
  if (seconds < 90) return "just now";
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}
