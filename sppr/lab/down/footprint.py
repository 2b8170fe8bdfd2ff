"""What a session leaves outside of its folder, in a small file of its own: for when state.json cannot be read."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from sppr.host import atomic_write
from sppr.lab.plan.plan import Plan

_NAME = "traces.json"


@dataclass(frozen=True)
class Footprint:
    """``socket_name``: of its tmux server. ``conf``: the conf.yml of the lab; empty: not noted."""

    socket_name: str | None
    file_prefix: str
    huge_dir: str
    sockets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    conf: str = ""


def write(plan: Plan) -> None:
    """Note those of the plan in the session's folder, where they are not noted."""
    folder = Path(plan.run)
    ours = Footprint(plan.socket_name, plan.file_prefix, plan.huge_dir, plan.sockets, plan.regions, plan.conf)
    if read(folder) != ours:
        atomic_write.write(folder / _NAME, json.dumps(asdict(ours)) + "\n")


def read(folder: Path) -> Footprint | None:
    """None where they were not noted, or cannot be understood."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=Footprint)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def prefixes(programs: Iterable[Sequence[str]]) -> dict[str, str]:
    """``--file-prefix`` of each of these command lines that has one -> its ``--huge-dir``, empty without one."""
    found = {}
    for words in programs:
        if prefix := _value(words, "--file-prefix"):
            found[prefix] = _value(words, "--huge-dir")
    return found


def _value(words: Sequence[str], option: str) -> str:
    after = [b for a, b in pairwise(words) if a == option]
    return next(iter(after + [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]), "")
