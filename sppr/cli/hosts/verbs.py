"""``up``, ``down``, ``status`` and ``plan`` for a conf.yml that has ``hosts:``, and ``sppr inventory``."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand
from sppr.cli.hosts.progress import watch
from sppr.errors import ConfigError, SpprError
from sppr.hosts import engine, scratch
from sppr.hosts.engine import HostResult
from sppr.hosts.inventory import inventory
from sppr.hosts.lab import HostsLab, gather, placement_text, rooms_from


def find(conf: Path | None) -> HostsLab | None:
    """Return the lab of conf.yml if it is over several hosts, with its parts placed. None: it is not.

    Raise ConfigError for an invalid one.
    """
    from sppr.config import load, peek

    path = peek.find_conf(conf)
    if not peek.has_hosts(path):
        return None
    config = load.load(path)
    if not config.hosts:
        return None

    def facts() -> Mapping[str, Any]:
        bare = HostsLab(path, config, {}, {})
        click.echo("reading cores and memory of the hosts", err=True)
        results = engine.run_playbook("facts", inventory(bare), list(config.hosts))
        _check_all(results, "parts cannot be placed")
        return rooms_from({host: one.results for host, one in results.items()}, config.session)

    return gather(path, config, facts)


def required(conf: Path | None) -> HostsLab:
    """Return the lab of conf.yml, as ``find``. Raise ConfigError if it has no hosts."""
    from sppr.config import peek

    lab = find(conf)
    if lab is None:
        what = f"{peek.find_conf(conf)}: has no hosts:"
        raise ConfigError(what, hint="hosts: {east: {address: 192.0.2.11}}; docs/hosts.md begins with two machines")
    return lab


def selected(lab: HostsLab, hosts: Sequence[str]) -> list[str]:
    """Return these hosts, by default all. Raise ConfigError for an unknown one."""
    unknown = [host for host in hosts if host not in lab.config.hosts]
    if unknown:
        known = ", ".join(lab.config.hosts)
        raise ConfigError(f"--host {unknown[0]}: conf.yml has no such host", hint=f"its hosts: {known}")
    return list(hosts) or list(lab.config.hosts)


def allow_options(*names: str) -> None:
    """Raise ConfigError for any other option on the command line: conf.yml describes the lab of each host."""
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is click.core.ParameterSource.COMMANDLINE and option.name not in ("conf", "hosts", *names):
            raise ConfigError(
                f"{option.opts[-1]}: not for a lab over several hosts", hint="leave it out, or sppr on HOST"
            )


def up(lab: HostsLab, hosts: Sequence[str], *, detach: bool = True, prove: bool = False) -> int:
    """Bring up the lab of each host, and return the exit status.

    ``prove``: then prove all chains. Without ``detach``, attach to a session with a window for each host.
    """
    names = selected(lab, hosts)
    lab.keep()
    for line in placement_text(lab):
        click.echo(line)
    with scratch.folder() as folder, watch(names) as report:
        variables = {"sppr_archive": str(engine.archive(folder) or "")}
        results = engine.run_playbook("up", inventory(lab), names, report, variables=variables)
    status = _print(lab, results, {True: "is up", False: "is up already: nothing was changed"}, "sppr up continues")
    if status == 0 and prove and lab.config.chains:
        from sppr.cli.hosts import chains

        status = chains.prove(lab, (), True, None, {}, True, None, None)
    if status == 0 and not detach:
        from sppr.cli.hosts.attach import attach_to_all

        attach_to_all(lab)
    return status


def down(lab: HostsLab, hosts: Sequence[str]) -> int:
    """End the lab of each host, and return the exit status."""
    names = selected(lab, hosts)
    with watch(names) as report:
        results = engine.run_playbook("down", inventory(lab), names, report)
    if not hosts:
        from sppr.cli.hosts.attach import close_session

        close_session(lab)
    return _print(lab, results, {True: "is down", False: "was down"}, "sppr down continues")


def status(lab: HostsLab, hosts: Sequence[str], *, as_json: bool) -> int:
    """Print the state of the parts of each host, and return the exit status: 0 if all are ready and all chains up."""
    names = selected(lab, hosts)
    variables = {"sppr_words": ["status", "--session", lab.session, *(["--json"] if as_json else [])]}
    results = engine.run_playbook("verb", inventory(lab), names, variables=variables)
    found = {host: one.results.get("Run the command", {}) for host, one in results.items()}
    if as_json:
        click.echo(json.dumps({host: _rows(results[host], found[host]) for host in names}, indent=1))
    for host in names if not as_json else ():
        show_output(f"host {host} ({lab.config.hosts[host].address})", results[host], found[host])
    return 0 if all(_is_well(results[host], found[host]) for host in names) else 1


def show_output(title: str, result: HostResult, found: Mapping[str, Any]) -> None:
    """Print what a command printed on a host, below a title."""
    click.echo(title)
    text = f"{found.get('stdout', '')}\n{found.get('stderr', '')}".strip()
    why = f"unreachable: {result.error}" if result.unreachable else result.error
    text = why or text or f"no lab: {found.get('msg', 'sppr up')}"
    for line in text.splitlines():
        click.echo(f"  {line}")


def _rows(result: HostResult, found: Mapping[str, Any]) -> Any:
    """Return the parts of a host as its ``sppr status --json`` prints them, or why there are none."""
    if result.error:
        return {"error": result.error, "unreachable": result.unreachable}
    try:
        return {"status": found.get("rc"), "parts": json.loads(found.get("stdout") or "[]")}
    except ValueError:
        return {"status": found.get("rc"), "parts": [], "error": str(found.get("stderr", ""))}


def _is_well(result: HostResult, found: Mapping[str, Any]) -> bool:
    return result.ok and found.get("rc") == 0


def show_plan(lab: HostsLab, hosts: Sequence[str]) -> int:
    """Print the placement; with hosts, also the conf.yml of each. Return the exit status."""
    from sppr.config.hosts.split import text_of

    names = selected(lab, hosts)
    for line in placement_text(lab):
        click.echo(line)
    for host in names if hosts else ():
        click.echo(f"\nconf.yml of {host}")
        for line in text_of(lab.labs[host].config).splitlines():
            click.echo(f"  {line}")
    return 0


def _print(lab: HostsLab, results: Mapping[str, HostResult], words: Mapping[bool, str], then: str) -> int:
    """Print a line for each host, and return the exit status."""
    width = max(map(len, results))
    for host, one in results.items():
        if one.unreachable:
            address = lab.config.hosts[host].address
            click.echo(f"{host:{width}}  is unreachable at {address}: {one.error}; {then}", err=True)
        elif one.error:
            click.echo(f"{host:{width}}  {one.error}", err=True)
        else:
            click.echo(f"{host:{width}}  {words[one.changed > 0]}")
    return 0 if all(one.ok for one in results.values()) else 1


def _check_all(results: Mapping[str, HostResult], what: str) -> None:
    """Raise SpprError if a host failed."""
    failed = [f"{host}: {one.error}" for host, one in results.items() if not one.ok]
    if failed:
        raise SpprError(
            f"{what}: {'; '.join(failed)}", hint="or write host: in each part, and cores: and memory: of hosts"
        )


@click.command("inventory", cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.conf
def inventory_command(conf: Path | None) -> None:
    """Print the Ansible inventory of the hosts: ansible-playbook -i <(sppr inventory) mine.yml"""
    json.dump(inventory(required(conf)), sys.stdout, indent=1)
    click.echo()
