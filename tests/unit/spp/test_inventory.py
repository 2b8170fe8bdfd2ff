"""Trees of upstream SPP on this machine: what is found, and what each lacks."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sppr.cli.spp.commands import main
from sppr.spp import inventory, releases
from sppr.spp.inventory import Build, Problem
from tests.fakes import tree

TARGET = tree.TARGET
DRIVERS = {
    "16.07": ("eth_null", "eth_ring", "eth_vhost"),
    "HEAD": ("net_memif", "net_null", "net_pcap", "net_ring", "net_tap", "net_vhost", "crypto_null"),
}


def sdk(root: Path, release: str) -> Path:
    """Create what is read of a DPDK tree: the file VERSION, since 19.02, or the header with the release."""
    header = root / "lib/librte_eal/common/include/rte_version.h"
    header.parent.mkdir(parents=True)
    year, month = (int(part) for part in release.split("."))
    if year >= 19:
        (root / "VERSION").write_text(f"{release}.0\n")
    else:
        header.write_text(f"#define RTE_VER_YEAR {year}\n#define RTE_VER_MONTH {month}\n")
    return root


def built(folder: Path, version: str, dpdk: str, drivers: tuple[str, ...], missing: tuple[str, ...] = ()) -> Path:
    """Create a tree as the build with this DPDK leaves it."""
    root = tree.make(folder / f"spp-{version}", version, missing)
    for program in root.rglob("app/spp_*"):
        listed = "".join(f'PMD_INFO_STRING= {{"name" : "{name}", "params" : ""}}\0' for name in drivers)
        program.write_bytes(program.read_bytes() + listed.encode())
        where = program.parent.parent
        own, other = where.parent / TARGET / "include", sdk(folder / f"dpdk-{program.name}", dpdk) / TARGET / "include"
        (where / ".main.o.cmd").write_text(f"cmd_main.o = gcc -I{own} -I{other} -include x main.c\n")
    return root


def python(folder: Path, version: str) -> str:
    return str(tree.python_of(folder / "bin", version))


def test_a_complete_tree_has_no_problems(tmp_path: Path) -> None:
    root = built(tmp_path, "HEAD", "20.02", DRIVERS["HEAD"])
    found = inventory.inspect(root, python(tmp_path, "HEAD"))
    names = ("primary", "nfv", "vf", "mirror", "pcap")
    drivers = ("memif", "null", "pcap", "ring", "tap", "vhost")
    assert found == inventory.Tree(
        root, "19.11", (Build(TARGET, names, "20.02", str(tmp_path / "dpdk-spp_primary"), drivers),)
    )


def test_doubled_paths_and_the_header_of_an_old_dpdk_are_read(tmp_path: Path) -> None:
    root = built(tmp_path, "16.07", "16.07", DRIVERS["16.07"])
    found = inventory.inspect(root, python(tmp_path, "16.07"))
    assert found.problems == ()
    assert [(b.programs, b.dpdk, b.drivers) for b in found.builds] == [
        (("primary", "nfv"), "16.07", ("null", "ring", "vhost"))
    ]


@pytest.mark.parametrize(
    ("version", "dpdk", "matches"),
    [("HEAD", "19.08", "19.11 or 20.02"), ("17.11", "18.02", "17.11"), ("18.08.3", "19.02", "18.08 or 18.11")],
)
def test_a_dpdk_of_another_release_is_a_problem(tmp_path: Path, version: str, dpdk: str, matches: str) -> None:
    root = built(tmp_path, version, dpdk, DRIVERS["HEAD"])
    found = inventory.inspect(root, python(tmp_path, version))
    what = f"target {TARGET} was built with DPDK {dpdk}, but SPP {found.release} matches {matches}"
    assert found.problems == (Problem(what, "build it again with that release of DPDK"),)


def test_every_release_has_its_dpdk() -> None:
    """17.02 is detected as 17.05, and HEAD as 19.11."""
    detected = [version for version in releases.VERSIONS if version not in ("17.02", "HEAD")]
    assert list(inventory.DPDK) == detected


def test_missing_programs_drivers_and_modules_are_problems(tmp_path: Path) -> None:
    root = built(tmp_path, "HEAD", "20.02", ("net_null", "net_ring", "net_vhost", "net_tap"), ("pcap",))
    without = str(tree.python(tmp_path / "bin", 3, ("eventlet",)))
    problems = inventory.inspect(root, without).problems
    assert [problem.what for problem in problems] == [
        f"target {TARGET} has no spp_pcap",
        f"target {TARGET} has no driver pcap: no pcap ports",
        f"target {TARGET} has no driver memif: no memif ports",
        f"spp-ctl of SPP 19.11 needs the Python module eventlet, which {without} does not have",
        f"spp.py of SPP 19.11 needs the Python module eventlet, which {without} does not have",
    ]
    assert problems[0].fix == "install liblz4-dev and build it again"
    assert problems[3].fix == f"{without} -m pip install eventlet"


def test_a_tree_that_is_not_built_names_the_dpdk(tmp_path: Path) -> None:
    root = tree.make(tmp_path / "spp", "17.11", ("primary", "nfv", "vf"))
    (root / "src/primary").mkdir(exist_ok=True)
    found = inventory.inspect(root, python(tmp_path, "17.11"))
    fix = "build it with DPDK 17.11, as its own setup guide describes"
    assert found.builds == () and found.problems == (Problem("it is not built", fix),)


def test_trees_are_found_two_levels_below_and_links_are_not_followed(tmp_path: Path) -> None:
    near, far = tree.make(tmp_path / "spp", "19.11"), tree.make(tmp_path / "a/spp", "17.11")
    tree.make(tmp_path / "a/b/spp", "17.11")
    (tmp_path / "link").symlink_to(tmp_path / "a/b")
    (tmp_path / "other/src").mkdir(parents=True)
    assert inventory.find([tmp_path]) == [near, far]
    assert inventory.find([near, tmp_path]) == [near, far]


def test_list_prints_the_line_for_conf_yml_and_json(tmp_path: Path) -> None:
    root = built(tmp_path, "HEAD", "20.02", DRIVERS["HEAD"])
    printed = CliRunner().invoke(main, ["list", str(tmp_path)])
    assert printed.exit_code == 0, printed.output
    lines = printed.output.splitlines()
    assert lines[:2] == [
        f"{root}: SPP 19.11 or later",
        f"    target {TARGET}: primary nfv vf mirror pcap; DPDK 20.02; memif null pcap ring tap vhost",
    ]
    assert lines[-1] == f"    conf.yml: spp: {{ dir: {root}, target: {TARGET} }}"
    found = json.loads(CliRunner().invoke(main, ["list", "--json", str(tmp_path)]).output)
    assert [(entry["path"], entry["builds"][0]["dpdk"]) for entry in found] == [(str(root), "20.02")]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert CliRunner().invoke(main, ["list", str(empty)]).output == f"no SPP tree in {empty}\n"
