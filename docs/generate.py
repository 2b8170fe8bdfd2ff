#!/usr/bin/env python3
"""Write the generated parts of docs/ (keys of conf.yml, commands, troubleshooting, pictures), and conf.schema.json.

`make docs` runs it; with --check it writes nothing, and exits with status 1 if a file is not current. A test runs that.
The text between the lines ``<!-- generated: NAME -->`` and ``<!-- end -->`` of a document is replaced.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

from sppr.cli import main as cli  # noqa: E402
from sppr.cli import sppsh, up  # noqa: E402
from sppr.cli.chain import topo  # noqa: E402
from sppr.config import schema  # noqa: E402
from sppr.config.load import load, parse  # noqa: E402
from sppr.config.model import Config, PatchLine  # noqa: E402
from sppr.controller.prompt.controllers import ProcessStatus  # noqa: E402
from sppr.controller.topology import graph  # noqa: E402
from sppr.controller.topology import picture as topology_picture  # noqa: E402
from sppr.controller.topology.rates import Flow  # noqa: E402
from sppr.host.checks import REGISTRY  # noqa: E402
from sppr.host.facts import Facts  # noqa: E402
from sppr.lab.chains import chart  # noqa: E402
from sppr.lab.paths import gather_paths  # noqa: E402
from sppr.lab.plan import planner  # noqa: E402
from sppr.lab.plan.plan import Flags, Plan  # noqa: E402

#: Columns of a command's usage and options.
WIDTH = 110
#: Lines of logs as the programs print them, each with the ids of the checks that know it.
SYMPTOMS = ROOT / "tests/unit/host/data/symptoms.txt"
#: Names of programs and devices, which begin a sentence in lower case.
NAMES = ("sudo ", "tmux ", "net_tap ")


def models_in(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """Yield the models in a type, each with what stands for it in a key: ``[]`` for a list, ``.NAME`` for a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ""
        return
    words = get_args(annotation)
    suffix = {tuple: "[]", dict: ".NAME"}.get(getattr(annotation, "__origin__", None), "")
    for word in words[-1:] if suffix == ".NAME" else words:
        yield from ((model, suffix + rest) for model, rest in models_in(word))


def keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield key, default and description of every key of conf.yml, in the order of the model."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner = (
            [] if name == "restart" or field.annotation == tuple[PatchLine, ...] else list(models_in(field.annotation))
        )
        if field.description:
            yield key, default_of(field.default), field.description
        for one, suffix in inner[:1]:
            yield from keys(one, f"{key}{suffix}.")


def default_of(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        value = value.policy if hasattr(value, "policy") else None
    if value is None or value == () or value == {}:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def conf_table() -> str:
    masks = {"primary.coremask", "primary.portmask"}
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key, default, text in keys():
        shown = f"`0x{int(default.strip('`')):02x}`" if key in masks else default
        rows.append(f"| `{key}` | {shown} | {text} |")
    return "\n".join(rows)


def commands() -> str:
    """Return a section for each command, with its usage and options as ``-h`` prints them."""
    parts = []
    tops = [("wakeup", up.main), ("sppr", cli.main), ("sppsh", sppsh.main)]
    for name, command in tops:
        parts += _command(
            command, click.Context(command, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH)
        )
    return "\n\n".join(parts)


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    settings = command.context_settings | {"max_content_width": WIDTH, "terminal_width": WIDTH}
    return click.Context(command, parent, name, **settings)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}\n\n```\n{command.get_help(context).rstrip()}\n```"
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None and not inner.hidden:
            yield from _command(inner, _context(inner, name, context))


def troubles() -> str:
    """Return a section for each check of doctor: the log lines that it knows, the cause, and the fix."""
    lines: dict[str, list[str]] = {}
    for text in SYMPTOMS.read_text().splitlines():
        ids, _, line = text.partition(" | ")
        if not text.startswith("#") and line:
            for identity in ids.split(","):
                lines.setdefault(identity, []).append(line)
    parts = []
    for check in REGISTRY:
        block = "\n".join(lines.get(check.id, []))
        shown = f"\n\n```\n{block}\n```" if block else ""
        found = "`sppr doctor` checks it." if check.inspect else "Known from logs: `sppr doctor explain`."
        cause = check.cause if check.cause.startswith(NAMES) else check.cause[0].upper() + check.cause[1:]
        parts.append(f"### {check.id}{shown}\n\nCause: {cause}. {found}\n\nFix: {_as_code(check.fix)}")
    return "\n\n".join(parts)


def _as_code(fix: str) -> str:
    """Return the command at the begin of a fix as code, and what follows as text."""
    command, gap, rest = fix.partition("   ")
    return f"`{command}` {rest.strip()}" if gap else fix


def shipped_plan() -> Plan:
    """Return the plan of the shipped conf.yml."""
    conf = ROOT / "conf.yml"
    config = load(conf)
    return planner.make(config, Flags(), Facts(cpus=(0, 1)), gather_paths(config, conf, None))


def picture() -> str:
    """Return the picture of the chain in the shipped conf.yml, as ``sppr chain draw`` draws it when the chain is up."""
    wiring = shipped_plan().wiring
    return chart.lanes(wiring, {chain.name: "up" for chain in wiring.chains})


#: The lab of the chapter about test equipment.
EQUIPMENT = """
secondaries: [{id: 1, coremask: 0x0C}]
vms_ring: [{id: 6}]
vms_vhost: [{id: 11}]
chains:
  video: {path: [tap:0, vm_v11, tap:1], match: {vlan: 100}}
  web:
    path: [tap:0, vm_r6, tap:1]
    match: {dst_mac: "02:00:00:00:00:21"}
    impair: {delay: 20ms, jitter: 2ms, loss: 0.5%}
  rest: {path: [tap:0, tap:1], match: default}
"""


def equipment() -> str:
    """Return the picture of chains that share their ends."""
    conf = ROOT / "conf.yml"
    config = parse(EQUIPMENT.encode(), "conf.yml")
    flags = Flags(nof_sec=1, nof_ring=1, nof_vhost=1)
    wiring = planner.make(config, flags, Facts(cpus=(0, 1)), gather_paths(config, conf, None)).wiring
    return chart.lanes(wiring, {chain.name: "up" for chain in wiring.chains})


def topology() -> str:
    """Return the picture that ``sppr topo`` draws of the shipped conf.yml with frames on its chain."""
    plan = shipped_plan()
    patches: dict[str, list[dict[str, str]]] = {"primary": []}
    flows = {}
    for chain in plan.wiring.chains:
        for direction, legs in chain.directions:
            for leg in legs:
                patches.setdefault(leg.process, []).append({"src": leg.src, "dst": leg.dst})
                flows[leg.patch] = Flow(81_300.0 if direction == "forward" else 78_900.0, 0.0)
    served = {part.server: part.ports for part in plan.parts if part.is_vm}
    statuses = []
    for label, rows in patches.items():
        ports = [*(port for row in rows for port in row.values()), *served.get(label, ())]
        status = {"status": "running" if rows else "idling", "patches": rows, "ports": list(dict.fromkeys(ports))}
        guests = [part for part in plan.parts if part.is_vm and label == f"nfv:{part.id}"]
        status |= {"lcores": [0] if guests else [1, 2], "master-lcore": 0 if guests else 1}
        kind, _, number = label.partition(":")
        statuses.append(ProcessStatus(kind, int(number or 0), {"forwarder": status} if kind == "primary" else status))
    network = graph.build(statuses, None, topo.details(plan, flows))
    return topology_picture.svg(network, "Session spp", "frames per second, measured over 0.5 s")


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each file and its current text."""
    parts = {"conf.md": conf_table, "commands.md": commands, "troubleshooting.md": troubles}
    for name, make in parts.items():
        path = DOCS / name
        text = path.read_text()
        marks = re.compile(r"(<!-- generated: [^>]* -->\n).*?(<!-- end -->)", re.DOTALL)
        assert marks.search(text), f"{path}: no line <!-- generated: … -->"
        yield path, marks.sub(lambda match, make=make: f"{match[1]}\n{make()}\n\n{match[2]}", text)  # type: ignore[misc]
    yield DOCS / "chain.svg", picture()
    yield DOCS / "equipment.svg", equipment()
    yield DOCS / "topology.svg", topology()
    yield ROOT / schema.FILE, schema.text()


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    stale = [(path, text) for path, text in generated() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        print(f"{path.relative_to(ROOT)}: {'not current: make docs' if check else 'written'}")
        if not check:
            path.write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
