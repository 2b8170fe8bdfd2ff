"""Reach the controllers of all hosts through ssh: each host's socket has a socket here, in a private folder."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.hosts import scratch
from sppr.hosts.inventory import ALIVE, CONNECT_SECONDS, ssh_words
from sppr.hosts.lab import HostsLab
from sppr.run import find_program


@contextlib.contextmanager
def tunnels(lab: HostsLab, sockets: Mapping[str, str]) -> Iterator[Path]:
    """Yield a folder with a socket NAME.sock for each host, which leads to its controller.

    ``sockets``: for each host the path of the socket there, or 127.0.0.1:PORT. Raise SpprError for a host that cannot
    be reached. ssh ends with this process, because it reads from it.
    """
    find_program("ssh")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch.folder())
        found = {}
        for host, there in sockets.items():
            words = [*ssh_words(lab, host), *ALIVE, "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"]
            words += ["-o", "ControlPath=none", "-L", f"{folder / f'{host}.sock'}:{there}", "cat"]
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            found[host] = process
        limit = Deadline(CONNECT_SECONDS + 3)
        for host, process in found.items():
            _wait_for(host, process, folder / f"{host}.sock", limit)
        yield folder


def _wait_for(host: str, process: "subprocess.Popen[str]", path: Path, limit: Deadline) -> None:
    """Wait for the socket of a tunnel. Raise SpprError if ssh exits, or after the limit."""
    limit.poll(lambda: path.exists() or process.poll() is not None, 0.02)
    if path.exists():
        return
    why = ""
    if process.poll() is not None and process.stderr:
        why = f": {process.stderr.read().strip()[-200:]}"
    raise SpprError(f"{host}: ssh does not connect{why}", hint=f"sppr status --host {host}")
