"""``sppr``: the verbs. Each is a file of its own, imported when it is called, so that -h stays fast."""

import importlib
from typing import Any

import click

from sppr.cli.errors import CONTEXT, ErrorReportingCommand

#: verb -> module below sppr.cli, name of its command there, and its line in the help.
VERBS = {
    "up": ("up", "main", "Bring the lab up and show it."),
    "down": ("lifecycle", "down", "End the lab: every process, window, socket and hugepage of it."),
    "status": ("inspect", "status", "Show each part of the lab as it is."),
    "start": ("lifecycle", "start", "Start parts that do not run."),
    "stop": ("lifecycle", "stop", "End parts; the rest runs on."),
    "restart": ("lifecycle", "restart", "End parts and start them again, each in its own pane."),
    "attach": ("lifecycle", "attach", "Show the lab in this terminal."),
    "plan": ("inspect", "plan", "Print every window, folder and command of up; touch nothing."),
    "logs": ("inspect", "logs", "Print what a part has printed since its first byte."),
    "doctor": ("doctor", "main", "Check what is known to stop a lab; fix it, explain a log."),
    "setup": ("setup", "main", "Make this machine ready: hugepages, hugetlbfs, a base image."),
    "image": ("image", "main", "Images: list, build, import, build-template, reset, rm, check."),
    "chain": ("chain.commands", "main", "Service chains: show, apply, prove with packets, measure; a shell at an end."),
    "save": ("inspect", "save", "Print what runs now as chains: and patches: of conf.yml."),
    "run": ("part.run", "main", "One process of the lab, as the runscripts start it."),
}


class Verbs(click.Group):
    """A group whose commands are imported when needed."""

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
        """The verbs with their lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in VERBS.items()])


class Main(ErrorReportingCommand, Verbs):
    """The verbs, with our errors told and turned into exit codes."""


@click.command(cls=Main, context_settings=CONTEXT)
@click.version_option(package_name="sppr")
def main(**_: Any) -> None:
    """A service function chain on a bench: SPP, its VMs and the patch panel between them, in a tmux session.

    Shell completion: eval "$(_SPPR_COMPLETE=bash_source sppr)"   (or zsh_source, fish_source)
    """
