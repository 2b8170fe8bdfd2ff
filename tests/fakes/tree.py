"""Create a fake SPP source tree of a release, with fakes as its programs.

(docs/spp-protocol.md, Binaries, Controllers)
"""

import json
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.fakes.link import VERSIONS

TARGET = "x86_64-native-linuxapp-gcc"
#: Text in sources by which releases differ (docs/spp-protocol.md, Command lines, Nfv commands).
SOURCES = {
    "primary/main.c": {"16.07": '#include "rte_ivshmem.h"', "19.08": '"disp-stats"', "19.11": '"port-num"'},
    "nfv/main.c": {"18.02": '"nullpmd"', "18.08.3": '"master-lcore"'},
    "spp.py": {"17.08": '"--mng-port"'},
}


def make(root: Path, version: str, missing: tuple[str, ...] = ()) -> Path:
    """Create the tree at ``root``, without the ``missing`` programs."""
    src = root / "src"
    (root / "socks").mkdir(parents=True, exist_ok=True)
    made: dict[str, str] = {}
    for path, marks in SOURCES.items():
        found = [text for first, text in marks.items() if _since(version, first)]
        found = [text for text in found if "ivshmem" not in text or version == "16.07"]
        made[path] = "".join(f"// {text}\n" for text in found)
    classic = not _since(version, "18.08.1")
    made["spp.py"] = made["spp.py"].replace("//", "#") + _python("classic_spp" if classic else "cli", version)
    if classic and _since(version, "17.11"):
        made["spp_vf.py"] = _python("classic_spp", version, ", vf=True")
    if not classic:
        made["spp-ctl/spp-ctl"] = _python("spp_ctl", version)
    package = "cli" if _since(version, "18.08.4") else "controller"
    if _since(version, "18.05"):
        made[f"{package}/__init__.py"] = ""
    for path, text in made.items():
        if path not in missing:
            (src / path).parent.mkdir(parents=True, exist_ok=True)
            (src / path).write_text(text)
    first = {"primary": "16.07", "nfv": "16.07", "vf": "17.11", "mirror": "18.08.1", "pcap": "18.08.2"}
    for kind in [k for k, since in first.items() if _since(version, since) and k not in missing]:
        folder = src / kind / TARGET if _since(version, "17.05") else src / kind / "src" / kind / TARGET
        program = folder / "app" / f"spp_{kind}"
        program.parent.mkdir(parents=True)
        variables = f"FAKE_SOCK_DIR={root}/socks PYTHONPATH={ROOT}"
        command = f'{sys.executable} -m tests.fakes.start {kind} {version} "$@"'
        program.write_text(f"#!/bin/sh\nexport {variables}\nexec {command}\n")
        program.chmod(0o755)
    return root


def python(root: Path, major: int, missing: tuple[str, ...] = (), yaml: str = "5.3.1") -> Path:
    """Create a fake interpreter of this major version below ``root``. It answers the launcher's query for its modules,
    and runs everything else in the Python of the tests."""
    answer = json.dumps({"major": major, "missing": missing, "yaml": yaml})
    path = root / f"python{major}"
    path.parent.mkdir(parents=True, exist_ok=True)
    ask = f"[ \"$1\" = -c ] && {{ echo '{answer}'; exit; }}"
    path.write_text(f'#!/bin/sh\n{ask}\nexport FAKE_PYTHON={major}\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def python_of(root: Path, version: str) -> Path:
    """Create a fake of the Python that the controllers of a release need."""
    return python(root, 3 if _since(version, "18.05") else 2)


def _since(version: str, first: str) -> bool:
    return VERSIONS.index(version) >= VERSIONS.index(first)


def _python(module: str, version: str, more: str = "") -> str:
    lines = (f"import sys; sys.path.insert(0, {str(ROOT)!r})", f"from tests.fakes.{module} import main")
    return "\n".join((*lines, f"main({version!r}{more})", ""))
