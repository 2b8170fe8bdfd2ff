"""``sppr``: the table of verbs. A verb is imported when it is called, so that ``sppr -h`` is fast."""

import importlib
from typing import Any

import click

from sppr.cli.errors import CONTEXT, ErrorReportingCommand

#: verb -> module below sppr.cli, name of its command there, and its line in the help.
VERBS = {
    "init": ("conf.commands", "init", "Write a conf.yml with comments into this folder."),
    "up": ("up", "main", "Bring the lab up, and attach to it."),
    "down": ("lifecycle", "down", "Stop the lab, and remove its windows, sockets and hugepage files."),
    "status": ("inspect", "status", "Show the state of every part."),
    "start": ("lifecycle", "start", "Start parts that are stopped or failed."),
    "stop": ("lifecycle", "stop", "Stop parts."),
    "restart": ("lifecycle", "restart", "Stop parts and start them again, each in its own pane."),
    "attach": ("lifecycle", "attach", "Attach this terminal to the lab."),
    "plan": ("inspect", "plan", "Print every window, folder and command of up, and start nothing."),
    "logs": ("inspect", "logs", "Print the log of a part."),
    "top": ("live.top", "top", "Show chains, parts and ports with their rates, once a second."),
    "events": ("live.events", "events", "Print what happened to the lab."),
    "analyze": ("live.events", "analyze", "Print the critical chain of the last bring-up."),
    "doctor": ("doctor", "main", "Check this machine for problems of the lab, fix them, explain a log."),
    "setup": ("setup", "main", "Prepare this machine: hugepages, hugetlbfs, a base image."),
    "image": ("image", "main", "Manage images: list, build, import, build-template, reset, rm, check."),
    "chain": ("chain.commands", "main", "Show, apply, prove and measure service chains; run a shell at an end."),
    "impair": ("chain.impair", "main", "Delay, lose, duplicate, corrupt, reorder or shape the frames of a chain."),
    "capture": ("chain.capture", "main", "Capture frames of chains and ports into one pcapng, or print them."),
    "topo": ("chain.topo", "main", "Draw the network of the lab: processes, ports, patches, chains, rates."),
    "save": ("inspect", "save", "Print what runs now as chains: and patches: of conf.yml."),
    "export": ("conf.commands", "export", "Write the chains of conf.yml for another tool: clab."),
    "schema": ("conf.commands", "schema", "Print the JSON schema of conf.yml, for editors."),
    "inventory": ("hosts.verbs", "inventory_command", "Print the Ansible inventory of the hosts of conf.yml."),
    "on": ("hosts.attach", "on", "Run a command of sppr on a host of conf.yml."),
    "spp": ("spp.commands", "main", "List the source trees of upstream SPP, and what they lack."),
    "run": ("part.run", "main", "Run one process of the lab, as the runscripts do."),
}


class Verbs(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, name, _ = VERBS[cmd_name]
        command = getattr(importlib.import_module(f"sppr.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs with their help lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in VERBS.items()])


class Main(ErrorReportingCommand, Verbs):
    """The verbs, with error reporting."""


@click.command(cls=Main, context_settings=CONTEXT)
@click.version_option(package_name="sppr")
def main(**_: Any) -> None:
    """Bring up, prove and control a service function chain on one machine: SPP, its VMs and the patch panel
    between them.

    Shell completion: eval "$(_SPPR_COMPLETE=bash_source sppr)"   (or zsh_source, fish_source)
    """
