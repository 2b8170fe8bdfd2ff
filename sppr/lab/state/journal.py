"""Keep the journal of a lab: what happened to its parts, ports, patches and chains, one JSON object a line.

The launcher, the controller, the panes of the parts and the verbs append to it. Each line has ``time`` (seconds since
the epoch) and ``event``. Python writers add ``uptime`` (seconds since boot), which a change of the clock does not
affect. The file is bounded: a full one is renamed, and replaces the one before it.

========================  ==========================================================================================
event                     further keys
========================  ==========================================================================================
up.started                ``parts``: the dependencies of each part to start, by name; ``phase`` of the session
up.step                   ``step``: what the launcher has done: ``artifacts``, ``panes``, ``chains`` …
up.ready, up.failed       ``reason``
part.waiting              ``part``, ``reason``: the launcher has opened its start gate, and waits for this
part.started              ``part``, ``pid``
part.ready, part.failed   ``part``, ``seconds`` since its start
part.exited               ``part``, ``status``
part.restarted            ``part``, ``restarts``
part.stopping             ``part``
process.connected         ``process``
process.disconnected      ``process``, ``reason``
process.changed           ``process``, ``change``: a command, such as ``patch tap:0 vhost:1``
chain.state               ``chain``, ``state``, ``reason``
chain.proved              ``chain``, ``verdict``, ``lost``, ``sent``, ``p50_ns``, ``p99_ns``, ``reason``
========================  ==========================================================================================
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

#: Bytes of a file of the journal. One full file is kept beside the current one.
MAX_SIZE = 1 << 20
_NAME = "events.jsonl"


def path(folder: Path) -> Path:
    """Return the journal of a session. ``folder``: its run directory."""
    return folder / _NAME


def write(folder: Path, event: str, **fields: object) -> None:
    """Append an event. A journal that cannot be written, as on a full disk, does not stop the lab.

    Nothing is written if the run directory does not exist.
    """
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    record = {"time": round(time.time(), 3), "event": event, **fields, "uptime": round(uptime, 3)}
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path(folder), flags, 0o600)
        try:
            os.write(fd, json.dumps(record).encode() + b"\n")
            if os.fstat(fd).st_size > MAX_SIZE:
                path(folder).rename(_old(folder))
        finally:
            os.close(fd)


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the events, oldest first. Lines that are not an event, such as one that a full disk truncated, are left
    out.
    """
    found: list[dict[str, Any]] = []
    for file in (_old(folder), path(folder)):
        with contextlib.suppress(OSError):
            found += parse(file.read_bytes().splitlines())
    return found


def follow(folder: Path, ticks: Iterable[object]) -> Iterator[dict[str, Any]]:
    """Yield the events, and then each new one. ``ticks``: when to look for new events; the end of it ends this."""
    yield from read(folder)
    offset = _size(path(folder))
    for _ in ticks:
        size = _size(path(folder))
        if size < offset:  # the file was renamed
            offset = 0
        if size == offset:
            continue
        with contextlib.suppress(OSError), path(folder).open("rb") as file:
            file.seek(offset)
            data = file.read(size - offset)
            complete = data[: data.rfind(b"\n") + 1]
            offset += len(complete)
            yield from parse(complete.splitlines())


def parse(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the events in these lines."""
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("event"), str):
            with contextlib.suppress(TypeError, ValueError, KeyError):
                yield record | {"time": float(record["time"])}


def latest(events: Iterable[dict[str, Any]], event: str, key: str) -> dict[str, dict[str, Any]]:
    """Return the newest event of this name for each value of ``key``: the last proof of each chain."""
    return {str(record.get(key)): record for record in events if record["event"] == event}


def _old(folder: Path) -> Path:
    return folder / f"{_NAME}.1"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
