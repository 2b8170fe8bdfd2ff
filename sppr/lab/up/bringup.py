"""Executes what is to be done to a session: state on disk, images, panes, and then each part as soon as what it needs
is ready."""

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.host import facts
from sppr.host.process import pids
from sppr.host.process import processes as procs
from sppr.host.run_directory import make_private
from sppr.lab.chains import ends, status
from sppr.lab.chains import reconcile as chains
from sppr.lab.chains.observe import Observed, look, processes, unlinked
from sppr.lab.down import teardown
from sppr.lab.paths import LabPaths
from sppr.lab.state import observe
from sppr.lab.state import state as states
from sppr.lab.state.reconcile import Changes
from sppr.lab.state.state import State
from sppr.lab.up import artifacts
from sppr.lab.up.panes import Panes
from sppr.parts import readiness
from sppr.parts.part import Part, serving_part
from sppr.tmux import pane
from sppr.tmux.server import Tmux
from sppr.wait import HARD_LIMIT, Exit, Wait, Work, wait_ready, work_of

#: Seconds each role may take without progress, and with progress ``HARD_LIMIT`` times as many. VMs have
#: ``vm.ready_timeout``. A real spp_primary with a vhost vdev waits 9 s for links. spp.py of before 17.08 must wait for
#: its ports up to a minute, after the last one.
TIMEOUTS = {"controller": 15.0, "primary": 40.0, "secondary": 20.0, "spp.py": 90.0, "spp_vf.py": 90.0}


#: Seconds that guests may take to connect to the controller again, and to the ports of chains.
LINK_TIMEOUT = 15.0


class Report(Protocol):
    """Who is told how bring-up goes on; called from several threads."""

    def note(self, text: str) -> None:
        """A line worth keeping."""

    def waiting(self, name: str, what: str) -> None:
        """``name`` was started; it is now waited for ``what``."""

    def ready(self, name: str, seconds: float) -> None: ...

    def failed(self, name: str) -> None: ...

    def step(self, done: str) -> None:
        """A single step was done."""


class Interrupted(SpprError):
    """Another part failed, so this wait was given up."""


class BringUp:
    """Does what is to be done to a session. ``site`` None: nothing but the parts themselves is made (conf.yml is gone).

    Each step is told to the report when it is done: a launcher may be killed between any two of them, and the next
    ``up`` goes on from there.
    """

    def __init__(
        self, changes: Changes, state: State | None, paths: LabPaths | None, tmux: Tmux, report: Report
    ) -> None:
        self.changes, self.plan, self.paths, self.tmux, self.report = changes, changes.plan, paths, tmux, report
        self.run = Path(self.plan.run)
        self.old_prefix = state.plan.file_prefix if state else ""
        self.state = State(self.plan, pids.boot_id())
        if state is not None:
            self.state = replace(state, plan=self.plan, stopping=())
        self._probe = readiness.lab_probe(self.plan.api, self.plan.parts)
        self._done = {part.name: threading.Event() for part in self.plan.parts}
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._asked = Deadline(0)

    def execute(self, found: facts.Facts) -> State:
        """All of it. On any error what was started stays up, and the state on disk says ``failed``; on Ctrl-C still
        ``starting``."""
        make_private(self.run)
        self._save("starting")
        self.report.step("state")
        try:
            self.serve_first()
            self.end_first()
            if self.paths is not None:
                artifacts.prepare(self.plan, self.changes.start, self.paths, found, self.report.note)
                self.report.step("materials")
            self.make_namespaces()
            self.open_panes()
            self.start_parts()
            self.apply_chains()
        except BaseException as e:
            self._cancelled.set()
            self._save("starting" if isinstance(e, KeyboardInterrupt) else "failed")
            raise
        self._save("up")
        self.report.step("up")
        return self.state

    def serve_first(self) -> None:
        """Serve the ports of VMs that are to be restarted, where their servers run on. Where that fails no VM is ended
        in vain."""
        for vm in self.plan.parts_named(self.changes.stop):
            if vm.sockets and vm.server and not vm.makes_sockets and serving_part(vm.server) not in self.changes.start:
                self._serve_ports(vm)

    def end_first(self) -> None:
        """End the parts that are to be started anew; and what a primary that has gone left, for the next one."""
        for name in self.changes.start:
            self.state.ready.pop(name, None)
        if self.changes.stop:
            self.state.stopping = self.changes.stop
            self._save("starting")
            teardown.end_parts(self.state, self.changes.stop, self.report.note)
            self.state.stopping = ()
            self._save("starting")
            self.report.step("ended")
        if "pri" in self.changes.start:
            for prefix in {self.plan.file_prefix, self.old_prefix} - {""}:
                teardown.sweep_dpdk(prefix, Path(self.plan.huge_dir))
            self.report.step("swept")

    def open_panes(self) -> None:
        """A pane for each part to start; its script waits at its gate."""
        seen = observe.of(self.state, self.tmux)
        panes = Panes(self.plan, self.tmux, self.state.panes).open(self.changes.start, seen)
        self.state.panes.update({name: (p.window, p.pane) for name, p in panes.items()})
        self._save("starting")
        self.report.step("panes")

    def start_parts(self) -> None:
        """Each part in a thread of its own, so that independent ones start side by side. The first error ends all."""
        for part in self.plan.parts:
            if part.name not in (*self.changes.start, *self.changes.wait):
                self._done[part.name].set()
        with ThreadPoolExecutor(max_workers=max(1, len(self.plan.parts))) as pool:
            futures: list[Future[None]] = [
                *(pool.submit(self._start, part) for part in self.plan.parts_named(self.changes.start)),
                *(pool.submit(self._keep, part) for part in self.plan.parts_named(self.changes.wait)),
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._cancelled.set()
        errors = [e for e in (f.exception() for f in futures) if e is not None]
        for error in errors:
            if not isinstance(error, Interrupted):
                raise error

    def make_namespaces(self) -> None:
        """Make the network namespaces of the chains' ends, which the primary moves its taps into."""
        for line in ends.prepare(self.plan):
            self.report.note(line)

    def apply_chains(self) -> None:
        """Wire the chains whose parts run, and report each chain that is not up. ControlError where a process refuses a
        change."""
        wiring = self.plan.wiring
        for line in ends.move(self.plan):
            self.report.note(line)
        if wiring.is_nothing:
            return
        self._wait_for_processes()
        changes, observed = chains.apply(self.plan, states.dead_parts(self.state))
        observed = self._wait_for_links(observed)
        self.plan = self.plan.prune_retired(observed)
        self.state.plan = self.plan
        if changes:
            self.report.note(f"chains: {len(changes)} change{'s' * (len(changes) != 1)} made")
        standing = status.states_of(self.plan, observed)
        for chain in wiring.chains:
            state, why = standing[chain.name]
            self.report.note(f"chain {chain.name}: {state}  {' → '.join(chain.path)}" + (f": {why[0]}" if why else ""))
        self.report.step("chains")

    def _wait_for_processes(self) -> None:
        """Wait until the processes of the chains whose parts run are connected.

        A guest that gets no CPU for some seconds loses its connection after it was ready, and connects again.
        """
        asked = processes(self.plan.parts, self.plan.wiring)
        for _ in Deadline(LINK_TIMEOUT).ticks(0.1):
            dead = states.dead_parts(self.state)
            observed = look(self.plan.api, asked, dead)
            whole = [chain for chain in self.plan.wiring.chains if not set(dead) & set(chain.parts)]
            if all(leg.own or leg.process in observed.seen for chain in whole for leg in chain.legs):
                return

    def _wait_for_links(self, observed: Observed) -> Observed:
        """Wait until the guests are connected to the ports of the chains: QEMU connects again up to 2 s after a vhost
        socket is back. Return what the processes report then."""
        asked = processes(self.plan.parts, self.plan.wiring)
        for _ in Deadline(LINK_TIMEOUT).ticks(0.1):
            whole = [chain for chain in self.plan.wiring.chains if chains.can_apply(chain, observed)]
            if not any("vhost:" in port for chain in whole for port in unlinked(chain, observed)):
                break
            observed = look(self.plan.api, asked, states.dead_parts(self.state))
        return observed

    def _start(self, part: Part) -> None:
        for need in part.depends_on:
            self._wait_for(need, part)
        self._give_up(part)
        try:
            self._check_free(part)
            if part.sockets and not part.makes_sockets:
                self.report.waiting(part.name, f"{', '.join(part.sockets)} to listen")
                self._serve_ports(part)
                self.report.step(f"{part.name} has its sockets")
            self.report.waiting(part.name, readiness.awaited(part))
            seconds = self._run(part)
        except Interrupted:
            raise
        except SpprError:
            self.report.failed(part.name)
            raise
        part.files(self.run).supervised.touch()
        self._serve_again(part)
        self._is_ready(part, seconds)
        self.report.step(f"{part.name} ready")

    def _keep(self, part: Part) -> None:
        """Wait for a part that runs already. Report progress only if it is slow."""
        seconds = None
        try:
            self._serve_lost(part)
            if not self._ask(part):
                self.report.waiting(part.name, readiness.awaited(part))
                seconds = self._wait_ready(part)
        except Interrupted:
            raise
        except SpprError:
            self.report.failed(part.name)
            raise
        if seconds is not None:
            self.report.ready(part.name, seconds)
        self._is_ready(part, None)

    def _is_ready(self, part: Part, seconds: float | None) -> None:
        with self._lock:
            proc = states.process(part.files(self.run))
            if seconds is not None:
                self.state.ready[part.name] = round(seconds, 3)
            self.state.ready_pid[part.name] = proc.pid if proc else 0
            self.state.save()
        if proc and part.upstream and part.as_root and len(self.plan.lcores) > len(os.sched_getaffinity(0)):
            # SPP's own workers poll, and share cores with main threads of parts that are still to start.
            procs.renice_workers(proc.pid)
        if seconds is not None:
            self.report.ready(part.name, seconds)  # told before those that wait for it go on
        self._done[part.name].set()

    def _run(self, part: Part) -> float:
        files = part.files(self.run)
        # What the pane had before may have written this just before it ended.
        files.exit.unlink(missing_ok=True)
        pane.open_gate(files, Deadline(10))
        self.report.step(f"{part.name} started")
        if part.regions or (part.makes_sockets and part.server):
            self._serve_when_there(part)
            self.report.step(f"{part.name} has its ports")
        return self._wait_ready(part)

    def _wait_ready(self, part: Part) -> float:
        files = part.files(self.run)
        limit = TIMEOUTS.get(part.kind) or TIMEOUTS.get(part.role, self.plan.ready_timeout)
        logs = [files.log, *([Path(part.console)] if part.console else [])]

        def ready() -> bool:
            self._give_up(part)
            if self._ask(part):
                return True
            self._probe.check_renamed(part)
            return False

        def work() -> Work:
            proc = states.process(files)
            return work_of(proc.pid if proc else 0, logs, main_threads=part.role in ("primary", "secondary"))

        return wait_ready(
            Wait(
                name=part.name,
                what=readiness.awaited(part),
                log=files.log,
                ready=ready,
                ended=lambda: _ended(files),
                fatal=readiness.fatal(part),
                hint=readiness.hint,
                fatal_first=part.upstream and part.role == "primary",
                limit=limit,
                work=work,
            ),
            Deadline(limit * HARD_LIMIT),
        )

    def _check_free(self, part: Part) -> None:
        """Whether nobody else has the id of a secondary of SPP's own."""
        if part.upstream and part.role == "secondary":
            with self._lock:
                self._probe.refresh()
                self._probe.check_id_free(part)

    def _serve_when_there(self, part: Part) -> None:
        """Have the host's end of a VM's ports served, while it boots: of shared rings, or behind its own sockets."""
        self._wait_for(serving_part(part.server), part)
        for socket in part.sockets:
            Deadline(readiness.VHOST_TIMEOUT).poll(lambda path=socket: path in facts.unix_listening())  # type: ignore[misc]
        readiness.serve(self.plan.api, part.server, part.ports)

    def _serve_again(self, part: Part) -> None:
        """Ports of VMs that run on while their server was started anew; the controller gave back what it remembers."""
        for vm in self.plan.parts:
            if vm.name not in self.changes.start and vm.server and serving_part(vm.server) == part.name:
                try:
                    self._serve_ports(vm)
                except SpprError as e:
                    self.report.note(f"{vm.name}: its ports are not served: {e.what}")

    def _serve_lost(self, part: Part) -> None:
        """Restore the ports of a VM that its server has lost, or whose sockets were removed."""
        if not part.ports or not part.server or serving_part(part.server) not in self._done:
            return
        self._wait_for(serving_part(part.server), part)
        with self._lock:
            self._probe.refresh()
            lost = self._probe.lost_ports(part)
        if not lost:
            return
        self.report.note(f"{part.name}: {', '.join(lost.values())}: the port is added again")
        self._serve_ports(part)
        self.report.step(f"{part.name} has its ports again")

    def _serve_ports(self, vm: Part) -> None:
        """Add the ports of a VM to its server. Sockets that an earlier process left there are removed first."""
        if vm.sockets and not vm.makes_sockets:
            readiness.serve_vhosts(self.plan.api, vm.server, vm.ports, vm.sockets, Deadline(readiness.VHOST_TIMEOUT))
        else:
            readiness.serve(self.plan.api, vm.server, vm.ports)

    def _ask(self, part: Part) -> bool:
        """The part's sign of readiness; the controller is asked at most every 50 ms, for all waits together."""
        with self._lock:
            if self._asked.expired():
                self._probe.refresh()
                self._asked = Deadline(0.05)
        proc = states.process(part.files(self.run))
        return proc is not None and self._probe.ready(part)

    def _wait_for(self, need: str, part: Part) -> None:
        """Until the part ``need`` is ready; Interrupted where another part failed."""
        while not self._done[need].wait(0.1):
            self._give_up(part)

    def _give_up(self, part: Part) -> None:
        if self._cancelled.is_set():
            raise Interrupted(f"{part.name}: given up")

    def _save(self, phase: states.Phase) -> None:
        with self._lock:
            self.state.phase = phase
            self.state.save()


def _ended(files: pane.PaneFiles) -> Exit | None:
    """How the part ended; its pane is given a moment to write the status down."""
    how = states.ended(files)
    if how is None or how.status is not None:
        return how
    return Deadline(1.0).poll(lambda: h if (h := states.ended(files)) and h.status is not None else None) or how
