"""Fixtures of all live tests: the base image, built once in runscripts/ as by ``make up``, and data plane labs."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.images.base_cache import ensure_base
from sppr.images.build import BASE_NAME
from tests.live.dataplane_lab import Lab, make, prepare_hugepages

RUNSCRIPTS = Path(__file__).resolve().parents[2] / "runscripts"


#: Files of live tests that take minutes each. They start first: at the end, the other jobs would wait for them.
LONG_FILES = (
    "test_hosts.py", "test_images.py", "test_prove.py", "test_lifecycle.py", "test_kill.py", "test_spp_tree.py",
    "test_guide.py", "test_stress.py", "test_faults.py", "test_guest_network.py", "test_chains.py", "test_impair.py",
    "test_vm_faults.py", "test_warm.py",
)  # fmt: skip


def _rank(path: Path) -> int:
    """Return the place of a test file: the long ones, the other live tests, and then all others, which are short."""
    if not path.is_relative_to(Path(__file__).parent):
        return len(LONG_FILES) + 1
    return LONG_FILES.index(path.name) if path.name in LONG_FILES else len(LONG_FILES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start long files first. Give tests that need the base image more time: the first one waits for its build."""
    items.sort(key=lambda item: _rank(item.path))
    for item in items:
        if "base_image" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def base_image() -> Path:
    """Path of the base image. Boot it through an overlay or with snapshot=on: it is shared by all tests."""
    try:
        return ensure_base(RUNSCRIPTS / BASE_NAME, report=print)
    except HostError as e:
        pytest.skip(f"no base image: {e.what}")


lab_numbers = itertools.count()


@pytest.fixture(scope="session")
def programs() -> None:
    """Build the data plane, and reserve its hugepages."""
    if os.geteuid() != 0:
        pytest.skip("hugepages, taps and raw sockets need root")
    subprocess.run(make("-j2"), check=True, capture_output=True)
    prepare_hugepages()


@pytest.fixture
def lab(programs: None, tmp_path: Path) -> Iterator[Lab]:
    """A private data plane, without tmux."""
    lab = Lab(tmp_path, next(lab_numbers))
    try:
        yield lab
        print(lab.logs())
    except BaseException:
        print(lab.logs())
        raise
    finally:
        lab.close()
