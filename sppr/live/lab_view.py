"""Describe the parts and chains of a lab as values for JSON, from its run directory and the status of its processes.

The lab's modules are imported at the first use: the controller imports this file before it listens.
"""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sppr.lab.state import journal
from sppr.spp import match

if TYPE_CHECKING:
    from sppr.lab.chains.observe import Observed
    from sppr.lab.chains.wiring import ChainWiring, Leg
    from sppr.lab.state.state import State

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class LabView:
    """The lab of a session. ``folder``: its run directory.

    ``describe`` is called with each sample of the processes, from one thread at a time.
    """

    folder: Path
    _state: "State | None" = None
    _stamp: tuple[int, int, int] = (0, 0, 0)
    _proofs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _journal_size: int = -1
    _cpu: dict[int, tuple[float, float]] = field(default_factory=dict)
    _chain_states: dict[str, str] = field(default_factory=dict)

    def record(self, event: str, **fields: object) -> None:
        """Append an event to the journal of the lab."""
        journal.write(self.folder, event, **fields)

    def describe(self, live: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``session``, ``phase``, ``parts``, ``chains`` and ``links``: the name of each link to another host, by
        its port. ``live``: a sample of the processes, or an empty one with ``processes`` None if the controller does
        not answer.

        The lists and ``links`` are empty if the session has no readable state.
        """
        state = self._load()
        if state is None:
            return {"session": self.folder.name, "phase": "", "parts": [], "chains": [], "links": {}}
        processes = {entry["name"]: entry for entry in live.get("processes") or []}
        return {
            "session": state.plan.session,
            "phase": state.phase,
            "parts": self._parts(state, processes if live.get("processes") is not None else None),
            "chains": self._chains(state, processes),
            "links": state.plan.wiring.link_names,
        }

    def _load(self) -> "State | None":
        """Return the state of the session. Read it again only if its file has changed."""
        from sppr.errors import SpprError
        from sppr.lab.state import state as states

        try:
            found = (self.folder / "state.json").stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._state, self._stamp = states.load(self.folder.name), stamp
        except (OSError, SpprError):
            return None
        return self._state

    def _parts(self, state: "State", processes: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        from sppr.lab.state.status import part_statuses
        from sppr.parts.readiness import lab_probe

        probe = lab_probe(state.plan.api, state.plan.parts)
        # The ports of a server that does not answer are unknown: the probe must not ask it again.
        ports: dict[str, list[str] | None] = {part.server: None for part in state.plan.parts}
        alive = [entry for entry in (processes or {}).values() if entry["state"] in ("running", "idling")]
        ports.update({entry["name"]: list(entry["ports"]) for entry in alive})
        probe.use(None if processes is None else [_as_rest(entry) for entry in alive], ports)
        rows = part_statuses(state, probe)
        parts = {part.name: part for part in state.plan.parts}
        used = {row.pid: _usage(row.pid) for row in rows if row.pid is not None}
        now = time.monotonic()
        before, self._cpu = self._cpu, {pid: (now, seconds) for pid, (seconds, _) in used.items()}
        found = []
        for row in rows:
            seconds, memory = used.get(row.pid, (None, None)) if row.pid is not None else (None, None)
            entry: dict[str, Any] = asdict(row)
            entry["process"] = parts[row.name].process
            entry["cpu_seconds"], entry["memory"] = seconds, memory
            entry["cpu"] = _cpu_share(before.get(row.pid or 0), now, seconds)
            found.append(entry)
        return found

    def _chains(self, state: "State", processes: Mapping[str, Any]) -> list[dict[str, Any]]:
        from sppr.lab.chains import status
        from sppr.lab.chains.proof import testbed

        wiring = state.plan.wiring
        if not wiring.chains:
            return []
        observed = _observe(state, processes)
        found, busy = status.chain_states(state.plan, observed), testbed.in_use(state.folder)
        proofs = self._read_proofs()
        rows = []
        for chain in wiring.chains:
            chain_state, why = status.BUSY if chain.name in busy else found[chain.name]
            if chain.name not in busy:
                self._note_state(state, chain.name, chain_state, why)
            rows.append(
                {
                    "name": chain.name,
                    "path": chain.path,
                    "state": chain_state,
                    "why": why,
                    "legs": [_leg(direction, leg) for direction, legs in chain.directions for leg in legs],
                    "proof": proofs.get(chain.name),
                    **_traffic(chain, processes),
                }
            )
        return rows

    def _read_proofs(self) -> dict[str, dict[str, Any]]:
        """Return the last proof of each chain. The journal is read again only if it has grown."""
        try:
            size = journal.path(self.folder).stat().st_size
        except OSError:
            size = 0
        if size != self._journal_size:
            self._proofs = journal.latest(journal.read(self.folder), "chain.proved", "chain")
            self._journal_size = size
        return self._proofs

    def _note_state(self, state: "State", name: str, chain_state: str, why: Sequence[str]) -> None:
        """Record a change of the state of a chain. The launcher records the first one."""
        before = self._chain_states.get(name)
        self._chain_states[name] = chain_state
        if state.phase == "up" and before not in (None, chain_state):
            self.record("chain.state", chain=name, state=chain_state, reason=why[0] if why else "")


def _as_rest(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "primary"} if entry["kind"] == "primary" else {"type": entry["kind"], "client-id": entry["id"]}


def _observe(state: "State", processes: Mapping[str, Any]) -> "Observed":
    """Return the processes of a sample in the form in which the states of chains are computed."""
    from sppr.lab.chains import observe
    from sppr.lab.state import state as states

    statuses: dict[str, observe.ProcessStatus] = {}
    silent: dict[str, str] = {}
    for name in observe.processes(state.plan.parts, state.plan.wiring):
        entry = processes.get(name)
        if entry is None or entry["state"] == "lost":
            silent[name] = "is not connected"
        elif entry["state"] == "silent":
            silent[name] = observe.HANGS
        else:
            counters = {
                uid: observe.Counters(row["rx"], row["rx_drop"], row["tx"], row["tx_drop"], row["linked"])
                for uid, row in entry["ports"].items()
                if row["rx"] is not None
            }
            patches = {match.source(src, *words): dst for src, dst, *words in entry["patches"]}
            impaired = {src: observe.Impaired(words) for src, words in entry.get("impairments", {}).items()}
            running = entry["state"] == "running"
            statuses[name] = observe.ProcessStatus(frozenset(entry["ports"]), patches, running, counters, impaired)
    return observe.Observed(statuses, silent, frozenset(states.stopped_parts(state)))


def _leg(direction: str, leg: "Leg") -> dict[str, Any]:
    return {"direction": direction, "process": leg.process, "src": leg.src, "dst": leg.dst, "own": leg.own}


def _traffic(chain: "ChainWiring", processes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rates of a chain at its far ends, its drops, and its drop rate. None: unknown."""

    def port(process: str, uid: str) -> Mapping[str, Any]:
        row: Mapping[str, Any] = processes.get(process, {}).get("ports", {}).get(uid, {})
        return row

    rates = {}
    for direction, legs in chain.directions:
        counted = chain.counted(legs[-1])
        rates[direction] = port(legs[-1].process, counted[0]).get(f"{counted[1]}_rate") if counted else None
    known = []
    for leg in chain.legs:
        dropped = [(port(leg.process, uid), f"{side}_drop") for uid, side in chain.own_sides(leg)]
        if dropped and not leg.own and all(row.get(key) is not None for row, key in dropped):
            known.append(sum(row[key] for row, key in dropped))
    shared = chain.shared_ports
    ends = dict.fromkeys((leg.process, uid) for leg in chain.legs if not leg.own for uid in (leg.src, leg.dst))
    ends = dict.fromkeys(end for end in ends if end[1] not in shared)
    drop_rates = [rate for rate in (port(*end).get("drop_rate") for end in ends) if rate is not None]
    return {
        "forward": rates.get("forward"),
        "reverse": rates.get("reverse"),
        "dropped": sum(known) if known else None,
        "drop_rate": sum(drop_rates) if drop_rates else None,
    }


def _usage(pid: int) -> tuple[float, int]:
    """Return the CPU seconds and the resident bytes of a process and its children. Hugepages are not resident."""
    seconds, memory = 0.0, 0
    pids = [pid]
    for current in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{current}/stat").read_text(errors="replace").rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / _TICKS
            memory += int(fields[21]) * _PAGE
            pids += [int(p) for p in Path(f"/proc/{current}/task/{current}/children").read_text().split()][:32]
    return seconds, memory


def _cpu_share(before: tuple[float, float] | None, now: float, seconds: float | None) -> float | None:
    """Return the CPUs that a process used since ``before``: 1.0 is one core."""
    if before is None or seconds is None or now - before[0] < 0.05:
        return None
    return max(0.0, (seconds - before[1]) / (now - before[0]))
