"""Single values of conf.yml, and where conf.yml is looked for."""

from pathlib import Path

import pytest

from sppr.config import peek
from sppr.config.load import load, parse
from sppr.config.model import Config, Restart
from sppr.config.problem import Problem, at_line, dotted, report
from sppr.config.syntax import MAX_BYTES, Mark
from sppr.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("Yes", True), ("on", True), ("False", False), ("no", False), ("OFF", False)],
)
def test_yaml_booleans_are_read(text: str, value: bool) -> None:
    lab = f"secondaries: [{{id: 1, coremask: 0xC, vhost_client: {text}}}]".encode()
    assert parse(lab, "c").secondaries[0].vhost_client is value
    made = Config.model_validate({"secondaries": [{"id": 1, "coremask": 0xC, "vhost_client": value}]})
    assert made.secondaries[0].vhost_client is value


def test_restart_policies_are_read() -> None:
    assert parse(b"primary: {restart: on-failure}", "c").primary.restart == Restart(policy="on-failure")
    assert parse(b"primary: {restart: no}", "c").primary.restart == Restart(policy="no", delay=1.0, max=5)
    whole = parse(b"primary: {restart: {policy: on-failure, delay: 0.5, max: 2}}", "c").primary.restart
    assert whole == Restart(policy="on-failure", delay=0.5, max=2)


def test_long_text_is_printed_up_to_40_characters() -> None:
    for key, reason in (("vhost_client", "is neither true nor false"), ("restart", "is not known")):
        entry = f"secondaries: [{{id: 1, coremask: 0xC, {key}: {'x' * 41}}}]".encode()
        with pytest.raises(ConfigError) as caught:
            parse(entry, "c")
        assert f"'{'x' * 40}' {reason}" in caught.value.what
    with pytest.raises(ConfigError) as caught:
        parse(f"controller: {{allow: [{'1' * 41}]}}".encode(), "c")
    assert f"'{'1' * 40}' is not an IPv4 network" in caught.value.what


def test_numbers_and_sizes_are_read() -> None:
    assert Config.model_validate({"primary": {"memory": 64}}).primary.memory == 64
    assert Config.model_validate({"primary": {"coremask": 3}}).primary.coremask == 3
    assert parse(b"primary: {memory: 64M}", "c").primary.memory == 64


def test_conf_yml_is_searched_here_then_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    here = tmp_path / "here"
    project.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(peek, "PROJECT", project)
    assert peek.find_conf(Path("lab.yml")) == here / "lab.yml"
    assert peek.find_conf(None) == here / "conf.yml"  # neither exists
    (project / "conf.yml").touch()
    assert peek.find_conf(None) == project / "conf.yml"
    (here / "conf.yml").touch()
    assert peek.find_conf(None) == here / "conf.yml"
    (project / "conf.yml").unlink()
    assert peek.find_conf(None) == here / "conf.yml"


@pytest.mark.parametrize(
    ("text", "session"),
    [
        ("session: lab1", "lab1"),
        ("session: [a]", None),
        ("vm: {session: x}", None),
        ("a: &a {session: one}\nb: &b {session: two}\n<<: [*a, *b]", "one"),
        ("a: &a {memory: 1}\nb: &b {session: two}\n<<: *a\nc: 1\n<<: *b", "two"),
        ("a: &a {session: one}\n<<: *a\nsession: own", "own"),
        ("a: &a {session: one}\n'<<': *a", None),
        ("- session: x", None),
        ("session: caf\u00e9", "caf\u00e9"),
        ("a: [", None),
    ],
)
def test_session_is_read_without_the_other_keys(tmp_path: Path, text: str, session: str | None) -> None:
    conf = tmp_path / "conf.yml"
    conf.write_text(text, encoding="utf-8")
    assert peek.session(conf) == session


def test_too_large_file_has_no_session(tmp_path: Path) -> None:
    conf = tmp_path / "conf.yml"
    assert peek.session(conf) is None
    conf.write_text("session: a\n#" + "x" * (1_000_000 - 12))
    assert conf.stat().st_size == 1_000_000 and peek.session(conf) == "a"
    conf.write_text(conf.read_text() + "x")
    assert peek.session(conf) is None


def test_problem_is_reported_at_its_nearest_parent_and_truncated() -> None:
    places = {(): Mark(1, 1), ("primary",): Mark(3, 5)}
    path = ("primary", "x" * 90)
    assert report("c", {}, [Problem((), "wrong", "fix it")]) == "c:1:1: wrong\n    fix: fix it"
    text = report("c", places, [Problem(path, "y" * 200, "z" * 160), Problem((), "y" * 201, "z" * 161)])
    assert text.splitlines() == [
        f"c:1:1: {'y' * 199}…", f"    fix: {'z' * 159}…",
        f"c:3:5: primary.{'x' * 71}…: {'y' * 200}", f"    fix: {'z' * 160}",
    ]  # fmt: skip
    assert dotted(("a", 0, "", 1, "b")) == "a[0].''[1].b" and at_line(None) == "" and at_line(3) == " (line 3)"


def test_files_that_are_no_conf_yml(tmp_path: Path) -> None:
    for path, reason, hint in (
        (tmp_path / "none.yml", "no such file", "name one with --conf FILE, or write one into this folder: sppr init"),
        (tmp_path, "cannot be read: Is a directory", "name another with --conf FILE"),
        (Path("/dev/null"), "is not a regular file", "name another with --conf FILE"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert (caught.value.what, caught.value.hint) == (f"{path}: {reason}", hint)


def test_problems_name_the_file(tmp_path: Path) -> None:
    conf = tmp_path / "lab.yml"
    conf.write_text("session: [a]\n")
    with pytest.raises(ConfigError) as caught:
        load(conf)
    assert caught.value.what.startswith(f"{conf}:1:1: session: ")


def test_the_largest_file(tmp_path: Path) -> None:
    conf = tmp_path / "conf.yml"
    conf.write_text("session: a\n#" + "x" * (MAX_BYTES - 12))
    assert conf.stat().st_size == MAX_BYTES and load(conf).session == "a"
    conf.write_text(conf.read_text() + "x")
    with pytest.raises(ConfigError, match=f"{conf}:1:1: larger than {MAX_BYTES} bytes"):
        load(conf)


PORTS = "tap:N, phy:N, pcap:N, memif:N, nullpmd:N"


@pytest.mark.parametrize(
    ("element", "fix"),
    [
        ("v11", "did you mean vm_v11?"),
        ("vm_v011", "did you mean vm_v11?"),
        ("vm_r007", "did you mean vm_r7?"),
        ("vmr7", "did you mean vm_r7?"),
        ("vm_v12", "conf.yml has: vm_r7, vm_v11"),
        (
            "xyz",
            "write a VM as sppr status shows it, such as vm_v11, or a port: tap:N, phy:N, pcap:N, memif:N, nullpmd:N",
        ),
    ],
)
def test_elements_of_a_path_that_are_no_vm(element: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(
            f"vms_ring: [{{id: 7}}]\nvms_vhost: [{{id: 11}}]\nchains: {{c: {{path: [tap:0, {element}]}}}}".encode(), "c"
        )
    assert caught.value.what.splitlines()[1] == f"    fix: {fix}"


def test_a_long_element_is_shown_up_to_40_characters() -> None:
    for size, shown in ((39, "x" * 39), (40, "x" * 40 + "…"), (41, "x" * 40 + "…")):
        with pytest.raises(ConfigError) as caught:
            parse(f"chains: {{c: {{path: [tap:0, {'x' * size}]}}}}".encode(), "c")
        assert f"path[1]: {shown} is neither a VM nor a port" in caught.value.what
    with pytest.raises(ConfigError) as caught:
        parse(b"chains: {c: {path: [tap:0, vm_v11]}}", "c")
    assert caught.value.what.endswith("fix: add it to vms_ring or vms_vhost")


def test_an_address_by_the_name_of_loopback() -> None:
    assert parse(b"controller: {host: localhost}", "c").controller.host == "127.0.0.1"
