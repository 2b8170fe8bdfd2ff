"""The command line: exit status and messages of each outcome."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sppr.cli import lifecycle
from sppr.cli.context import load_paths
from sppr.cli.session import own_session, session_of
from sppr.config import peek
from sppr.config.load import load
from sppr.errors import SpprError
from sppr.host.facts import Facts
from sppr.images.store import AmbiguousBase
from sppr.lab.plan import planner
from sppr.lab.plan.plan import Flags
from sppr.lab.state import state
from tests.conftest import ROOT
from tests.unit.images.test_store import image


def sppr(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sppr", *words], cwd=cwd, capture_output=True, text=True, check=False)


def test_bug_exits_with_70_and_a_traceback_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bug.py"
    head = (
        "import click\nfrom sppr.cli.errors import ErrorReportingCommand\n@click.command(cls=ErrorReportingCommand)\n"
    )
    program.write_text(head + "def main():\n    raise ZeroDivisionError\nmain()\n")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert done.returncode == 70 and "Traceback" not in done.stderr
    [log] = tmp_path.glob("sppr-bug-*.log")
    assert str(log) in done.stderr and "ZeroDivisionError" in log.read_text()


def test_usage_error_exits_with_2(tmp_path: Path) -> None:
    assert sppr("no-such-verb", cwd=tmp_path).returncode == 2
    done = sppr("up", "-vdt", "3-1", cwd=tmp_path)
    assert done.returncode == 2 and "'3-1' counts down" in done.stderr
    assert sppr("up", "-ns", "-1", cwd=tmp_path).returncode == 2
    assert "'-nx'" in sppr("up", "-nx", cwd=tmp_path).stderr
    done = sppr("up", "--session", "a.b", cwd=tmp_path)
    assert done.returncode == 2 and "tmux reads . and :" in done.stderr


def test_too_long_interface_name_is_refused(tmp_path: Path) -> None:
    long, good = "net_tap0,iface=averylonginterface", "net_tap0,iface=fifteen89012345"
    shutil.copy(ROOT / "conf.yml", tmp_path)
    script = str(ROOT / "runscripts" / "primary.py")
    for words in (["up", "-vd", good, "--vdev", long], ["plan", "-vd", long], ["doctor", "-vd", long]):
        done = sppr(*words, cwd=tmp_path)
        assert done.returncode == 2 and "'averylonginterface' is 18 characters long" in done.stderr, done
        assert "write a shorter one, such as iface=averylon" in done.stderr
    done = subprocess.run([script, "-vd", long, "--dry-run"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "'averylonginterface' is 18 characters long" in done.stderr, done
    assert sppr("plan", "-vd", good, cwd=tmp_path).returncode == 0


def test_help_lists_every_command_without_conf_yml(tmp_path: Path) -> None:
    done = sppr("-h", cwd=tmp_path)
    assert done.returncode == 0
    for verb in ("up", "down", "status", "attach", "plan", "logs", "setup"):
        assert f"  {verb} " in done.stdout


def test_missing_session_is_reported(tmp_path: Path) -> None:
    done = sppr("status", "--session", "nobody", cwd=tmp_path)
    assert (
        done.returncode == 1
        and "session nobody: not running" in done.stderr
        and "hint: sppr up --session nobody" in done.stderr
    )


def test_default_session_is_that_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, clone, bare = (tmp_path / name for name in ("lab", "clone", "bare"))
    for folder in (lab, clone, bare):
        folder.mkdir()
    monkeypatch.chdir(lab)
    (lab / "conf.yml").write_text("session: mine\n")
    (clone / "conf.yml").write_text("session: mine\n")
    assert peek.session(lab / "conf.yml") == "mine" and session_of("given") == own_session("given") == "given"
    assert session_of(None) == own_session(None) == "mine"
    started(tmp_path / "run" / "other", clone / "conf.yml")
    assert session_of(None) == own_session(None) == "mine", "another folder's lab is not meant"
    started(tmp_path / "run" / "named", lab / "conf.yml")
    assert session_of(None) == own_session(None) == "named", "the only one of this folder, under another name"
    started(tmp_path / "run" / "mine", lab / "other.yml")
    assert session_of(None) == own_session(None) == "mine", "two files in one folder are one lab"
    (lab / "conf.yml").write_bytes(b"\xff: [")
    assert peek.session(lab / "conf.yml") is None


def test_session_of_another_folder_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, clone = tmp_path / "lab", tmp_path / "clone"
    lab.mkdir()
    clone.mkdir()
    started(tmp_path / "run" / "spp", lab / "conf.yml")
    monkeypatch.chdir(clone)
    (clone / "conf.yml").write_text("primary: {}\n")
    assert session_of(None) == own_session("spp") == "spp"
    with pytest.raises(SpprError) as e:
        own_session(None)
    assert e.value.exit_code == 1
    assert e.value.what == (
        f"session spp belongs to the lab of {lab}/conf.yml, not to {clone}/conf.yml\nnothing was changed"
    )
    assert f"sppr down --session spp; for a lab of your own: session: spp2 in {clone}/conf.yml" in str(e.value.hint)
    lab.rmdir()
    with pytest.raises(SpprError, match=r"conf.yml, whose folder is gone, not"):
        own_session(None)
    (tmp_path / "run" / "spp" / "state.json").write_text("{")
    assert own_session(None) == "spp", "nothing tells whose it is"
    (tmp_path / "run" / "spp" / "traces.json").write_text(
        json.dumps({"socket_name": None, "file_prefix": "spp", "huge_dir": "/h", "conf": str(lab / "conf.yml")})
    )
    with pytest.raises(SpprError, match="belongs to the lab of"):
        own_session(None)


@pytest.mark.parametrize("script", ["primary.py", "secondary.py -i 1", "controller.py", "run-vm.py -t ring -i 6"])
def test_runscript_refuses_a_session_of_another_folder(tmp_path: Path, script: str) -> None:
    """In a second clone, it recorded itself in the session of the first."""
    lab, clone = tmp_path / "lab", tmp_path / "clone"
    lab.mkdir()
    clone.mkdir()
    started(tmp_path / "run" / "spp", lab / "conf.yml")
    shutil.copy(ROOT / "conf.yml", clone)
    name, *words = script.split()
    argv = [sys.executable, str(ROOT / "runscripts" / name), *words, "--conf", str(clone / "conf.yml")]
    done = subprocess.run(argv, cwd=clone, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done
    assert f"session spp belongs to the lab of {lab}/conf.yml, not to {clone}/conf.yml" in done.stderr
    assert [path.name for path in (tmp_path / "run" / "spp").iterdir()] == ["state.json"]


def test_only_session_is_the_default_without_conf_yml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(tmp_path / "run" / "other", tmp_path / "lab" / "conf.yml")
    monkeypatch.chdir(tmp_path)
    assert session_of(None) == "other"
    with pytest.raises(SpprError, match="session other belongs to the lab of"):
        own_session(None)


def started(run: Path, conf: Path) -> None:
    """A session that records this conf.yml as its owner."""
    run.mkdir(parents=True)
    (run / "state.json").write_text(json.dumps({"plan": {"conf": str(conf)}}))


@pytest.mark.parametrize("verb", ["up", "plan", "down", "start", "stop", "restart", "status", "attach", "logs"])
def test_every_command_accepts_s_for_the_session(verb: str, tmp_path: Path) -> None:
    names = ["sec1"] if verb in ("start", "stop", "restart", "logs") else []
    done = sppr(verb, *names, "-s", "a.b", cwd=tmp_path)
    assert done.returncode == 2 and "--session 'a.b': cannot be used" in done.stderr, done.stderr
    if verb in ("up", "plan"):
        done = sppr(verb, "-ns", "1", "-s", "a.b", "-nr", "0", cwd=tmp_path)
        assert "--session 'a.b': cannot be used" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("controller.py", "-m sppr.live"),
        ("primary.py -n 4 -c 0x1 -p 0x1 -vdt 3", "--vdev net_tap3,iface=vtap3 -- -p 0x01 -n 4 -s 127.0.0.1:5555"),
        ("secondary.py -i 9 -c 0xC0 -cp 7777", "-- -n 9 -s 127.0.0.1:7777"),
        ("run-vm.py -t ring -i 6 -m 128", "/run/spp/ivshmem6,share=on"),
        ("run-vm.py -t vhost -i 11 -d 3,4 -c 2", "/run/spp/sock4,reconnect"),
        ("run-vm.py -t vhost -i 0", "opt/sppr/hostname,string=vm-v0"),
    ],
)
def test_runscript_dry_run_prints_its_command_line(line: str, becomes: str, tmp_path: Path) -> None:
    script, *words = line.split()
    command = [str(ROOT / "runscripts" / script), *words, "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and becomes in done.stdout, done.stderr


def test_several_unnamed_base_images_stop_up_before_any_change(tmp_path: Path) -> None:
    images = tmp_path / "runscripts"
    images.mkdir()
    for name in ("a.qcow2", "b.qcow2"):
        (images / name).touch()
    conf = tmp_path / "conf.yml"
    conf.write_text((ROOT / "conf.yml").read_text())
    for verb in ("plan", "up"):
        done = sppr(verb, "--conf", str(conf), cwd=tmp_path)
        assert done.returncode == 3 and "several base images: a.qcow2, b.qcow2" in done.stderr, done.stderr
        assert "images: {base: a.qcow2}" in done.stderr
    config, where = load_paths(conf, None)
    running = state.State(planner.make(config, Flags(), Facts(cpus=(0,)), where), "boot")
    vm = next(part.name for part in running.plan.parts if part.is_vm)
    with pytest.raises(AmbiguousBase):
        lifecycle.replan(running, [vm])
    assert lifecycle.replan(running, ["pri"])[1] is not None
    (images / "b.qcow2").unlink()
    assert lifecycle.replan(running, [vm])[1] is not None


def test_image_names_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf.yml").write_text("images: {dir: .}\n")
    (tmp_path / "img").mkdir()
    for name in ("base.qcow2", "or-base.qcow2", "img/r6-base.qcow2"):
        (tmp_path / name).touch()
    for verb, words in (("reset", ["vm-r6", "r6-base.qcow2"]), ("rm", ["vm-r6", "base.qcow2"])):
        monkeypatch.setenv("_SPPR_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"sppr image {verb} ")
        monkeypatch.setenv("COMP_CWORD", "3")
        done = sppr(cwd=tmp_path)
        message = [line.partition(",")[2] for line in done.stdout.splitlines()]
        assert set(words) <= set(message) and ("or-base.qcow2" in message) == (verb == "rm"), (done.stdout, done.stderr)


def test_second_base_image_prints_that_one_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "conf.yml").write_text((ROOT / "conf.yml").read_text())
    image(tmp_path / "u.qcow2")
    first = sppr("image", "import", "u.qcow2", "--name", "a.qcow2", cwd=tmp_path)
    assert first.returncode == 0 and "base:" not in first.stdout, first.stderr
    done = sppr("image", "import", "u.qcow2", cwd=tmp_path)
    assert "conf.yml must name one: otherwise wakeup refuses to start" in done.stdout, done.stderr
    assert "{base: u.qcow2}   to use the new one" in done.stdout and "{base: a.qcow2}   to keep using it" in done.stdout


@pytest.mark.parametrize("name", ["", "../x", "/tmp", "-x", "x" * 33, "a.b"])
def test_invalid_session_name_is_refused(name: str, tmp_path: Path) -> None:
    for verb in ("down", "status", "attach"):
        done = sppr(verb, "--session", name, cwd=tmp_path)
        assert done.returncode == 2 and "cannot be used" in done.stderr, (verb, done.stderr)


def test_endless_conf_yml_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        done = sppr("plan", "--conf", str(path), cwd=tmp_path)
        assert done.returncode == 2 and f"{path}: is not a regular file" in done.stderr


def test_closed_or_full_output_is_not_a_bug(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "sppr", "plan", "--conf", str(ROOT / "conf.yml")]
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&-', "sh", *program], capture_output=True, text=True, check=False
    )
    assert closed.returncode == 0, closed.stderr
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3 and "No space left on device" in done.stderr


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"plan": {"version": 1}}', "parts", "panes", "ready", "run", "name", "folder"],
)
def test_invalid_state_is_reported(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planner.make(load(ROOT / "conf.yml"), Flags(), Facts(cpus=(0,)), load_paths(ROOT / "conf.yml", "spp")[1])
    monkeypatch.setenv("SPPR_RUN_DIR", str(tmp_path))
    folder = tmp_path / "spp"
    folder.mkdir()
    state.State(replace(made, run=str(folder)), "boot").save()
    assert state.load("spp")
    data = json.loads((folder / "state.json").read_text())
    wrong = {"panes": {"panes": [1]}, "ready": {"ready": None}}.get(damage, {})
    data.update(wrong)
    if damage in ("run", "parts"):
        data["plan"][damage] = 5
    if damage == "name":
        data["plan"]["parts"][0]["name"] = 5
    if damage == "folder":
        (folder / "state.json").unlink()
        (folder / "state.json").mkdir()
    else:
        known = damage in ("panes", "ready", "run", "parts", "name")
        (folder / "state.json").write_text(json.dumps(data) if known else damage)
    with pytest.raises(state.UnreadableState, match=r"cannot be read|another version") as e:
        state.load("spp")
    assert e.value.hint == "sppr down --session spp stops what is left of it"


def test_full_disk_of_standard_output_is_reported() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sppr", "doctor", "explain", "-"], stdin=subprocess.DEVNULL, stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3 and done.stderr == "error: standard output: No space left on device\n"


def test_removed_current_folder_is_reported(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from sppr.cli.main import main; main(['status'])"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and done.stderr == "error: the current folder was removed\nhint: cd to another\n"


@pytest.mark.parametrize(("modules", "without"), [
    ("sppr.cli.inspect sppr.cli.session sppr.lab.state.state sppr.lab.state.status",
     {"sppr.host.root.privilege", "sppr.host.facts", "libtmux", "yaml", "pydantic", "psutil"}),
    ("sppr.cli.up sppr.cli.context sppr.lab.up.bringup sppr.lab.up.preflight sppr.lab.lifecycle",
     {"asyncio", "qemu.qmp", "rich"}),
])  # fmt: skip
def test_command_imports_only_what_it_uses(modules: str, without: set[str]) -> None:
    """Each takes milliseconds to import; the bench compares `sppr status` with importing click, and a bring-up with its
    parts."""
    code = f"import sys, {modules.replace(' ', ', ')}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set(modules.split()) <= loaded and not loaded & without


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["image", "add", "no.img"], "sppr image add is now sppr image import"),
        (["image", "template", "ring"], "sppr image template is now sppr image build-template"),
        (["image", "provision", "ring"], "sppr image provision is now sppr image build-template --force"),
        (["doctor", "--log", "no.log"], "sppr doctor --log is now sppr doctor explain"),
    ],
)
def test_former_option_name_works_and_prints_the_new_one(tmp_path: Path, old: list[str], new: str) -> None:
    (tmp_path / "conf.yml").touch()
    first, *rest = sppr(*old, cwd=tmp_path).stderr.splitlines()
    assert first == f"note: {new}" and any(line.startswith("error: ") for line in rest), rest
    assert f"\n  {old[1]} " not in sppr(old[0], "-h", cwd=tmp_path).stdout, "the help lists the new name only"


@pytest.mark.parametrize("verb", ["status", "top", "events", "plan", "chain"])
def test_verb_starts_without_the_terminal_view(verb: str) -> None:
    """textual takes 0.2 s to import. Only `sppr top` in a terminal needs it."""
    load = f"from sppr.cli import main; main.Verbs().get_command(None, {verb!r})"
    code = f"import sys; {load}; print('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"
