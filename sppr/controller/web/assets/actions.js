// The changes that the page can make, by REST, and their undo.

const COLLECTIONS = { nfv: "nfvs", vm: "nfvs", vf: "vfs", mirror: "mirrors", pcap: "pcaps" };
const undos = [];
const MOST_UNDOS = 100;

/** Return the address of a process in REST. */
function base(process) {
  return process.kind === "primary" ? "/v1/primary" : `/v1/${COLLECTIONS[process.kind]}/${process.id}`;
}

/** Call REST. Throw an Error with the words of the process or the controller. */
async function call(method, path, body) {
  const options = { method, credentials: "same-origin" };
  if (body) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the controller does not answer");
  }
  if (!response.ok) throw new Error((await response.text()).replace(/^command error: /, "") || `status ${response.status}`);
}

/** Return whether the page can patch the ports of a process. */
export const canPatch = (process) => process.kind === "primary" || process.kind === "nfv" || process.kind === "vm";

const requests = {
  patch: (p, src, dst) => call("PUT", `${base(p)}/patches`, { src, dst }),
  disconnect: (p, src) => call("DELETE", `${base(p)}/patches/${encodeURIComponent(src)}`),
  add: (p, port) => call("PUT", `${base(p)}/ports`, { action: "add", port }),
  del: (p, port) => call("PUT", `${base(p)}/ports`, { action: "del", port }),
  forward: (p, action) => call("PUT", `${base(p)}/forward`, { action }),
};

function remember(label, run) {
  undos.push({ label, run });
  if (undos.length > MOST_UNDOS) undos.shift();
}

export async function patch(process, src, dst) {
  const old = process.patches.find(([from]) => from === src);
  if (old && old[1] === dst) return;
  if (old) await requests.disconnect(process, src);
  try {
    await requests.patch(process, src, dst);
  } catch (error) {
    if (old) await requests.patch(process, ...old);
    throw error;
  }
  remember(`patch ${src} → ${dst} of ${process.name}`, async () => {
    await requests.disconnect(process, src);
    if (old) await requests.patch(process, ...old);
  });
}

export async function disconnect(process, src, dst) {
  await requests.disconnect(process, src);
  remember(`removal of ${src} → ${dst} of ${process.name}`, () => requests.patch(process, src, dst));
}

export async function addPort(process, port) {
  await requests.add(process, port);
  remember(`port ${port} of ${process.name}`, () => requests.del(process, port));
}

export async function deletePort(process, port) {
  const patches = process.patches.filter((ends) => ends.includes(port));
  for (const [src] of patches) await requests.disconnect(process, src);
  try {
    await requests.del(process, port);
  } catch (error) {
    for (const ends of patches) await requests.patch(process, ...ends);
    throw error;
  }
  remember(`deletion of ${port} of ${process.name}`, async () => {
    await requests.add(process, port);
    for (const ends of patches) await requests.patch(process, ...ends);
  });
}

export async function forward(process, action) {
  await requests.forward(process, action);
  remember(`${action} of ${process.name}`, () => requests.forward(process, action === "start" ? "stop" : "start"));
}

/** Return the label of the change that undo would revert, or null. */
export const nextUndo = () => undos.at(-1)?.label ?? null;

/** Revert the last change, and return its label. An undo that fails is not tried again. */
export async function undo() {
  const entry = undos.pop();
  if (!entry) return null;
  await entry.run();
  return entry.label;
}
