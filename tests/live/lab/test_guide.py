"""Every command of README and docs/guide.md runs in a copy of the project folder, in the order of the documents.

A line that cannot run here names the test that runs it.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sppr.images.build import BASE_NAME
from tests.conftest import ROOT
from tests.live import labs
from tests.live.chains.test_prove import WEB
from tests.live.labs import Lab

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

DOCUMENTS = (ROOT / "docs/guide.md", ROOT / "README.md")
#: Line -> the test, or the script of CI, that runs it.
ELSEWHERE = {
    "make up": ".ci/run",
    "make test": ".ci/run",
    "bin/sppsh -c vm-v11": "test_console_is_the_pane_of_the_vm",
    "DIR/bin/sppr setup": ".ci/run",
    # It would remove the cache of this machine.
    "sppr image rm --cache": "test_clear_removes_the_images_and_nothing_else",
}
#: These would occupy the terminal.
DRY_RUN = ("runscripts/run-vm.py",)
#: These need a stopped lab.
DOWN = ("sppr image reset", "sppr image rm")
#: Exit status 1 reports a finding.
MAY_FIND = ("sppr doctor", "sppr doctor --fix", "sppr doctor explain pri")


def lines(document: Path) -> list[str]:
    """Return the lines of all code blocks without a language, without their comments."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    given = [line for language, block in blocks if not language for line in block.splitlines()]
    found = [re.sub(r"\s+#.*", "", line).strip() for line in given]
    return [line for line in dict.fromkeys(found) if line]


def test_lines_that_run_elsewhere_name_an_existing_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    ci = (ROOT / ".ci/run").read_text()
    assert set(ELSEWHERE) <= {line for document in DOCUMENTS for line in lines(document)}
    for line, where in ELSEWHERE.items():
        known = line.replace("DIR/bin/sppr setup", "make up") in ci if where == ".ci/run" else f"def {where}(" in tests
        assert known, f"{line}: {where}"


@pytest.fixture(scope="module")
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A folder as ``git clone`` and ``make up`` leave it, whose lab has the chain of the shipped conf.yml."""
    made = labs.make(tmp_path_factory.mktemp("lab"), "guidelab1", base_image)
    made.write(WEB + f"images: {{base: {BASE_NAME}}}\n")
    for name in ("sppr", ".venv"):
        (made.folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "bin", made.folder / "bin")
    for script in (ROOT / "runscripts").glob("*.py"):
        shutil.copy(script, made.folder / "runscripts")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", made.folder / "ubuntu.img", "16M"], check=True)
    (made.folder / "recipe.rcps").write_text("status\n")
    made.env |= {"TMUX_TMPDIR": str(made.folder), "PATH": f"{made.folder}/.venv/bin:{made.env['PATH']}"}
    try:
        yield made
    finally:
        made.end()


def run(lab: Lab, line: str) -> None:
    """Run one line, as typed in the folder of the lab, or at the prompt of the controller."""
    text = line.replace("127.0.0.1:7777", f"127.0.0.1:{lab.rest}")
    given = "exit\n"
    text = text.replace("DIR", str(lab.folder / "venv")).replace("install .", f"install -q {ROOT}")
    text = text.replace("-f FILE", "-f ubuntu.img") + " --dry-run" * line.startswith(DRY_RUN)
    if line.startswith("spp > "):
        text, given = f".venv/bin/python -m sppr.controller -b 127.0.0.1:{lab.rest}", line.removeprefix("spp > ") + "\n"
    done = subprocess.run(
        ["bash", "-c", text], env=lab.env, cwd=lab.folder, input=given, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    allowed = (0, 1) if line in MAY_FIND else (0,)
    assert done.returncode in allowed, f"{line}: exit status {done.returncode}\n{done.stdout}{done.stderr}"


def test_commands_of_the_guide_and_readme_work(lab: Lab) -> None:
    guide, readme = map(lines, DOCUMENTS)
    assert guide.index("bin/wakeup.py -ns 2 -nr 1 -nv 1") < guide.index("sppr status")
    *most, last = [line for line in guide if line not in ELSEWHERE]
    assert last == "sppr down"
    later = [line for line in most if line.startswith(DOWN)]
    for line in [line for line in most if line not in later]:
        run(lab, line)
    run(lab, "bin/wakeup.py -ns 2 -nr 1 -nv 1")  # the guide stopped parts
    for line in readme:
        if line not in ELSEWHERE:
            run(lab, line)
    for line in (last, *later):
        run(lab, line)
    assert lab.leftovers() == []
