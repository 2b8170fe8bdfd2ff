"""The options of the program, and their parser."""

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr.controller.server.process import TIMEOUT


@dataclass(frozen=True)
class Options:
    """The options of the program. Port 0 selects a free port; the ``listening:`` line and ``GET /v1/controller`` show
    it.

    - ``allow_users``: names of users that may connect, in addition to root and the user who runs the controller.
    - ``allow``: networks of other machines that may connect.
    - ``vm_socket``: the unix socket for VMs. ``vm_user``: the user that QEMU runs as.
    - ``file_prefix``: EAL's, for ``launch``.
    - ``wiring``: the file that keeps ports and patches over a restart.
    - ``web``, ``metrics``: whether the web page and ``/metrics`` are served.
    - ``web_token``: the file with the token that a browser needs at an address that is not loopback.
    """

    host: str = "127.0.0.1"
    pri_port: int = 5555
    sec_port: int = 6666
    api_socket: Path | None = None
    api_host: str = "127.0.0.1"
    api_port: int | None = None
    connect: str = ""
    timeout: float = TIMEOUT
    serve: bool = False
    wiring: Path | None = None
    allow_users: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    vm_socket: Path | None = None
    vm_user: str = ""
    file_prefix: str = "rte"
    web: bool = True
    metrics: bool = True
    web_token: Path | None = None


def parse_options(argv: Sequence[str] | None) -> Options:
    """Return the options in ``argv``, or of the command line of this process if it is None. Exit with status 2 if they
    are invalid.
    """
    parser = argparse.ArgumentParser(prog="python -m sppr.controller", description="Controller of SPP processes.")
    parser.add_argument("--host", default=Options.host, help="IPv4 address to listen on (%(default)s)")
    parser.add_argument("--pri-port", type=_port, default=Options.pri_port, help="port of the primary (%(default)s)")
    parser.add_argument("--sec-port", type=_port, default=Options.sec_port, help="port of secondaries (%(default)s)")
    parser.add_argument("--api-socket", type=Path, metavar="PATH", help="serve REST v1 on this unix socket")
    parser.add_argument("--api-port", type=_port, metavar="N", help="serve REST v1 on this TCP port too")
    parser.add_argument("--api-host", default=Options.api_host, help="IPv4 address of --api-port (%(default)s)")
    parser.add_argument(
        "-b", "--connect", default="", metavar="IP[:PORT]|SOCKET",
        help="only run a prompt for the controller at this address",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_seconds, default=TIMEOUT, metavar="S", help="time limit of a reply (%(default)s s)"
    )
    parser.add_argument("--wiring", type=Path, metavar="FILE", help="keep ports and patches here over a restart")
    parser.add_argument(
        "--allow-user", action="append", dest="allow_users", default=[], metavar="NAME",
        help="allow this user of the machine, in addition to root and the user who runs this",
    )  # fmt: skip
    parser.add_argument(
        "--allow", action="append", default=[], metavar="NETWORK", help="allow this network of other machines"
    )
    parser.add_argument(
        "--guests", type=Path, dest="vm_socket", metavar="PATH", help="serve the spp_vm of VMs on this unix socket"
    )
    parser.add_argument("--vm-user", default="", metavar="NAME", help="the user whose QEMU connects to --guests")
    parser.add_argument(
        "--file-prefix", default=Options.file_prefix, metavar="P", help="EAL file prefix of the lab (%(default)s)"
    )
    parser.add_argument("--no-web", action="store_false", dest="web", help="do not serve the web page")
    parser.add_argument("--no-metrics", action="store_false", dest="metrics", help="do not serve /metrics")
    parser.add_argument(
        "--web-token", type=Path, metavar="FILE",
        help="token of the web page, required unless --api-host is loopback; created if it is missing",
    )  # fmt: skip
    parser.add_argument("--serve", action="store_true", help="without a terminal: keep running after the end of input")
    values = vars(parser.parse_args(argv))
    return Options(**values | {key: tuple(values[key]) for key in ("allow", "allow_users")})


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 3600:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
