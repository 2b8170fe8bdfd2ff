"""Executes a plan: state on disk, images, all windows at once, and then each part as soon as what it needs is ready."""

import os
import shlex
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol

from sppr.deadline import Deadline
from sppr.errors import HostError, SpprError
from sppr.host import facts, region
from sppr.host.rundir import make_private, sessions_dir
from sppr.images.store import Filler, Store
from sppr.lab import state as states
from sppr.lab.plan import Image, Plan
from sppr.lab.provision import Provisioner
from sppr.lab.site import Site
from sppr.lab.state import State
from sppr.lab.vms import accel
from sppr.ready import Exit, Wait, wait_ready
from sppr.roles import probe
from sppr.roles.part import Part, serving_part
from sppr.run import run
from sppr.tmux import pane
from sppr.tmux.pane import user_shell
from sppr.tmux.server import PaneSpec, Tmux, WindowSpec, terminal_size

#: Seconds each role may take; VMs have ``vm.ready_timeout``. A real spp_primary with a vhost vdev waits 9 s for links.
TIMEOUTS = {"controller": 15.0, "primary": 40.0, "secondary": 20.0}
VHOST_TIMEOUT = 10.0
#: Variables a running tmux server may have old values of.
ENVIRONMENT = (
    "PATH",
    "HOME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "XDG_RUNTIME_DIR",
    "RTE_SDK",
    "RTE_TARGET",
)


class Report(Protocol):
    """Who is told how bring-up goes on; called from several threads."""

    def note(self, text: str) -> None:
        """A line worth keeping."""

    def waiting(self, name: str, what: str) -> None:
        """``name`` was started; it is now waited for ``what``."""

    def ready(self, name: str, seconds: float) -> None: ...

    def failed(self, name: str) -> None: ...


class AlreadyUp(SpprError):
    """The very lab that was asked for is there and runs."""

    exit_code = 0


class Interrupted(SpprError):
    """Another part failed, so this wait was given up."""


def refuse_if_there(plan: Plan, tmux: Tmux) -> State | None:
    """SpprError where the session exists, saying whether it runs or was left half-way. The state of a dead one."""
    session = plan.session
    attach = shlex.join(tmux.attach_argv(session))
    try:
        old = states.load(session)
    except states.NoSession:
        if tmux.has_session(session):
            raise SpprError(
                f"tmux has a session {session} that sppr did not make",
                hint=f"{attach}; or choose another: --session NAME",
            ) from None
        return None
    living = [p.name for p in old.plan.parts if (proc := states.process(p.files(old.folder))) and proc.alive()]
    flag = states.flag(session)
    if old.phase == "up" and len(living) == len(old.plan.parts) and old.plan.parts == plan.parts:
        raise AlreadyUp(
            f"session {session} is running already, with all its {len(living)} parts: nothing was changed",
            hint=f"{attach}   or end it: sppr down{flag}",
        )
    if old.phase == "up" and living:
        same = "" if old.plan.parts == plan.parts else ", and not as asked for now"
        raise SpprError(
            f"session {session} is running, {len(living)} of {len(old.plan.parts)} parts{same}",
            hint=f"sppr attach{flag}   or end it: sppr down{flag}",
        )
    if living or tmux.has_session(session):
        raise SpprError(
            f"session {session} was left half-way ({old.phase}): {', '.join(living) or 'its windows'} still there",
            hint=f"sppr down{flag}, then again",
        )
    return old


class BringUp:
    """One bring-up of one plan."""

    def __init__(self, plan: Plan, site: Site, found: facts.Facts, tmux: Tmux, report: Report) -> None:
        self.plan, self.site, self.facts, self.tmux, self.report = plan, site, found, tmux, report
        self.run = Path(plan.run)
        self.state = State(plan, found.boot_id)
        self._probe = probe.Probe(plan.api)
        self._done = {part.name: threading.Event() for part in plan.parts}
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._asked = Deadline(0)

    def execute(self) -> State:
        """All of it. On any error what was started stays up, and the state on disk says ``failed``."""
        make_private(self.run)
        self.state.save()
        try:
            self.prepare()
            self.open_windows()
            self.start_parts()
        except BaseException:
            self._cancelled.set()
            self._save("failed")
            raise
        self._save("up")
        return self.state

    def prepare(self) -> None:
        """Images, the lab's ssh key, and the way free for the sockets to come."""
        for path in map(Path, self.plan.sockets):
            clear_stale_socket(path)
        for path in map(Path, self.plan.regions):
            region.make(path)
        if self.site.store is not None and self.plan.images:
            make_key(self.site.public_key)
            write_ssh_config(self.plan, self.site.public_key)
            filler = Provisioner(accel(self.plan.accel, self.facts))
            make_images(self.plan.images, self.site.store, self.report.note, filler)

    def open_windows(self) -> None:
        """All windows by one call to tmux; each pane waits at its gate."""
        env = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        env["SPPR_RUN_DIR"] = str(sessions_dir())
        folder = Path(self.plan.folder)
        windows = []
        for window in self.plan.windows:
            panes = []
            for name in window.panes:
                part = next((p for p in self.plan.parts if p.name == name), None)
                if part is None:
                    panes.append(PaneSpec(name, folder, (user_shell(), "-i")))
                    continue
                files = part.files(self.run)
                pane.write(files, part.command, folder, part.needs, env, part.restart)
                panes.append(PaneSpec(name, folder, ("/bin/sh", str(files.script)), files.log))
            windows.append(WindowSpec(window.name, tuple(panes)))
        self.tmux.env = env
        made = self.tmux.build(self.plan.session, windows, terminal_size())
        self.state.panes = {name: (p.window, p.pane) for name, p in made.items()}
        self._save("starting")

    def start_parts(self) -> None:
        """Each part in a thread of its own, so that independent ones start side by side. The first error ends all."""
        with ThreadPoolExecutor(max_workers=max(1, len(self.plan.parts))) as pool:
            futures: list[Future[None]] = [pool.submit(self._start, part) for part in self.plan.parts]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._cancelled.set()
        errors = [e for e in (f.exception() for f in futures) if e is not None]
        for error in errors:
            if not isinstance(error, Interrupted):
                raise error

    def _start(self, part: Part) -> None:
        for need in part.needs:
            self._wait_for(need, part)
        self._give_up(part)
        try:
            if part.sockets:
                self.report.waiting(part.name, f"{', '.join(part.sockets)} to listen")
                probe.serve_vhosts(self.plan.api, part.server, part.ports, part.sockets, Deadline(VHOST_TIMEOUT))
            self.report.waiting(part.name, probe.what(part))
            seconds = self._run(part)
        except Interrupted:
            raise
        except SpprError:
            self.report.failed(part.name)
            raise
        with self._lock:
            self.state.ready[part.name] = round(seconds, 3)
            self.state.save()
        part.files(self.run).supervised.touch()
        self.report.ready(part.name, seconds)
        self._done[part.name].set()

    def _run(self, part: Part) -> float:
        files = part.files(self.run)
        deadline = Deadline(TIMEOUTS.get(part.role, self.plan.ready_timeout))
        pane.open_gate(files, Deadline(10))
        if part.regions:
            self._serve_regions(part)

        def ready() -> bool:
            self._give_up(part)
            return self._ask(part)

        return wait_ready(
            Wait(
                name=part.name,
                what=probe.what(part),
                log=files.log,
                ready=ready,
                ended=lambda: _ended(files),
                fatal=probe.fatal(part),
                hint=probe.hint,
            ),
            deadline,
        )

    def _serve_regions(self, part: Part) -> None:
        """Have the host's end of a ring VM's ports served, while the VM boots."""
        self._wait_for(serving_part(part.server), part)
        probe.serve(self.plan.api, part.server, part.ports)

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


def clear_stale_socket(path: Path) -> None:
    """Make way for a socket this lab is about to create: only that very path, and only if nobody listens there."""
    if not path.is_socket():
        return
    if str(path) in facts.unix_listening():
        raise HostError(f"{path}: another process listens there", hint="end it, or set vhosts: or spp.sock_dir:")
    path.unlink(missing_ok=True)


def make_key(public: Path) -> None:
    """The lab's ssh key pair, made when missing; the private half is its user's alone (0600)."""
    if not public.exists():
        private = public.with_suffix("")
        if private.exists():
            private.rename(private.with_name(f"{private.name}.old"))
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sppr lab", "-f", private])


def write_ssh_config(plan: Plan, public_key: Path) -> None:
    """``ssh -F ssh_config vm-v11``: a host for each VM of the plan, beside the lab's key.

    A VM made anew has a new host key on the same port of the loopback, so none is kept.
    """
    hosts = [f"Host {name}\n    Port {port}\n" for name, port in zip(plan.vm_hosts, plan.ssh_ports, strict=False)]
    common = (
        f"    HostName 127.0.0.1\n    User root\n    IdentityFile {public_key.with_suffix('')}\n"
        "    IdentitiesOnly yes\n    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n    LogLevel ERROR\n"
    )
    text = "# Written by each bring-up of the lab.\n" + "".join(hosts) + "Host vm-*\n" + common
    public_key.with_name("ssh_config").write_text(text)


def make_images(
    images: Sequence[Image], store: Store, report: Callable[[str], None], filler: Filler | None = None
) -> None:
    """Templates and instances, those that are missing; new templates with what ``filler`` puts in."""
    for image in images:
        if image.vm_id:
            store.ensure_instance(image.kind, image.vm_id, report, filler)
        else:
            store.ensure_template(image.kind, report, filler)
