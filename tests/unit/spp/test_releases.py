"""Properties of each release of SPP, the detection of the release of a tree, and errors for trees and interpreters."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sppr.errors import HostError, LaunchError
from sppr.spp import releases, tree
from sppr.spp.eal import Eal, lcores
from sppr.spp.releases import VERSIONS, Version

CLASSIC = VERSIONS[: VERSIONS.index("18.08.1")]
CTL = VERSIONS[VERSIONS.index("18.08.1") :]


def those(name: str) -> tuple[str, ...]:
    """Return the releases for which the property ``name`` is true."""
    return tuple(v for v in VERSIONS if getattr(Version(v), name))


def since(first: str) -> tuple[str, ...]:
    return VERSIONS[VERSIONS.index(first) :]


def test_a_release_is_since_itself() -> None:
    assert [Version("18.02").since(v) for v in ("17.11", "18.02", "18.05")] == [True, True, False]
    assert Version().since("HEAD")


def test_the_era_decides_the_controller() -> None:
    assert {Version(v).era for v in CLASSIC} == {"classic"} and {Version(v).era for v in CTL} == {"spp-ctl"}
    assert Version().era == Version("16.07", sppr_controller=True).era == "sppr"


def test_properties_by_release() -> None:
    assert those("has_vf_controller") == ("17.11", "18.02", "18.05")
    assert those("has_management_port") == CLASSIC[CLASSIC.index("17.08") :]
    assert those("vhost_client") == those("accepts_guests") == since("18.08.2")
    assert those("ivshmem") == ("16.07",) and those("needs_old_yaml") == ("18.08.2",)
    assert those("primary_forwards") == since("19.08")
    assert [Version(v).base_virtaddr for v in VERSIONS] == [
        None if v in since("19.08") else "0x100000000" for v in VERSIONS
    ]
    assert [Version(v).last_id for v in VERSIONS] == [16 if v in CLASSIC else 127 for v in VERSIONS]


def test_properties_with_the_controller_of_sppr() -> None:
    version = Version("17.11", sppr_controller=True)
    assert version.accepts_guests and version.last_id == 127
    assert not version.has_vf_controller and not version.has_management_port


def test_properties_of_the_data_plane_of_sppr() -> None:
    version = Version()
    assert version.kinds == ("nfv",) and version.base_virtaddr is None and version.last_id == 127
    assert version.primary_forwards and version.vhost_client and not version.ivshmem


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("16.07", ("nfv",)),
        ("17.08", ("nfv",)),
        ("17.11", ("nfv", "vf")),
        ("18.08.1", ("nfv", "vf", "mirror")),
        ("18.08.2", ("nfv", "vf", "mirror", "pcap")),
        ("HEAD", ("nfv", "vf", "mirror", "pcap")),
    ],
)
def test_kinds_of_secondaries(name: str, kinds: tuple[str, ...]) -> None:
    assert Version(name).kinds == kinds


def test_python_and_modules_of_each_controller() -> None:
    assert [v for v in VERSIONS if Version(v).python("spp.py") == "python2"] == list(
        VERSIONS[: VERSIONS.index("18.05")]
    )
    assert {Version(v).python("spp_vf.py") for v in VERSIONS} == {"python2"}
    assert Version("18.08.1").python("spp-ctl") == "python3"
    assert Version("18.08.1").modules("spp-ctl") == ("eventlet", "bottle", "netaddr")
    assert Version("18.02").modules("spp.py") == Version("18.05").modules("spp_vf.py") == ("Queue",)
    assert Version("18.05").modules("spp.py") == ("queue", "socketserver", "yaml")
    assert Version("18.08.1").modules("spp.py") == ("requests", "yaml")


def write(root: Path, *files: str) -> Path:
    """Create the files below src/. ``NAME=TEXT`` is a file with this text."""
    for entry in files:
        name, _, text = entry.partition("=")
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ((), None),
        (("spp.py", ), "17.05"),
        (("spp.py", "primary/main.c=#include <rte_ivshmem.h>"), "16.07"),
        (("spp.py", "primary/main.txt=rte_ivshmem.h"), "17.05"),
        (("spp.py=--mng-port",), "17.08"),
        (("spp.py=--mng-ports",), "17.05"),
        (("spp.py=xmng-port",), "17.05"),
        (("spp.py", "spp_vf.py"), "17.11"),
        (("spp.py", "spp_vf.py", "nfv/nfv.h=nullpmd"), "18.02"),
        (("spp.py", "controller/x.py"), "18.05"),
        (("spp-ctl/spp-ctl",), "18.08.1"),
        (("spp-ctl/spp-ctl", "pcap/x.c"), "18.08.2"),
        (("spp-ctl/spp-ctl", "nfv/x.c=master-lcore"), "18.08.3"),
        (("spp-ctl/spp-ctl", "cli/x.py"), "18.08.4"),
        (("spp-ctl/spp-ctl", "primary/x.c=disp-stats"), "19.08"),
        (("spp-ctl/spp-ctl", "primary/x.c=port-num"), "19.11"),
    ],
)  # fmt: skip
def test_a_tree_is_recognised_by_its_files(tmp_path: Path, files: tuple[str, ...], found: str | None) -> None:
    assert releases.detect(write(tmp_path, *files)) == found


def error_of(root: Path, version: Version) -> HostError:
    with pytest.raises(HostError) as caught:
        releases.check(root, version)
    return caught.value


@pytest.mark.timeout(10)
def test_sources_that_are_no_regular_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "src/primary").mkdir(parents=True)
    (tmp_path / "src/spp.py").touch()
    os.mkfifo(tmp_path / "src/primary/main.c")
    assert releases.detect(tmp_path) == "17.05"


def test_a_tree_without_the_controllers_of_its_release(tmp_path: Path) -> None:
    missing = error_of(tmp_path / "none", Version("18.02"))
    assert missing.what == f"spp.dir: {tmp_path / 'none'}: no such folder"
    assert missing.hint == "set spp.dir to the folder of a built SPP tree"
    empty = error_of(tmp_path, Version("18.02"))
    assert empty.what == (
        f"{tmp_path}: no controller of SPP 18.02 in this tree\n"
        f"    tried: {tmp_path}/src/spp-ctl/spp-ctl\n    tried: {tmp_path}/src/spp.py"
    )
    assert empty.hint == "set spp.dir to the folder that contains src/"
    other = error_of(write(tmp_path, "spp.py"), Version("19.11"))
    assert other.what == (
        f"{tmp_path}: no controller of SPP 19.11 in this tree\n    tried: {tmp_path}/src/spp-ctl/spp-ctl"
    )
    assert other.hint == "this tree is SPP 17.05: set spp.version"
    releases.check(tmp_path, Version("18.02"))
    releases.check(write(tmp_path, "spp-ctl/spp-ctl"), Version("19.11"))


@pytest.mark.parametrize(
    ("version", "program", "answer", "what", "hint"),
    [
        (
            "18.02", "spp.py", {"major": 3, "missing": ["Queue"]},
            "spp.py of SPP 18.02 needs Python 2, but /p is Python 3",
            "set a Python 2 in conf.yml: spp: {python: PATH}",
        ),
        (
            "18.05", "spp.py", {"major": 3, "missing": ["queue", "yaml", "socketserver"]},
            "spp.py of SPP 18.05 needs the Python modules queue, yaml, socketserver, which /p does not have",
            "/p -m pip install future pyyaml",
        ),
        (
            "18.08.1", "spp-ctl", {"major": 3, "missing": ["bottle"]},
            "spp-ctl of SPP 18.08.1 needs the Python module bottle, which /p does not have",
            "/p -m pip install bottle",
        ),
        (
            "18.08.2", "spp.py", {"major": 3, "missing": ["requests", "yaml"]},
            "spp.py of SPP 18.08.2 needs the Python modules requests, yaml, which /p does not have",
            "/p -m pip install requests pyyaml==5.3.1",
        ),
        (
            "18.08.2", "spp.py", {"major": 3, "missing": [], "yaml": "6.0"},
            "spp.py of SPP 18.08.2 calls yaml.load without a Loader, which is an error in PyYAML 6.0 of /p",
            "/p -m pip install pyyaml==5.3.1",
        ),
    ],
)  # fmt: skip
def test_unsuitable_interpreter_is_an_error(
    monkeypatch: pytest.MonkeyPatch, version: str, program: str, answer: dict[str, object], what: str, hint: str
) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], **_: object) -> SimpleNamespace:
        asked.append(argv)
        return SimpleNamespace(stdout=json.dumps({"yaml": "", **answer}))

    monkeypatch.setattr(releases, "run", run)
    with pytest.raises(HostError) as caught:
        releases.check_python("/p", Version(version), program)
    assert (caught.value.what, caught.value.hint) == (what, hint)
    assert asked[0][0] == "/p" and tuple(asked[0][3:]) == Version(version).modules(program)


@pytest.mark.parametrize(
    ("version", "program", "yaml"),
    [("18.08.2", "spp-ctl", ""), ("18.08.2", "spp.py", "5.4"), ("18.08.3", "spp.py", "6")],
)
def test_interpreter_is_accepted(monkeypatch: pytest.MonkeyPatch, version: str, program: str, yaml: str) -> None:
    text = json.dumps({"major": 3, "missing": [], "yaml": yaml})
    monkeypatch.setattr(releases, "run", lambda *_, **__: SimpleNamespace(stdout=text))
    releases.check_python("/p", Version(version), program)


def test_query_runs_in_a_real_interpreter() -> None:
    assert releases.major_version(sys.executable) == 3
    asked = subprocess.run(
        [sys.executable, "-c", releases._QUERY_SCRIPT, "json", "no_such_module"], capture_output=True, check=True
    )
    assert json.loads(asked.stdout) == {"major": 3, "missing": ["no_such_module"], "yaml": ""}


@pytest.mark.parametrize("error", [LaunchError("x\nno such program", hint=""), ValueError("no such program")])
def test_program_other_than_python_is_an_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(releases, "run", run)
    with pytest.raises(HostError) as caught:
        releases.major_version("/bin/nothing")
    assert caught.value.what == "/bin/nothing: cannot be used as Python: no such program"
    assert caught.value.hint == "set another in conf.yml: spp: {python: PATH}"


def test_programs_of_a_tree(tmp_path: Path) -> None:
    folder = tmp_path / "src/nfv/x86"
    tried = [
        folder / "app/spp_nfv",
        folder / "spp_nfv",
        tmp_path / "src/nfv/src/nfv/x86/app/spp_nfv",
        tmp_path / "src/nfv/src/nfv/x86/spp_nfv",
    ]
    with pytest.raises(HostError) as caught:
        tree.binary("nfv", tmp_path, "x86")
    listed = "\n".join(f"    tried: {path}" for path in tried)
    assert caught.value.what == f"{tmp_path}: no spp_nfv in this SPP tree\n{listed}"
    assert caught.value.hint == (
        "build it there, set spp.target to its RTE_TARGET, or remove spp.dir to use sppr's own data plane"
    )
    for path in reversed(tried):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert tree.binary("nfv", tmp_path, "x86") == path


def test_programs_of_the_data_plane_of_sppr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "BUILD_DIR", tmp_path / "build")
    with pytest.raises(HostError) as caught:
        tree.binary("nfv", None, "")
    assert caught.value.what == f"{tmp_path}/build/spp_nfv: sppr's data plane is not built"
    assert caught.value.hint == f"make up   (or: sppr setup, or: make -C {tmp_path})"
    (tmp_path / "build").mkdir()
    (tmp_path / "build/spp_nfv").touch()
    assert tree.binary("nfv", None, "") == tmp_path / "build/spp_nfv"


def test_eal_options() -> None:
    assert lcores(0xC, (0, 1, 2, 3)) == ["-l", "2,3"]
    assert lcores(0x1C, (0, 1)) == ["--lcores", "2@0,3@1,4@0"]
    assert Eal(("-l", "1"), 4, "secondary", "spp", pci=True).argv() == [
        "-l", "1", "-n", "4", "--proc-type", "secondary", "--file-prefix", "spp",
    ]  # fmt: skip
    whole = Eal(("-l", "1"), 2, "primary", "rte", False, 512, "/dev/hugepages", ("a", "b"), "0x1")
    assert whole.argv() == [
        "-l", "1", "-n", "2", "--socket-mem", "512", "--huge-dir", "/dev/hugepages", "--base-virtaddr", "0x1",
        "--proc-type", "primary", "--file-prefix", "rte", "--no-pci", "--vdev", "a", "--vdev", "b",
    ]  # fmt: skip
