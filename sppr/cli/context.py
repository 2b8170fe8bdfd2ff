"""Load conf.yml and the facts of the machine, and make the plan of a command."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sppr.cli.hosts.dispatch import not_over_hosts
from sppr.cli.session import check_name
from sppr.config import load, peek
from sppr.config.model import Config, Secondary
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.lab import machine
from sppr.lab.chains.planner import chains
from sppr.lab.chains.wiring import Wiring
from sppr.lab.paths import LabPaths, gather_paths
from sppr.lab.plan import plan, planner
from sppr.lab.state.state import State


@dataclass(frozen=True)
class Lab:
    """The context of a command: conf.yml, facts about the machine, paths of the lab, and its plan."""

    config: Config
    facts: Facts
    paths: LabPaths
    plan: plan.Plan


def load_paths(conf: Path | None, session: str | None) -> tuple[Config, LabPaths]:
    """Return conf.yml and the paths of its lab. Raise ConfigError for a session name that tmux cannot use."""
    check_name("--session", session)
    path = peek.find_conf(conf)
    config = load.load(path)
    if config.hosts:
        raise not_over_hosts(path)
    return config, gather_paths(config, path, session)


def gather(
    conf: Path | None, session: str | None, socket_name: str | None, flags: dict[str, Any], *, named_base: bool = True
) -> Lab:
    """Read conf.yml and the machine, and plan the lab.

    ``named_base``: raise AmbiguousBase if the lab has VMs, several base images exist, and conf.yml names none.
    """
    check_name("--socket-name", socket_name)
    config, where = load_paths(conf, session)
    found = machine.read_facts(config.vm.accel, mappers=False)
    with _placed(where.conf):
        made = planner.make(config, plan.Flags(**flags), found, where, socket_name)
    if named_base:
        where.check_base_named(made.parts)
    return Lab(config, found, where, made)


def reload(state: State) -> Lab | None:
    """Plan the lab of a session again, from its conf.yml as it is now. Return None if that file is gone.

    Raise ConfigError if it is invalid.
    """
    old = state.plan
    if not Path(old.conf).exists():
        return None
    config, where = load_paths(Path(old.conf), old.session)
    found = machine.read_facts(config.vm.accel, mappers=False)
    with _placed(where.conf):
        return Lab(config, found, where, planner.make(config, old.flags, found, where, old.socket_name))


def rewired(lab: Lab, made: plan.Plan, old: plan.Plan | None = None, keep: Sequence[str] | None = None) -> plan.Plan:
    """Return the plan ``made`` with the chains of conf.yml wired over its parts as they run.

    ``old``: the plan before, whose other patches are retired, except those of the chains that ``keep`` names; None:
    those that it kept. ConfigError for a name in ``keep`` that is no chain.
    """
    before = old.wiring if old else Wiring()
    names = before.kept if keep is None else tuple(keep)
    unknown = [name for name in names if name not in lab.config.chains and name not in {c.name for c in before.chains}]
    if unknown:
        listed = ", ".join(chain.name for chain in before.chains) or "none"
        raise ConfigError(f"--keep-chains: no chain {', '.join(unknown)}", hint=f"chains of this session: {listed}")
    kept = [chain for chain in before.chains if chain.name in names and chain.name not in lab.config.chains]
    ends = [end for end in before.ends if end.chain in {chain.name for chain in kept}]
    with _placed(lab.paths.conf):
        wiring = chains(lab.config, made.parts, kept)
    wiring = replace(wiring, ends=(*wiring.ends, *ends), kept=tuple(chain.name for chain in kept))
    return replace(made, wiring=before).with_wiring(wiring)


@contextlib.contextmanager
def _placed(conf: Path) -> Iterator[None]:
    """Add the line and column of its key to a ConfigError that the planner raises."""
    try:
        yield
    except ConfigError as e:
        e.what = (load.where(conf, e.key) if e.key else "") + e.what
        raise


def overridden(config: Config, where: LabPaths, part: str | int, words: dict[str, Any]) -> tuple[Config, LabPaths]:
    """Return conf.yml and paths with the options of a runscript applied.

    ``part``: ``primary``, or the id of a secondary.
    """
    given = {name: value for name, value in words.items() if value is not None}
    controller: dict[str, Any] = {name: given.pop(name) for name in ("host", "pri_port", "sec_port") if name in given}
    if tree := given.pop("spp_dir", None):
        where = where.with_tree(tree)
    update: dict[str, Any] = {"controller": config.controller.model_copy(update=controller)}
    primary = {name: value for name, value in given.items() if part == "primary" or name == "channels"}
    update["primary"] = config.primary.model_copy(update=primary)
    if isinstance(part, int):
        update["secondaries"] = _secondaries(config, where, part, given.get("coremask"))
    return config.model_copy(update=update), where


def _secondaries(config: Config, where: LabPaths, wanted: int, coremask: int | None) -> tuple[Secondary, ...]:
    """Return the secondaries, including ``wanted``.

    Raise ConfigError if conf.yml does not have it and no coremask is given.
    """
    known = {s.id: s for s in config.secondaries}
    if coremask is not None:
        known[wanted] = Secondary(id=wanted, coremask=coremask)
    if wanted not in known:
        listed = ", ".join(map(str, known)) or "none"
        raise ConfigError(f"secondaries: no id {wanted} in {where.conf}", hint=f"its ids are {listed}; or give -c MASK")
    return tuple(known.values())
