"""``sppr init``, ``sppr schema`` and ``sppr export``, which write files and need no lab."""

import json
from pathlib import Path

import pytest

from sppr.cli.context import gather
from sppr.config import example, schema
from sppr.config.load import load, parse
from sppr.errors import ConfigError
from tests.conftest import ROOT
from tests.unit.test_cli import sppr

COUNTS = [(5, 5, 5), (0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (0, 3, 0), (1, 110, 16), (1, 1, 125), (63, 40, 24)]


@pytest.mark.parametrize(("sec", "ring", "vhost"), COUNTS)
def test_example_can_be_planned(sec: int, ring: int, vhost: int, tmp_path: Path) -> None:
    conf = tmp_path / "conf.yml"
    conf.write_text(example.text(sec, ring, vhost))
    lab = load(conf)
    assert (len(lab.secondaries), len(lab.vms_ring), len(lab.vms_vhost)) == (sec, ring, vhost)
    for flags in ({}, {"nof_sec": sec, "nof_ring": ring, "nof_vhost": vhost}):
        wiring = gather(conf, None, None, flags, named_base=False).plan.wiring
        assert [chain.name for chain in wiring.chains] == ["web"] and not wiring.left_out
    kinds = [element[:4] for element in lab.chains["web"].path[1:-1]]
    assert kinds == ["vm_r"] * (ring > 0) + ["vm_v"] * (vhost > 0)


def test_too_many_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^-ns 64: secondaries and primary need 130 lcores") as caught:
        example.text(64, 0, 0)
    assert caught.value.hint == "-ns 63 at most"
    with pytest.raises(ConfigError, match=r"^-ns 5 -nr 100 -nv 23: 128 ids, and a lab has 127$") as caught:
        example.text(5, 100, 23)
    assert parse(example.text(5, 100, 22).encode(), "c") and "1 to 127" in str(caught.value.hint)


def test_init_writes_conf_and_its_schema_and_replaces_nothing(tmp_path: Path) -> None:
    done = sppr("init", "-ns", "3", "-nr", "1", "-nv", "0", cwd=tmp_path)
    conf, beside = tmp_path / "conf.yml", tmp_path / schema.FILE
    assert (done.returncode, done.stderr) == (0, "") and f"{conf}: written" in done.stdout
    assert sorted(tmp_path.iterdir()) == sorted([beside, conf, tmp_path / "home"])
    assert conf.read_text() == example.text(3, 1, 0) and conf.read_text().startswith(schema.MODELINE + "\n")
    assert beside.read_text() == schema.text() == (ROOT / schema.FILE).read_text()
    assert sppr("plan", cwd=tmp_path).returncode == 0
    conf.write_text("session: mine\n")
    done = sppr("init", cwd=tmp_path)
    assert done.returncode == 2 and f"{conf}: exists" in done.stderr and "hint: move it" in done.stderr
    assert conf.read_text() == "session: mine\n"


def test_init_keeps_a_schema_and_a_broken_link(tmp_path: Path) -> None:
    beside, conf = tmp_path / schema.FILE, tmp_path / "conf.yml"
    beside.write_text("{}")
    done = sppr("init", cwd=tmp_path)
    assert done.returncode == 0 and f"{beside}: exists" in done.stderr and "sppr schema >" in done.stderr
    assert beside.read_text() == "{}"
    conf.unlink()
    beside.write_text(schema.text())
    assert sppr("init", cwd=tmp_path).stderr == ""
    conf.unlink()
    conf.symlink_to("nowhere")
    assert sppr("init", cwd=tmp_path).returncode == 2 and conf.is_symlink() and not (tmp_path / "nowhere").exists()


def test_init_in_a_folder_that_cannot_be_written() -> None:
    done = sppr("init", cwd=Path("/proc/self"))
    assert done.returncode == 3 and "conf.schema.json: " in done.stderr and "hint: choose a folder" in done.stderr


@pytest.mark.parametrize("words", [("-ns", "128"), ("-nr", "-1"), ("-nv", "x"), ("more",)])
def test_init_with_wrong_numbers_writes_nothing(words: tuple[str, ...], tmp_path: Path) -> None:
    assert sppr("init", *words, cwd=tmp_path).returncode == 2
    assert not (tmp_path / "conf.yml").exists() and not (tmp_path / schema.FILE).exists()


@pytest.mark.parametrize("verb", ["up", "plan", "doctor", "export"])
def test_missing_conf_names_init(verb: str, tmp_path: Path) -> None:
    words = (verb, "clab") if verb == "export" else (verb,)
    done = sppr(*words, "--conf", str(tmp_path / "conf.yml"), cwd=tmp_path)
    text = done.stdout + done.stderr
    assert done.returncode in (1, 2) and "conf.yml: no such file" in text and "sppr init" in text


def test_schema_is_printed(tmp_path: Path) -> None:
    done = sppr("schema", cwd=tmp_path)
    assert done.stdout == schema.text() and json.loads(done.stdout)["title"] == "conf.yml"


def test_topology_is_written_and_replaces_nothing(tmp_path: Path) -> None:
    conf = ("--conf", str(ROOT / "conf.yml"))
    printed = sppr("export", "clab", *conf, cwd=tmp_path).stdout
    assert "kind: linux" in printed and sppr("export", "clab", "-o", "-", *conf, cwd=tmp_path).stdout == printed
    assert sppr("export", "clab", "-o", "spp.clab.yml", *conf, cwd=tmp_path).returncode == 0
    written = tmp_path / "spp.clab.yml"
    assert written.read_text() == printed
    written.write_text("mine")
    done = sppr("export", "clab", "-o", "spp.clab.yml", *conf, cwd=tmp_path)
    assert done.returncode == 2 and "spp.clab.yml: exists" in done.stderr and written.read_text() == "mine"
    done = sppr("export", "clab", "-o", "none/a.yml", *conf, cwd=tmp_path)
    assert done.returncode == 3 and "none/a.yml: No such file" in done.stderr and "hint: choose a folder" in done.stderr


def test_conf_without_chains_names_a_fix(tmp_path: Path) -> None:
    (tmp_path / "conf.yml").write_text("session: a\n")
    done = sppr("export", "clab", cwd=tmp_path)
    assert done.returncode == 2 and "has no chains:" in done.stderr and "hint: add a chain" in done.stderr
