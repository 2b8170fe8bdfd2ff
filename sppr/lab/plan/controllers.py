"""Plan the controllers of a lab, ours or those of an upstream SPP tree, and check what its release supports. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sppr.config.model import Config, Secondary
from sppr.errors import ConfigError
from sppr.lab.paths import LabPaths
from sppr.lab.plan.plan import Flags, api_socket, guests_socket, wiring_file
from sppr.parts.controller import Controller
from sppr.parts.part import Part
from sppr.parts.spp_tree import Classic, Cli, SppCtl, local
from sppr.spp.releases import FIRST_WITH_PORT


def controllers(config: Config, paths: LabPaths, secondaries: Sequence[Secondary]) -> list[Part]:
    """Return the controllers, which share the window ``ctrler``.

    They are our controller; or spp-ctl and SPP's CLI; or spp.py, with spp_vf.py if ``secondaries`` has a vf.
    """
    c, version, run = config.controller, paths.version, paths.run
    if paths.tree is None or version.era == "sppr":
        ours = Controller(
            c.host, c.pri_port, c.sec_port, api_socket(run), wiring_file(run), c.rest_host, c.rest_port,
            guests_socket(run), config.spp.file_prefix or paths.session, c.allow_users, c.allow, paths.vm_user,
            c.web, c.metrics,
        )  # fmt: skip
        return [_part(paths, "ctrler", "", ours.argv())]
    if version.era == "spp-ctl":
        ctl = SppCtl(paths.interpreter("spp-ctl"), paths.tree, c.host, c.pri_port, c.sec_port, c.rest_port)
        cli = Cli(paths.interpreter("spp.py"), paths.tree, version, local(c.host), c.rest_port)
        cli_part = _part(paths, "cli", "cli", cli.argv(), "--cli")
        return [
            _part(paths, "ctrler", "spp-ctl", ctl.argv()),
            replace(cli_part, depends_on=("ctrler",), console=str(run / "cli.log")),
        ]
    manage = c.rest_port if version.has_management_port else 0
    ports = c.pri_port, c.sec_port, manage
    spp = Classic(paths.interpreter("spp.py"), paths.tree, version, "spp.py", c.host, *ports, api_socket(run))
    parts = [_part(paths, "ctrler", "spp.py", spp.argv())]
    if version.has_vf_controller and any(s.type == "vf" for s in secondaries):
        ports = c.vf_pri_port, c.vf_sec_port, 0
        vf = Classic(paths.interpreter("spp_vf.py"), paths.tree, version, "spp_vf.py", c.host, *ports, vf_socket(run))
        parts.append(replace(_part(paths, "vfctrl", "spp_vf.py", vf.argv(), "--vf"), control=str(vf_socket(run))))
    return parts


def _part(paths: LabPaths, name: str, kind: str, program: Sequence[str], *options: str) -> Part:
    command = (*paths.runscript("controller.py"), *options, *paths.flags())
    return Part(name, "controller", None, "ctrler", command, tuple(program), kind=kind, upstream=bool(kind))


def vf_socket(run: Path) -> Path:
    """Return the unix socket of the controller spp_vf.py, which ``sppr.classic`` serves."""
    return run / "vf.sock"


def rest_address(config: Config, paths: LabPaths) -> str:
    """Return ``host:port`` of the REST of spp-ctl, or "" for the other controllers, which have a unix socket."""
    c = config.controller
    return f"{local(c.host)}:{c.rest_port}" if paths.version.era == "spp-ctl" and paths.tree is not None else ""


def check_release(config: Config, flags: Flags, paths: LabPaths) -> None:
    """Raise ConfigError with everything that the release of SPP in ``spp.dir`` does not support."""
    if paths.tree is None or not paths.version.name:
        return
    problems = list(_problems(config, flags, paths))
    if problems:
        what = "\n".join(f"SPP {paths.version.name}: {problem}" for problem in problems)
        raise ConfigError(what, hint="see docs/upstream-spp.md; spp.version selects another release")


def _problems(config: Config, flags: Flags, paths: LabPaths) -> Iterator[str]:
    version = paths.version
    secondaries = config.secondaries[: flags.nof_sec]
    for secondary in secondaries:
        if secondary.type not in version.kinds:
            kinds = ", ".join(version.kinds)
            yield f"secondary {secondary.id}: this release has no spp_{secondary.type}, only {kinds}"
        if secondary.id > version.last_id:
            limit = f"spp.py accepts ids up to {version.last_id}; a higher id ends its accept loop"
            yield f"secondary {secondary.id}: {limit}"
        if secondary.vhost_client and not version.vhost_client and secondary.type == "nfv":
            yield f"secondary {secondary.id}: vhost_client requires 18.08.2 or later"
    if config.controller.rest_port == 0 and (version.has_management_port or version.era == "spp-ctl"):
        yield "controller.rest_port is 0, but the launcher and the CLI need this port; set it, for example to 7777"
    if flags.nof_ring and version.ivshmem and config.spp.qemu is None:
        yield "ring VMs need the patched QEMU; set spp: {qemu: PATH}"
    elif flags.nof_ring and not version.ivshmem:
        yield "ring VMs need DPDK's ivshmem, which only 16.07 has, or our own data plane; start without them: -nr 0"
    servers = [s for s in secondaries if s.type == "nfv"]
    if flags.nof_vhost and not servers and not version.primary_forwards:
        yield "vhost VMs need an nfv that serves their ports, because this release's primary cannot forward"
    if config.spp.sock_dir not in (None, "/tmp") and (flags.nof_vhost or flags.vdev_vhost):  # noqa: S108 - the default of SPP
        yield f"spp.sock_dir is {config.spp.sock_dir}, but upstream programs use /tmp only; remove this key"
    yield from _chain_problems(config, paths)
    if flags.vdev_tap and not version.since("17.02"):
        yield "-vdt: the DPDK of this release has no TAP driver"


def _chain_problems(config: Config, paths: LabPaths) -> Iterator[str]:
    """Yield a message for each port of a chain that this release does not support."""
    for name, chain in config.chains.items():
        for element in chain.path:
            since = FIRST_WITH_PORT.get(element.partition(":")[0])
            if since and not paths.version.since(since):
                yield f"chain {name}: {element} requires {since} or later"
