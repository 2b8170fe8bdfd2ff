"""Names and ports of the labs of live tests and benches: they run side by side, and must not share any."""

import json
import re
import subprocess
import sys
from collections import defaultdict

from tests.conftest import ROOT
from tests.live.labs import ssh_ports

#: A name of a session ends with a digit, or is assigned to a constant.
NAMED = re.compile(r'"(test[a-z]+\d+[a-z]?|[a-z]+lab\d*)"|^NAME = "(\w+)"', re.MULTILINE)


def test_each_session_is_of_one_file() -> None:
    files = defaultdict(set)
    for path in (ROOT / "tests/live").rglob("test_*.py"):
        for found in NAMED.finditer(path.read_text()):
            files[found[1] or found[2]].add(path.name)
    assert len(files) > 15
    assert {name: sorted(where) for name, where in files.items() if len(where) > 1} == {}


def test_processes_do_not_share_ports() -> None:
    script = "import json; from tests.live.labs import ssh_ports; print(json.dumps([ssh_ports() for _ in range(15)]))"
    own = {ssh_ports() for _ in range(15)}
    other = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(own) == 15 and own.isdisjoint(json.loads(other))
