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
from typing import Any, BinaryIO

#: Bytes of a file of the journal. One full file is kept beside the current one.
MAX_SIZE = 1 << 20
_NAME = "events.jsonl"
#: Seconds since the epoch at the end of the year 9999, the last that can be printed.
_LATEST = 253402300800 - 86400


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
            # Another writer may have renamed this file already. A rename of the new file would lose the full one.
            if os.fstat(fd).st_size > MAX_SIZE and os.path.samestat(os.fstat(fd), path(folder).stat()):
                path(folder).rename(_old(folder))
        finally:
            os.close(fd)


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the events, oldest first. Lines that are not an event, such as one that a full disk truncated, are left
    out.
    """
    return list(follow(folder, ()))


def follow(folder: Path, ticks: Iterable[object]) -> Iterator[dict[str, Any]]:
    """Yield the events, and then each new one. ``ticks``: when to look for new events; the end of it ends this."""
    file = _open(path(folder))
    if file is None or _is_other(file, _old(folder)):  # else the current file was renamed just now
        with contextlib.suppress(OSError):
            yield from parse(_old(folder).read_bytes().splitlines())
    try:
        yield from _new_events(file)
        for _ in ticks:
            # The rest of a renamed file comes before the events of the file that replaced it.
            yield from _new_events(file)
            if file is None or _is_other(file, path(folder)):
                if file is not None:
                    yield from _new_events(file)
                    file.close()
                file = _open(path(folder))
                yield from _new_events(file)
    finally:
        if file is not None:
            file.close()


def plain(text: str) -> str:
    """Return text of an event without characters that control a terminal: a part of it comes from processes. Most of
    these characters are not allowed in XML either.
    """
    return "".join(c if c.isprintable() else "?" for c in text)


def parse(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the events in these lines. An event that follows a truncated one in the same line is found, too."""
    for line in lines:
        record = _decode(line) or _decode(line[line.rfind(b'{"time":') :])
        if record is not None:
            yield record


def _decode(line: bytes) -> dict[str, Any] | None:
    """Return the event in a line, or None if it is not one."""
    try:
        record = json.loads(line)
        stamp = float(record["time"])
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str) or not 0 <= stamp < _LATEST:
        return None
    return record | {"time": stamp}


def _open(file: Path) -> BinaryIO | None:
    try:
        return file.open("rb")
    except OSError:
        return None


def _new_events(file: BinaryIO | None) -> Iterator[dict[str, Any]]:
    """Yield the events behind the position of ``file``. A line that is not complete is left for the next call."""
    if file is None:
        return
    with contextlib.suppress(OSError):
        start = file.tell()
        data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        file.seek(start + len(complete))
        yield from parse(complete.splitlines())


def _is_other(file: BinaryIO, name: Path) -> bool:
    """Return whether ``name`` is another file than ``file`` now. False: there is no file of this name."""
    try:
        return not os.path.samestat(os.fstat(file.fileno()), name.stat())
    except OSError:
        return False


def latest(events: Iterable[dict[str, Any]], event: str, key: str) -> dict[str, dict[str, Any]]:
    """Return the newest event of this name for each value of ``key``: the last proof of each chain."""
    return {str(record.get(key)): record for record in events if record["event"] == event}


def _old(folder: Path) -> Path:
    return folder / f"{_NAME}.1"
