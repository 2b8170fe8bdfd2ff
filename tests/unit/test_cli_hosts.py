"""Commands in the folder of a lab over several hosts that work on one host, and options of commands of one host."""

from pathlib import Path

import pytest

from tests.unit.test_cli import sppr

CONF = """\
session: nosuchfar
hosts: {east: {address: 192.0.2.11}, west: {address: 192.0.2.12}}
links: [{between: [east, west]}]
secondaries: [{id: 1, coremask: 0x0C, host: east}]
chains: {web: {path: [east/tap:0, west/tap:1]}}
"""
COMMANDS = (
    "logs pri", "restart pri", "start sec1", "stop sec1", "top", "events", "chain apply", "chain bench web",
    "chain shell web tap:0", "chain plan", "capture pri:tap:0", "impair web off", "setup", "save", "analyze",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_one_host_names_the_way(tmp_path: Path, command: str) -> None:
    (tmp_path / "conf.yml").write_text(CONF)
    done = sppr(*command.split(), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "a lab over several hosts, and this command works on one of them" in done.stderr
    assert f"hint: sppr on HOST {' '.join(command.split()[: 2 if command.startswith('chain') else 1])} …" in done.stderr
    assert not (tmp_path / "runscripts").exists()


def test_chain_plan_of_one_host(tmp_path: Path) -> None:
    (tmp_path / "conf.yml").write_text("secondaries: [{id: 1, coremask: 0xC}]\nchains: {web: {path: [tap:0, tap:1]}}\n")
    done = sppr("chain", "plan", "-nr", "0", "-nv", "0", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("web: tap:0 → tap:1\n  forward"), done.stderr
