"""Run the fake of a program of SPP, with the command line of that program (EAL -- application).

``python -m tests.fakes.start KIND VERSION <the command line>``; KIND is that of the program's name, spp_KIND.
"""

import argparse
import importlib
import signal
import sys

from tests.fakes.link import VERSIONS


def main() -> None:
    kind, version, *words = sys.argv[1:]
    cut = words.index("--")
    eal = argparse.ArgumentParser(prog=f"spp_{kind}", allow_abbrev=False)
    eal.add_argument("-l")
    eal.add_argument("--lcores")
    eal.add_argument("-n", type=int, required=True)
    eal.add_argument("--proc-type", choices=["primary" if kind == "primary" else "secondary"], required=True)
    eal.add_argument("--file-prefix", required=True)
    eal.add_argument("--no-pci", action="store_true")
    if kind == "primary":
        eal.add_argument("--socket-mem", required=True)
        eal.add_argument("--huge-dir")
        eal.add_argument("--base-virtaddr")
        eal.add_argument("--vdev", action="append", default=[])
    eal.parse_args(words[:cut])
    app = argparse.ArgumentParser(prog=f"spp_{kind}", allow_abbrev=False)
    app.add_argument("-s", required=True)
    if kind == "primary":
        app.add_argument("-p", required=True)
        app.add_argument("-n", type=int, required=True)
    else:
        app.add_argument("-n" if kind == "nfv" else "--client-id", dest="id", type=int, required=True)
    if kind in ("nfv", "vf", "mirror") and VERSIONS.index(version) >= VERSIONS.index("18.08.2"):
        app.add_argument("--vhost-client", action="store_true")
    if kind == "pcap":
        app.add_argument("-c", required=True)
        app.add_argument("--out-dir", default="/tmp")
    given = app.parse_args(words[cut + 1 :])
    classic = VERSIONS.index(version) < VERSIONS.index("18.08.1") and kind in ("primary", "nfv")
    name = f"classic_{kind}" if classic else kind
    module = importlib.import_module(f"tests.fakes.{name}")
    if kind == "primary":  # the primary ends its loop on SIGINT, and handles no other signal
        signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    sys.argv = [sys.argv[0], "-n", str(getattr(given, "id", 0)), "-s", given.s, "--version", version, "--nics", "2"]
    module.main(getattr(module, "".join(word.capitalize() for word in name.split("_"))))


if __name__ == "__main__":
    main()
