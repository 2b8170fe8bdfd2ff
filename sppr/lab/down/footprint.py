"""Record the files that a session creates outside of its run directory, for the case that state.json cannot be read."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from sppr.host import atomic_write
from sppr.lab.plan.plan import Plan

_NAME = "footprint.json"
#: The name of the file up to 0.1: a lab of that version can still be taken down.
_OLD_NAME = "traces.json"


@dataclass(frozen=True)
class Footprint:
    """The files of a session outside of its run directory, as footprint.json keeps them.

    ``socket_name``: the name of its tmux server (``tmux -L``), or None.
    ``file_prefix``, ``huge_dir``: the EAL options of these names.
    ``sockets``, ``regions``: vhost-user sockets and those of captures; shared regions.
    ``conf``: the conf.yml of the lab; empty: not recorded.
    """

    socket_name: str | None
    file_prefix: str
    huge_dir: str
    sockets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    conf: str = ""


def write(plan: Plan) -> None:
    """Write the footprint of the plan into the run directory, unless the file already has this content."""
    folder = Path(plan.run)
    sockets = (*plan.sockets, *plan.capture_sockets)
    ours = Footprint(plan.socket_name, plan.file_prefix, plan.huge_dir, sockets, plan.regions, plan.conf)
    if read(folder) != ours:
        atomic_write.write(folder / _NAME, json.dumps(asdict(ours)) + "\n")


def read(folder: Path) -> Footprint | None:
    """Return the footprint in a run directory. Return None if it is missing or unreadable."""
    path = folder / _NAME
    try:
        raw = (path if path.exists() else folder / _OLD_NAME).read_bytes()
        return msgspec.json.decode(raw, type=Footprint)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def prefixes(programs: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return each ``--file-prefix`` in these command lines with its ``--huge-dir``, or "" if it has none."""
    huge_dirs = {}
    for words in programs:
        if prefix := _value(words, "--file-prefix"):
            huge_dirs[prefix] = _value(words, "--huge-dir")
    return huge_dirs


def _value(words: Sequence[str], option: str) -> str:
    after = [b for a, b in pairwise(words) if a == option]
    return next(iter(after + [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]), "")
