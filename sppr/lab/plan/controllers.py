"""The part of a plan that is controllers: ours, or those of a real SPP tree, and what its release can do. Pure."""

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


def controllers(config: Config, paths: LabPaths, chosen: Sequence[Secondary]) -> list[Part]:
    """All in the window ``ctrler``: ours; spp-ctl and SPP's CLI; or spp.py, and spp_vf.py where a vf is to start."""
    c, version, run = config.controller, paths.version, paths.run
    if paths.tree is None or version.era == "sppr":
        ours = Controller(
            c.host, c.pri_port, c.sec_port, api_socket(run), wiring_file(run), c.rest_host, c.rest_port,
            guests_socket(run), config.spp.file_prefix or paths.session, c.allow_users, c.allow, paths.vm_user,
        )  # fmt: skip
        return [_part(paths, "ctrler", "", ours.argv())]
    if version.era == "spp-ctl":
        ctl = SppCtl(paths.interpreter("spp-ctl"), paths.tree, c.host, c.pri_port, c.sec_port, c.rest_port)
        cli = Cli(paths.interpreter("spp.py"), paths.tree, version, local(c.host), c.rest_port)
        shown = _part(paths, "cli", "cli", cli.argv(), "--cli")
        return [
            _part(paths, "ctrler", "spp-ctl", ctl.argv()),
            replace(shown, depends_on=("ctrler",), console=str(run / "cli.log")),
        ]
    manage = c.rest_port if version.has_management_port else 0
    ports = c.pri_port, c.sec_port, manage
    spp = Classic(paths.interpreter("spp.py"), paths.tree, version, "spp.py", c.host, *ports, api_socket(run))
    made = [_part(paths, "ctrler", "spp.py", spp.argv())]
    if version.has_vf_controller and any(s.type == "vf" for s in chosen):
        ports = c.vf_pri_port, c.vf_sec_port, 0
        vf = Classic(paths.interpreter("spp_vf.py"), paths.tree, version, "spp_vf.py", c.host, *ports, vf_socket(run))
        made.append(replace(_part(paths, "vfctrl", "spp_vf.py", vf.argv(), "--vf"), control=str(vf_socket(run))))
    return made


def _part(paths: LabPaths, name: str, kind: str, program: Sequence[str], *options: str) -> Part:
    command = (*paths.runscript("controller.py"), *options, *paths.flags())
    return Part(name, "controller", None, "ctrler", command, tuple(program), kind=kind, upstream=bool(kind))


def vf_socket(run: Path) -> Path:
    """Where the keeper of spp_vf.py is asked."""
    return run / "vf.sock"


def rest(config: Config, paths: LabPaths) -> str:
    """``host:port`` where the launcher asks spp-ctl; empty for all other controllers, which have a socket."""
    c = config.controller
    return f"{local(c.host)}:{c.rest_port}" if paths.version.era == "spp-ctl" and paths.tree is not None else ""


def check(config: Config, flags: Flags, paths: LabPaths) -> None:
    """ConfigError that names all that the release of SPP in ``spp.dir`` cannot do."""
    if paths.tree is None or not paths.version.name:
        return
    problems = list(_problems(config, flags, paths))
    if problems:
        what = "\n".join(f"SPP {paths.version.name}: {problem}" for problem in problems)
        raise ConfigError(what, hint="docs/upstream-spp.md has what each release can do; spp.version names another")


def _problems(config: Config, flags: Flags, paths: LabPaths) -> Iterator[str]:
    version = paths.version
    chosen = config.secondaries[: flags.nof_sec]
    for secondary in chosen:
        if secondary.type not in version.kinds:
            yield f"secondary {secondary.id}: it has no spp_{secondary.type}, only {', '.join(version.kinds)}"
        if secondary.id > version.last_id:
            yield f"secondary {secondary.id}: spp.py takes ids up to {version.last_id}, and serves nobody after another"
        if secondary.vhost_client and not version.vhost_client and secondary.type == "nfv":
            yield f"secondary {secondary.id}: vhost_client is of 18.08.2 and later"
    if config.controller.rest_port == 0 and (version.has_management_port or version.era == "spp-ctl"):
        yield "controller.rest_port: 0, but the launcher and the CLI need that port, such as 7777"
    if flags.nof_ring and version.ivshmem and config.spp.qemu is None:
        yield "ring VMs want the QEMU that was patched for them: spp: {qemu: PATH}"
    elif flags.nof_ring and not version.ivshmem:
        yield "ring VMs share memory by DPDK's ivshmem, which only 16.07 has, or by our own data plane: -nr 0"
    servers = [s for s in chosen if s.type == "nfv"]
    if flags.nof_vhost and not servers and not version.primary_forwards:
        yield "vhost VMs want an nfv that serves their ports: its primary cannot forward"
    if config.spp.sock_dir not in (None, "/tmp") and (flags.nof_vhost or flags.vdev_vhost):  # noqa: S108 - SPP's own place
        yield f"spp.sock_dir: {config.spp.sock_dir}, but its programs know /tmp only"
    yield from _of_chains(config, paths)
    if flags.vdev_tap and not version.since("17.02"):
        yield "-vdt: its DPDK has no taps"


def _of_chains(config: Config, paths: LabPaths) -> Iterator[str]:
    """Ports of chains that this release does not have."""
    first = {"memif": "19.11", "nullpmd": "18.02", "pcap": "18.02"}
    for name, chain in config.chains.items():
        for element in chain.path:
            since = first.get(element.partition(":")[0])
            if since and not paths.version.since(since):
                yield f"chain {name}: {element} is of {since} and later"
