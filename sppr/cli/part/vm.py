"""runscripts/run-vm.py: run a VM of the lab, or any image, with its serial console in this terminal."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT
from sppr.cli.part.exec_part import PartCommand, check_may_start, exec_part


@click.command(cls=PartCommand, context_settings=CONTEXT)
@click.option(
    "-t", "--type", "kind", type=click.Choice(["ring", "vhost", "normal", "orig"]), required=True,
    help="Kind of VM. normal: without SPP ports. orig: boot the image itself, which changes it.",
)  # fmt: skip
@click.option(
    "-i",
    "--id",
    "ids",
    type=options.Ids(),
    help="Ids in conf.yml, 11 or 11-13; 0: the template.  [required except for orig]",
)
@click.option("-f", "--image", type=click.Path(path_type=Path), help="Base image.  [default: conf.yml]")
@click.option(
    "-d",
    "--ports",
    "numbers",
    type=options.Ids(),
    help="Numbers of its ports: 11 or 11,111; of several VMs in turn.  [default: conf.yml, its id]",
)
@click.option("-vc", "--vhost-client", is_flag=True, help="QEMU creates the vhost sockets; SPP connects to them.")
@click.option("-nn", "--nics", type=click.IntRange(0, 8), default=1, show_default=True, help="Management NICs.")
@click.option("-c", "--cores", type=click.IntRange(1, 64), help="Virtual cores.  [default: conf.yml, 1]")
@click.option("-m", "--memory", type=click.IntRange(96), help="MiB.  [default: conf.yml, 256]")
@click.option("--graphic", is_flag=True, help="Open a window with its screen.")
@options.conf
@options.session
@options.dry_run
def main(
    kind: Any,
    ids: tuple[int, ...] | None,
    image: Path | None,
    numbers: tuple[int, ...] | None,
    conf: Path | None,
    session: str | None,
    dry_run: bool,
    **words: Any,
) -> None:
    """Run a VM under QEMU. Ctrl-A x stops it, Ctrl-A c shows QEMU's monitor, Ctrl-C goes to the guest.

    Inside tmux, several ids may be given: each VM except the first gets a window of its own.
    """
    from sppr.cli.context import load_paths
    from sppr.host.network import bridge
    from sppr.lab import machine
    from sppr.lab.plan import vms
    from sppr.lab.up import artifacts
    from sppr.parts.part import vm_name

    ids = _checked(kind, ids, image, words)
    if len(ids) > 1 and not dry_run and not os.environ.get("TMUX"):
        raise click.UsageError("several VMs need several terminals: run this inside tmux, or give one id")
    config, paths = load_paths(conf, session)
    vm_options = vms.VmOptions(words.pop("nics"), words.pop("graphic"), words.pop("vhost_client"))
    given = {name: value for name, value in words.items() if value is not None}
    config = config.model_copy(update={"vm": config.vm.model_copy(update=given)})
    if image is not None:
        paths, vm_options = _with_image(paths, vm_options, kind, image)
    shares = _shares(ids, numbers)
    found = machine.read_facts(config.vm.accel)
    planned = [vms.single_vm(config, found, paths, kind, i, n, vm_options) for i, n in zip(ids, shares, strict=True)]
    parts = [part for part, _ in planned]
    if dry_run:
        for part in parts:
            exec_part(part.name, part.program, paths.run, dry_run=True)
        return
    check_may_start(vm_name(kind, ids[0]), paths.run, dry_run, None if session else paths.conf)
    if len(ids) > 1:
        _open_windows(ids, shares)
    if parts[0].bridge:
        bridge.require(parts[0].bridge)
    _make_ready(parts[0], config, paths, kind, ids[0], vm_options)
    program = parts[0].program
    if parts[0].console.endswith(".console"):  # otherwise the console is the log of the pane
        Path(parts[0].console).write_bytes(b"")
    if config.vm.network == "open":
        from sppr.qemu import passt

        passt.pass_to_qemu(passt.start())
    if parts[0].bridge:
        tap = bridge.Tap(parts[0].bridge, parts[0].tap, planned[0][1].bridge_mac)
        bridge.pass_to_qemu(bridge.open_tap(tap))
    resumed = _resumed(*planned[0], paths, kind)
    more = artifacts.ivshmem_arguments(parts[0], paths.run)
    exec_part(parts[0].name, program, paths.run, dry_run, more=more, instead=resumed)


def _checked(kind: str, ids: tuple[int, ...] | None, image: Path | None, words: dict[str, Any]) -> tuple[int, ...]:
    """Return the ids. Raise UsageError for options that contradict each other."""
    if kind == "orig":
        if image is None:
            raise click.UsageError("-t orig needs an image: -f FILE")
        if ids not in (None, (0,)):
            raise click.UsageError("-t orig boots a bare image: leave -i out")
        return (0,)
    if ids is None:
        raise click.UsageError("the id of the VM is missing: -i ID, as in conf.yml")
    if max(ids) > 127:
        raise click.BadParameter(f"{max(ids)}: ids go from 1 to 127", param_hint="-i")
    if words["vhost_client"] and kind != "vhost":
        raise click.UsageError("-vc is for vhost VMs")
    return ids


def _shares(ids: Sequence[int], numbers: tuple[int, ...] | None) -> list[tuple[int, ...] | None]:
    """Return the port numbers of each VM. No two VMs share one."""
    if numbers is None:
        return [None] * len(ids)
    if len(numbers) % len(ids):
        what = f"{len(numbers)} numbers cannot be shared among {len(ids)} VMs: give each VM the same number of ports"
        raise click.BadParameter(what, param_hint="-d")
    each = len(numbers) // len(ids)
    return [numbers[n * each : (n + 1) * each] for n in range(len(ids))]


def _with_image(paths: Any, vm_options: Any, kind: str, image: Path) -> tuple[Any, Any]:
    """Return the paths with ``image`` as base image; for orig, the options with the image itself as disk."""
    from sppr.images import qemu_img
    from sppr.images.store import Store

    path = image.absolute()
    found = qemu_img.info(path)
    if kind == "orig":
        return paths, replace(vm_options, image=(path, found.format))
    return replace(paths, store=Store(path.parent, path.name, found.format), no_store=None), vm_options


def _open_windows(ids: Sequence[int], shares: Sequence[tuple[int, ...] | None]) -> None:
    """Open a window for each VM except the first, with the same command line for one id."""
    import sys

    from sppr.tmux.server import Tmux

    words = sys.argv[1:]
    for vm_id, share in list(zip(ids, shares, strict=True))[1:]:
        line = _without(_without(words, "-i", "--id"), "-d", "--ports")
        line += ["-i", str(vm_id), *(["-d", ",".join(map(str, share))] if share else [])]
        Tmux.of_this_terminal().open_window(f"vm_{vm_id}", Path.cwd(), [str(Path(sys.argv[0]).absolute()), *line])


def _without(words: Sequence[str], *names: str) -> list[str]:
    """Return ``words`` without the options of these names and their values."""
    left: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in names:
            skip = True
        elif not any(word.startswith(f"{name}=") for name in names if name.startswith("--")):
            left.append(word)
    return left


def _make_ready(part: Any, config: Any, paths: Any, kind: Any, vm_id: int, vm_options: Any) -> None:
    """Create the disk and the key, pin the cores, and ask the controller for missing vhost sockets."""
    from sppr.deadline import Deadline
    from sppr.host import shared_region
    from sppr.host.process.sockets import listening_paths
    from sppr.host.root.vm_user import check_socket_owner
    from sppr.host.run_directory import make_private
    from sppr.lab.plan import controllers
    from sppr.lab.plan.plan import api_socket
    from sppr.lab.up.artifacts import create_key
    from sppr.parts import readiness
    from sppr.parts.readiness import VHOST_TIMEOUT
    from sppr.qemu.devices import QEMU
    from sppr.run import find_program

    find_program(QEMU)
    _check_display(vm_options)
    make_private(paths.run)
    if kind == "orig":
        _check_orig(Path(part.disk))
        paths.public_key.parent.mkdir(parents=True, exist_ok=True)
    else:
        paths.require_store()
    create_key(paths.public_key)
    if kind != "orig":
        _make_disk(config, paths, kind, vm_id)
    _pin(part)
    for path in part.regions:
        shared_region.create(Path(path))
    api = controllers.rest_address(config, paths) or api_socket(paths.run)
    if part.regions:
        _serve_regions(part, api)
    if part.makes_sockets:
        return
    if not set(part.sockets) <= listening_paths():
        readiness.serve_vhosts(api, part.server, part.ports, part.sockets, Deadline(VHOST_TIMEOUT))
        return  # serve_vhosts has checked the owners
    for path in part.sockets:
        check_socket_owner(Path(path))


def _make_disk(config: Any, paths: Any, kind: Any, vm_id: int) -> None:
    from sppr.lab.plan.plan import Image
    from sppr.lab.up import provision
    from sppr.lab.up.artifacts import create_images

    store = paths.require_store()
    if vm_id == 0:
        store.check_template_free(kind)
    store.check_base()
    store.check_usable(kind, vm_id)
    filler = provision.provisioner(config, paths.folder)
    create_images([Image(kind, vm_id)], store, lambda line: click.echo(line, err=True), filler)


def _resumed(part: Any, machine: Any, paths: Any, kind: Any) -> Callable[[], Sequence[str]] | None:
    """Return what makes this process a VM that resumes, or None if it boots."""
    from sppr.errors import SpprError
    from sppr.images import qemu_img
    from sppr.lab.up import warm
    from sppr.qemu.warm import resume
    from sppr.tmux.pane import SCRIPT_VARIABLE, PaneFiles

    resuming = PaneFiles(paths.run, part.name).resuming if SCRIPT_VARIABLE in os.environ else None
    try:
        if resuming is not None and resuming.exists():
            resuming.unlink()
            raise warm.Boots("it could not resume from its saved state")
        found = warm.find(part, machine, paths.store, kind)
        ready = resume.prepare(found, machine.disk, shared=machine.shares_memory)
        argv = tuple(machine.resume_argv(ready.handover, qemu_img.info(machine.disk).backing_path))
    except SpprError as e:
        if e.what:
            if part.start == "warm":
                raise SpprError(
                    f"{part.name}: start: warm, but {e.what}", hint=e.hint or "sppr up saves a state"
                ) from e
            click.echo(f"boots, because {e.what}" + (f": {e.hint}" if e.hint else ""))
        return None

    def become() -> Sequence[str]:
        ready.start_helper(machine.plugs(), resuming)
        return argv

    return become


def _check_orig(image: Path) -> None:
    """Raise HostError if a process uses the image, or other images need it: a boot changes it."""
    from sppr.errors import HostError
    from sppr.images import listing
    from sppr.images.store import check_free

    check_free(image)
    folder = image.parent.parent if image.parent.name == "img" else image.parent
    entries = listing.entries(folder)
    this = listing.Entry(image, "base", None, image.name)
    if overlays := [e for e in listing.overlays_of(this, entries) if e.path.resolve() != image.resolve()]:
        names = ", ".join(entry.name for entry in overlays)
        what = f"{image}: {names} are overlays of it; booting it would damage them"
        raise HostError(what, hint="boot an instance instead: -t normal -i ID")
    if image.stat().st_nlink > 1:
        what = f"{image}: other folders have this file, too (a hard link), so a boot would change their image"
        raise HostError(what, hint=f"boot a copy: cp {image} FILE, then -f FILE")


def _check_display(vm_options: Any) -> None:
    from sppr.errors import HostError

    if vm_options.graphic and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise HostError(
            "--graphic: no display: DISPLAY and WAYLAND_DISPLAY are not set",
            hint="leave it out: the serial console is in this terminal",
        )


def _pin(part: Any) -> None:
    """Pin this process to the cores of conf.yml. QEMU inherits the affinity."""
    from sppr.errors import HostError

    if not part.cpus:
        return
    there = os.sched_getaffinity(0)
    if missing := [cpu for cpu in part.cpus if cpu not in there]:
        what = f"{part.name}: cpus: this machine has no core {missing[0]}"
        raise HostError(what, hint=f"available cores: {', '.join(map(str, sorted(there)))}")
    os.sched_setaffinity(0, part.cpus)


def _serve_regions(part: Any, api: Any) -> None:
    """Ask the controller for the host side of the ring ports. The VM can start without it."""
    from sppr.errors import ControlError
    from sppr.parts import readiness

    try:
        readiness.serve(api, part.server, part.ports)
    except ControlError:
        target = part.server.replace(":", " ").replace("primary", "pri")
        click.echo(f"note: no process serves {', '.join(part.ports)} yet; at the prompt: {target}; add {part.ports[0]}")
