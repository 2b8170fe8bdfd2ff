"""Execute the changes to a session: write its state, create images and panes, and start each part in order."""

import contextlib
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
from sppr.host.process.sockets import connected_paths, listening_paths
from sppr.host.run_directory import make_private
from sppr.lab.chains import ends
from sppr.lab.down import teardown
from sppr.lab.paths import LabPaths
from sppr.lab.state import journal, observe
from sppr.lab.state import state as states
from sppr.lab.state.reconcile import Changes
from sppr.lab.state.state import State
from sppr.lab.up import artifacts
from sppr.lab.up.chains import wire_chains
from sppr.lab.up.panes import Panes
from sppr.parts import readiness
from sppr.parts.part import Part, serving_part
from sppr.tmux import pane
from sppr.tmux.server import Tmux
from sppr.wait import HARD_LIMIT, Wait, Work, wait_ready, work_of

#: Seconds that a part of each role may take to become ready without progress; with progress, ``HARD_LIMIT`` times as
#: many. VMs have ``vm.ready_timeout``. An upstream spp_primary with a vhost vdev waits 9 s for links. spp.py before
#: 17.08 may have to wait up to a minute for its TCP ports, after the last spp.py.
TIMEOUTS = {"controller": 15.0, "primary": 40.0, "secondary": 20.0, "spp.py": 90.0, "spp_vf.py": 90.0}
#: Seconds to wait until the QEMU of a running VM has connected to a new vhost socket; it tries once a second. Frames
#: that are sent before are lost.
RECONNECT_TIMEOUT = 3.0


class Report(Protocol):
    """A receiver of progress. Several threads call it."""

    def note(self, text: str) -> None:
        """Print a line and keep it on the screen."""

    def waiting(self, name: str, what: str) -> None:
        """Report that the part ``name`` was started, and that the bring-up waits for ``what``."""

    def ready(self, name: str, seconds: float) -> None:
        """Report that the part ``name`` was ready after this many seconds."""

    def failed(self, name: str) -> None:
        """Report that the part ``name`` did not become ready."""

    def step(self, done: str) -> None:
        """Report that a step is done. Tests kill the launcher here."""


class Cancelled(SpprError):
    """The wait for a part was cancelled, because another part failed."""


class BringUp:
    """The execution of changes to a session.

    If ``paths`` is None, because conf.yml is gone, no images, keys or sockets are created. Upstream secondaries start
    one after another, and their ports are added one after another: SPP HEAD crashes if a secondary starts while another
    adds a port. Each step is reported when it is done. A launcher may be killed between any two steps; the next ``up``
    continues from there.
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
        self._attaching = threading.Lock()
        self._probe_interval = Deadline(0)

    def execute(self, machine: facts.Facts) -> State:
        """Execute the changes, and return the state of the session.

        On an error, the parts that were started keep running, and the phase in state.json is ``failed``. On Ctrl-C it
        stays ``starting``.
        """
        make_private(self.run)
        parts = self.plan.parts_named(self.changes.start)
        self._record("up.started", parts={part.name: part.depends_on for part in parts})
        self._save("starting")
        self._step("state")
        try:
            self.serve_ports_first()
            self.stop_first()
            if self.paths is not None:
                artifacts.prepare(self.plan, self.changes.start, self.paths, machine, self.report.note)
                self._step("artifacts")
            self.create_namespaces()
            self.open_panes()
            self.start_parts()
            self.apply_chains()
        except BaseException as e:
            self._cancelled.set()
            self._save("starting" if isinstance(e, KeyboardInterrupt) else "failed")
            self._record("up.failed", reason=e.what if isinstance(e, SpprError) else type(e).__name__)
            raise
        self._save("up")
        self._record("up.ready")
        self.report.step("up")
        return self.state

    def serve_ports_first(self) -> None:
        """Serve the ports of the VMs that will be restarted, if their servers keep running.

        This comes before the VMs are stopped, so that a failure does not stop them for nothing.
        """
        for vm in self.plan.parts_named(self.changes.stop):
            if vm.sockets and vm.server and not vm.makes_sockets and serving_part(vm.server) not in self.changes.start:
                self._serve_ports(vm)

    def stop_first(self) -> None:
        """Stop the parts that will be restarted. Remove the leftovers of the previous primary before the next one."""
        for name in self.changes.start:
            self.state.ready.pop(name, None)
        if self.changes.stop:
            self.state.stopping = self.changes.stop
            self._save("starting")
            teardown.stop_parts(self.state, self.changes.stop, self.report.note)
            self.state.stopping = ()
            self._save("starting")
            self._step("stopped")
        if "pri" in self.changes.start:
            for prefix in {self.plan.file_prefix, self.old_prefix} - {""}:
                teardown.remove_dpdk_files(prefix, Path(self.plan.huge_dir))
            self._step("leftovers")

    def open_panes(self) -> None:
        """Open a pane for each part to start. The script of the pane waits at its start gate."""
        observed = observe.observe_session(self.state, self.tmux)
        panes = Panes(self.plan, self.tmux, self.state.panes).open(self.changes.start, observed)
        self.state.panes.update({name: (p.window, p.pane) for name, p in panes.items()})
        self.state.windows.update({name: p.window_name for name, p in panes.items()})
        self._save("starting")
        self._step("panes")

    def start_parts(self) -> None:
        """Start each part in its own thread, so that independent parts start in parallel. Raise the first error."""
        for part in self.plan.parts:
            if part.name not in (*self.changes.start, *self.changes.wait):
                self._done[part.name].set()
        with ThreadPoolExecutor(max_workers=max(1, len(self.plan.parts))) as pool:
            futures: list[Future[None]] = [
                *(pool.submit(self._start, part) for part in self.plan.parts_named(self.changes.start)),
                *(pool.submit(self._wait_for_running, part) for part in self.plan.parts_named(self.changes.wait)),
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._cancelled.set()
        errors = [e for e in (f.exception() for f in futures) if e is not None]
        for error in errors:
            if not isinstance(error, Cancelled):
                raise error

    def create_namespaces(self) -> None:
        """Create the network namespaces of the ends of chains. The primary moves its TAP interfaces into them."""
        for line in ends.prepare(self.plan):
            self.report.note(line)

    def apply_chains(self) -> None:
        """Wire the chains whose parts run. Raise ControlError if a process refuses a change."""
        for line in ends.move(self.plan):
            self.report.note(line)
        if self.plan.wiring.is_empty:
            return
        self.plan = self.state.plan = wire_chains(self.state, self.report.note)
        self._step("chains")

    def _step(self, done: str) -> None:
        self.report.step(done)
        self._record("up.step", step=done)

    def _record(self, event: str, **fields: object) -> None:
        journal.write(self.run, event, **fields)

    def _start(self, part: Part) -> None:
        """Start a part when its dependencies are ready, and wait until it is ready."""
        for dependency in part.depends_on:
            self._wait_for(dependency, part)
        self._check_cancelled(part)
        try:
            self._check_id_free(part)
            if part.sockets and not part.makes_sockets:
                self._waiting(part, f"{', '.join(part.sockets)} to listen")
                self._serve_ports(part)
                self.report.step(f"{part.name} has its sockets")
            with self._turn(part):
                self._check_cancelled(part)
                self._waiting(part, readiness.awaited(part))
                seconds = self._run(part)
        except Cancelled:
            raise
        except SpprError as e:
            self.report.failed(part.name)
            self._record("part.failed", part=part.name, reason=e.what)
            raise
        part.files(self.run).supervised.touch()
        self._serve_ports_of_running_vms(part)
        self._mark_ready(part, seconds)
        self.report.step(f"{part.name} ready")

    def _waiting(self, part: Part, what: str) -> None:
        self.report.waiting(part.name, what)
        self._record("part.waiting", part=part.name, reason=what)

    def _wait_for_running(self, part: Part) -> None:
        """Wait until a part that runs already is ready. Report progress only if it is slow."""
        seconds = None
        try:
            self._restore_lost_ports(part)
            if not self._probe_ready(part):
                self.report.waiting(part.name, readiness.awaited(part))
                seconds = self._wait_ready(part)
        except Cancelled:
            raise
        except SpprError as e:
            self.report.failed(part.name)
            self._record("part.failed", part=part.name, reason=e.what)
            raise
        if seconds is not None:
            self.report.ready(part.name, seconds)
        self._mark_ready(part, None)

    def _mark_ready(self, part: Part, seconds: float | None) -> None:
        """Record that the part is ready, report it, and release the parts that depend on it."""
        with self._lock:
            proc = states.process(part.files(self.run))
            if seconds is not None:
                self.state.ready[part.name] = round(seconds, 3)
            self.state.ready_pid[part.name] = proc.pid if proc else 0
            self.state.save()
        if proc and part.upstream and part.as_root and len(self.plan.lcores) > len(os.sched_getaffinity(0)):
            # The workers of upstream SPP poll, and share cores with the main threads of parts that start later.
            procs.renice_workers(proc.pid)
        if seconds is not None:
            self.report.ready(part.name, seconds)  # before any line of the parts that depend on it
            self._record("part.ready", part=part.name, seconds=round(seconds, 3))
        self._done[part.name].set()

    def _run(self, part: Part) -> float:
        """Open the start gate of the part, and return the seconds until it was ready."""
        files = part.files(self.run)
        # The previous program of the pane may have written this file just before its end.
        files.exit.unlink(missing_ok=True)
        pane.open_gate(files, Deadline(10))
        self.report.step(f"{part.name} started")
        if part.regions or (part.makes_sockets and part.server):
            self._serve_during_boot(part)
            self.report.step(f"{part.name} has its ports")
        return self._wait_ready(part)

    def _wait_ready(self, part: Part) -> float:
        """Wait until the part is ready, and return the seconds that this took."""
        files = part.files(self.run)
        limit = TIMEOUTS.get(part.kind) or TIMEOUTS.get(part.role, self.plan.ready_timeout)
        logs = [files.log, *([Path(part.console)] if part.console else [])]

        def ready() -> bool:
            self._check_cancelled(part)
            if self._probe_ready(part):
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
                ended=lambda: states.recorded_exit(files),
                fatal=readiness.fatal(part),
                hint=readiness.hint,
                fatal_first=part.upstream and part.role == "primary",
                limit=limit,
                work=work,
            ),
            Deadline(limit * HARD_LIMIT),
        )

    def _check_id_free(self, part: Part) -> None:
        """Raise ControlError or LaunchError if another process has the id of an upstream secondary."""
        if part.upstream and part.role == "secondary":
            with self._lock:
                self._probe.refresh()
                self._probe.check_id_free(part)

    def _serve_during_boot(self, part: Part) -> None:
        """Add the ports of a VM on the host while it boots: ivshmem ports, or vhost ports whose sockets QEMU creates.

        The sockets must listen before the ports are added.
        """
        self._wait_for(serving_part(part.server), part)
        for socket in part.sockets:
            Deadline(readiness.VHOST_TIMEOUT).poll(lambda path=socket: path in listening_paths())  # type: ignore[misc]
        self._serve_ports(part)

    def _serve_ports_of_running_vms(self, part: Part) -> None:
        """Add the ports of VMs that kept running while this part, their server, was restarted.

        The controller has already restored the ports that it recorded.
        """
        for vm in self.plan.parts:
            if vm.name not in self.changes.start and vm.server and serving_part(vm.server) == part.name:
                try:
                    self._serve_ports(vm)
                except SpprError as e:
                    self.report.note(f"{vm.name}: could not add its ports on the host: {e.what}")
                    continue
                if part.upstream and (proc := states.process(vm.files(self.run))) and proc.alive():
                    Deadline(RECONNECT_TIMEOUT).poll(lambda vm=vm: connected_paths() >= set(vm.sockets))  # type: ignore[misc]

    def _restore_lost_ports(self, part: Part) -> None:
        """Restore the ports of a VM that its server has lost, or whose sockets were removed."""
        if not part.ports or not part.server or serving_part(part.server) not in self._done:
            return
        self._wait_for(serving_part(part.server), part)
        with self._lock:
            self._probe.refresh()
            lost = self._probe.lost_ports(part)
        if not lost:
            return
        self.report.note(f"{part.name}: {', '.join(lost.values())}: restoring the port")
        self._serve_ports(part)
        self.report.step(f"{part.name} has its ports again")

    def _turn(self, part: Part) -> contextlib.AbstractContextManager[object]:
        """Return what an upstream process holds while it starts, or gets a port; see the class."""
        is_process = part.upstream and part.role in ("primary", "secondary")
        return self._attaching if is_process else contextlib.nullcontext()

    def _serve_ports(self, vm: Part) -> None:
        """Add the ports of a VM to its server. Stale sockets of earlier processes are removed first."""
        server = self.plan.part(serving_part(vm.server))
        with self._turn(server):
            if vm.sockets and not vm.makes_sockets:
                limit = Deadline(readiness.VHOST_TIMEOUT)
                readiness.serve_vhosts(self.plan.api, vm.server, vm.ports, vm.sockets, limit)
            else:
                readiness.serve(self.plan.api, vm.server, vm.ports)

    def _probe_ready(self, part: Part) -> bool:
        """Return whether the part is ready. All threads together ask the controller at most every 50 ms."""
        with self._lock:
            if self._probe_interval.expired():
                self._probe.refresh()
                self._probe_interval = Deadline(0.05)
        proc = states.process(part.files(self.run))
        return proc is not None and self._probe.ready(part)

    def _wait_for(self, dependency: str, part: Part) -> None:
        """Wait until the part ``dependency`` is ready. Raise Cancelled if another part failed."""
        while not self._done[dependency].wait(0.1):
            self._check_cancelled(part)

    def _check_cancelled(self, part: Part) -> None:
        if self._cancelled.is_set():
            raise Cancelled(f"{part.name}: cancelled, because another part failed")

    def _save(self, phase: states.Phase) -> None:
        with self._lock:
            self.state.phase = phase
            self.state.save()
