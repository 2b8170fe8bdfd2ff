"""Names of the sessions of live tests: files run side by side, and two labs with one name would disturb each other."""

import re
from collections import defaultdict

from tests.conftest import ROOT

#: A name of a session ends with a digit, or is assigned to a constant.
NAMED = re.compile(r'"(test[a-z]+\d+[a-z]?|[a-z]+lab\d*)"|^NAME = "(\w+)"', re.MULTILINE)


def test_each_session_is_of_one_file() -> None:
    files = defaultdict(set)
    for path in (ROOT / "tests/live").rglob("test_*.py"):
        for found in NAMED.finditer(path.read_text()):
            files[found[1] or found[2]].add(path.name)
    assert len(files) > 15
    assert {name: sorted(where) for name, where in files.items() if len(where) > 1} == {}
