"""``make mutants``: change the pure code in one place at a time, and count how many changes the unit tests notice.

mutmut makes the changes, in a copy of the work tree, mutants/. pyproject.toml lists the files and the tests. The
results stay there, so a second run tests only what changed. ``.venv/bin/mutmut browse`` shows the changes that no test
notices.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.conftest import ROOT

#: Share of the changes that the tests must notice, in percent.
GOAL = 85
#: Exit statuses of a change that no test notices: all tests passed, or no test runs the code.
_SURVIVED = {0, 5, 33}
FOLDER = ROOT / "mutants"


def main() -> int:
    """Run mutmut, print a table by module, and return 1 if the goal is missed."""
    mutmut = Path(sys.executable).with_name("mutmut")
    status = subprocess.run([mutmut, "run", "--max-children", "2", *sys.argv[1:]], cwd=ROOT, check=False).returncode
    if status:
        return status
    results = {path: Counter(noticed(path)) for path in sorted(FOLDER.rglob("*.py.meta"))}
    total = sum(results.values(), Counter())
    for path, counts in results.items():
        if counts:
            print(line(str(path.relative_to(FOLDER).with_suffix("")), counts))
    print(line("all", total))
    if share(total) < GOAL:
        print(f"goal missed: {share(total):.1f} % of the changes are noticed, at least {GOAL} % are required")
        return 1
    return 0


def noticed(path: Path) -> list[bool]:
    """Return, for each change of a module that was tested, whether a test noticed it."""
    statuses = json.loads(path.read_text())["exit_code_by_key"].values()
    return [status not in _SURVIVED for status in statuses if status is not None]


def share(counts: "Counter[bool]") -> float:
    """Return the share of the changes that were noticed, in percent."""
    return 100 * counts[True] / max(1, counts.total())


def line(name: str, counts: "Counter[bool]") -> str:
    return f"{name:45} {counts.total():5} changes, {counts[False]:4} not noticed, {share(counts):5.1f} % noticed"


if __name__ == "__main__":
    sys.exit(main())
