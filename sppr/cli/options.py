"""Options that several commands share, and their parameter types."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sppr import units

F = TypeVar("F", bound=Callable[..., Any])


class Ids(click.ParamType[tuple[int, ...]]):
    """Ids: ``1``, ``1-3`` or ``1,3``."""

    name = "ids"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(units.parse_ids(value))
        except ValueError as e:
            self.fail(str(e), param, ctx)


class Mask(click.ParamType[int]):
    """A hexadecimal mask."""

    name = "mask"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return units.parse_mask(value)
        except ValueError as e:
            self.fail(str(e), param, ctx)


class Mib(click.ParamType[int]):
    """A size. The value is in MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return units.parse_mib(value)
        except ValueError as e:
            self.fail(str(e), param, ctx)


def conf(command: F) -> F:
    """Add --conf."""
    return click.option(
        "--conf",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="conf.yml of the lab.  [default: the one beside bin/; for sppr: ./conf.yml]",
    )(command)


def _sessions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from sppr.lab.state import state

    return [name for name in state.sessions() if name.startswith(incomplete)]


def _session(*names: str) -> Callable[[F], F]:
    return click.option(
        *names,
        metavar="NAME",
        help="Name of the tmux session.  [default: that of conf.yml, spp]",
        shell_complete=_sessions,
    )


#: For the runscripts, because ``-s`` of controller.py is another option.
session = _session("--session")
#: For the verbs of sppr.
verb_session = _session("-s", "--session")


def hosts(command: F) -> F:
    """Add --host, for a conf.yml that has ``hosts:``."""
    return click.option("--host", "hosts", multiple=True, metavar="NAME", help="Only this host of hosts:; repeatable.")(
        command
    )


def _parts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from sppr.cli.session import session_of
    from sppr.errors import SpprError
    from sppr.lab.state import state as states

    try:
        parts = states.load(session_of(ctx.params.get("session"))).plan.parts
    except SpprError:
        return []
    return [part.name for part in parts if part.name.startswith(incomplete)]


def part_names(command: F) -> F:
    """Add an argument: names of parts, as ``sppr status`` prints them."""
    return click.argument("names", nargs=-1, required=True, metavar="NAME…", shell_complete=_parts)(command)


def powerdown(command: F) -> F:
    """Add --powerdown."""
    return click.option(
        "--powerdown", type=float, default=20.0, show_default=True, help="Seconds a guest has to power off."
    )(command)


def part_name(command: F) -> F:
    """Add an argument: the name of one part."""
    return click.argument("name", shell_complete=_parts)(command)


def _checked_vdevs(ctx: click.Context, param: click.Parameter, vdevs: tuple[str, ...]) -> tuple[str, ...]:
    if vdevs:
        from sppr.config.rules import long_interface  # it imports pydantic, which takes 60 ms

        for vdev in vdevs:
            if wrong := long_interface(vdev):
                raise click.BadParameter(": ".join(wrong), ctx, param)
    return vdevs


def vdevs(command: F) -> F:
    """Add -p -vd -vdt -vdv, which wakeup and primary.py share."""
    for option in (
        click.option("-vdv", "--vdev-vhost", type=Ids(), default=(), help="Vhost devices of the primary: 1, 1-3, 1,3."),
        click.option("-vdt", "--vdev-tap", type=Ids(), default=(), help="Tap devices of the primary: 1, 1-3, 1,3."),
        click.option(
            "-vd",
            "--vdev",
            "vdevs",
            multiple=True,
            metavar="DEV",
            callback=_checked_vdevs,
            help="EAL device; repeatable.",
        ),
        click.option("-p", "--portmask", type=Mask(), help="Ports of the primary.  [default: conf.yml]"),
    ):
        command = option(command)
    return command


def lab(command: F) -> F:
    """Add the options of up, wakeup and plan."""
    count = click.IntRange(0, 127)
    for option in (
        click.option("--socket-name", metavar="NAME", help="Use a separate tmux server (tmux -L NAME)."),
        verb_session,
        conf,
        vdevs,
        click.option("-t", "--template", is_flag=True, help="Boot the template VMs instead of instances."),
        click.option(
            "-vn", "--vhost-num", type=click.IntRange(1, 9), default=1, show_default=True, help="Vhost NICs of a VM."
        ),
        click.option("-nw", "--nof-working", type=count, default=1, show_default=True, help="Work windows."),
        click.option("-nv", "--nof-vhost", type=count, help="Vhost VMs.  [default: 1]"),
        click.option("-nr", "--nof-ring", type=count, help="Ring VMs.  [default: 1]"),
        click.option("-ns", "--nof-sec", type=count, help="Secondaries.  [default: 2]"),
    ):
        command = option(command)
    return command


def dry_run(command: F) -> F:
    """Add --dry-run."""
    return click.option("--dry-run", is_flag=True, help="Print the command, and do not run it.")(command)


def spp_process(port: str) -> Callable[[F], F]:
    """Add the options that primary.py and secondary.py share, with their names of 2017.

    ``port``: the key of ``controller`` to which the process connects.
    """

    def add(command: F) -> F:
        for option in (
            click.option("-mc", "-nm", "--channels", type=click.IntRange(1, 32), help="Memory channels.  [default: 4]"),
            click.option("-cp", "--port", port, type=click.IntRange(1, 65535), help="Port of the controller."),
            click.option("-ch", "--host", help="Address of the controller, dotted IPv4.  [default: conf.yml]"),
            click.option("-c", "--coremask", type=Mask(), help="lcores, as 0x0C.  [default: conf.yml]"),
            click.option("-d", "--spp-dir", type=click.Path(path_type=Path), help="A built SPP tree.  [default: ours]"),
        ):
            command = option(command)
        return command

    return add
