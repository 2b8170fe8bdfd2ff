"""``sppr chain`` in a lab over several hosts."""

import base64
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from sppr.cli.chain import prove as proofs
from sppr.cli.hosts import verbs
from sppr.config.hosts.segments import Segments
from sppr.errors import ConfigError
from sppr.hosts import chains, engine
from sppr.hosts.inventory import inventory
from sppr.hosts.lab import HostsLab
from sppr.lab.chains.proof import testbed
from sppr.lab.chains.proof.result import Options, Proof
from sppr.lab.chains.proof.watch import NOT_INSPECTED
from sppr.lab.chains.wiring import ChainWiring
from sppr.lab.state import state as states
from sppr.lab.state.state import State

#: Sizes of the frames that prove a chain over several hosts: a link that is too small loses large frames only.
SIZES = (64, 1518)
#: Tries of a proof during which other chains carry frames.
TRIES = 4


@contextlib.contextmanager
def joined(lab: HostsLab) -> Iterator[State]:
    """Yield the state of the joined lab. The ends of a chain whose proof was killed are restored first."""
    with chains.session(lab) as state:
        if line := testbed.restore_interrupted(state):
            click.echo(line, err=True)
        yield state


def link_names(lab: HostsLab) -> dict[str, str]:
    """Return the name of each link by its port on each host: ``east/link:0`` -> ``east-west``."""
    return {
        f"{host}/link:{number}": str(link.name)
        for host, one in lab.labs.items()
        for number, link in enumerate(one.config.links)
    }


def prove(
    lab: HostsLab, names: Sequence[str], every: bool, level: int | None, words: Mapping[str, int], yes: bool,
    json_file: Path | None, junit: Path | None,
) -> int:  # fmt: skip
    """Prove these chains, or all, and return the exit status.

    A chain on one host is proved there. One over several hosts is proved from here with small and with large frames.
    """
    known = ", ".join(lab.config.chains) or "none"
    if bool(names) == every:
        raise ConfigError("name the chains to prove, or --all", hint=f"chains of conf.yml: {known}")
    for name in names:
        if name not in lab.config.chains:
            raise ConfigError(f"{name}: no chain of {lab.conf}", hint=f"its chains: {known}")
    wanted = list(names) or list(lab.config.chains)
    if not wanted:
        raise ConfigError(f"{lab.conf}: has no chains, so nothing was proved", hint="docs/hosts.md")
    segments = Segments(lab.config, lab.placed)
    local = {name: where[0].host for name in wanted if len(where := segments.of(name)) == 1}
    options = [*(["--yes"] if yes else []), *(["--level", str(level)] if level is not None else [])]
    options += [word for key in words if _given(key) for word in (f"--{key}", str(words[key]))]
    found = [_prove_there(lab, name, host, options) for name, host in local.items()]
    far = [name for name in wanted if name not in local]
    if far:
        with joined(lab) as state, states.locked(f"{lab.session}@hosts"):
            chosen = [chain for chain in state.plan.wiring.chains if chain.name in far]
            for chain in chosen:
                for size in _sizes(words):
                    found.append(_prove(state, chain, _options(words, size), yes, level))
            found += [one for one in proofs.left_out(state, level) if one.chain in far]
    if json_file is not None:
        proofs.write_json(json_file, found)
    if junit is not None:
        proofs.write_junit(junit, found, lab.session)
    return proofs.exit_status(found)


def _prove(state: State, chain: ChainWiring, options: Options, yes: bool, level: int | None) -> Proof:
    """Prove a chain. Try again if frames arrived at the ends of other chains: they may be the kernel's.

    The kernel sends frames of its own in the first seconds of a tap.
    """
    proof: Proof = proofs.prove_chains(state, [chain], options, yes, level)[0]
    for _ in range(TRIES - 1):
        if proof.verdict != "inconclusive" or not any(NOT_INSPECTED in reason for reason in proof.reasons):
            break
        click.echo("again, because of that traffic")
        proof = proofs.prove_chains(state, [chain], options, yes, level)[0]
    return proof


def _given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _sizes(words: Mapping[str, int]) -> Sequence[int]:
    return (words["size"],) if _given("size") else SIZES


def _options(words: Mapping[str, int], size: int) -> Options:
    """Return the options of a proof over several hosts: few frames a second, because no window limits them."""
    options = replace(Options(**words), size=size)
    frames = options.frames if _given("frames") else chains.FRAMES
    return replace(options, frames=frames, rate=options.rate if _given("rate") else chains.MOST_RATE)


def _prove_there(lab: HostsLab, name: str, host: str, options: Sequence[str]) -> Proof:
    """Prove a chain on its host, print the result, and return it. A host without a result has an inconclusive one."""
    file = f".proof-{os.getpid()}.json"
    variables = {"sppr_words": ["chain", "prove", name, *options, "--json", file], "sppr_file": file}
    one = engine.run_playbook("verb", inventory(lab), [host], variables=variables)[host]
    verbs.show_output(host, one, one.results.get("Run the command", {}))
    written = one.results.get("Read what it wrote", {}).get("content", "")
    with contextlib.suppress(ValueError, IndexError, msgspec.MsgspecError):
        return msgspec.json.decode(base64.b64decode(written), type=tuple[Proof])[0]
    proof = Proof(name, 0)
    proof.doubt(f"{host}: {one.error or 'it has no result'}", "consistency")
    proof.close()
    return proof
