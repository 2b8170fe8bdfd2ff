"""sppr image list, add, reset, rm and check with the real qemu-img, and the text of every refusal."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.host.process.processes import Holder
from sppr.images import edit, listing, qemu_img
from sppr.images.store import Store, stop_hint
from tests.conftest import ROOT
from tests.unit.images.test_store import image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A base, both templates, instances r6, r7 and v11."""
    image(tmp_path / "base.qcow2")
    store = Store(tmp_path, "base.qcow2", "qcow2")
    for kind, vm_id in (("ring", 6), ("ring", 7), ("vhost", 11)):
        store.ensure_instance(kind, vm_id, lambda _: None)  # type: ignore[arg-type]
    return tmp_path


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    """Start a process that has an image open for reading and writing, as QEMU does."""
    started: list[subprocess.Popen[bytes]] = []

    def run(path: Path) -> subprocess.Popen[bytes]:
        code = "import sys; f = open(sys.argv[1], 'r+b'); print(flush=True); sys.stdin.read()"
        argv = [sys.executable, "-c", code, str(path), "-name", "guest=vm-x1,debug-threads=on"]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline()
        started.append(process)
        return process

    yield run
    for process in started:
        process.communicate()


def by_name(folder: Path) -> dict[str, listing.Entry]:
    return {entry.name: entry for entry in listing.entries(folder)}


def add(folder: Path, source: Path, name: str | None = None, image_format: str | None = None) -> list[float]:
    seen: list[float] = []
    edit.import_image(folder, source, name, image_format, seen.append)
    return seen


def test_image_is_imported_from_another_file_system(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        source = image(Path(other) / "other.qcow2")
        assert source.stat().st_dev != folder.stat().st_dev
        assert add(folder, source)[-1] == 1
        assert (folder / "other.qcow2").read_bytes() == source.read_bytes()


# --- list ---


def test_images_are_listed_with_their_backing_files(folder: Path) -> None:
    (folder / "notes.txt").write_text("no image")
    found = listing.entries(folder)
    assert [(e.name, e.role, e.kind, e.vm) for e in found] == [
        ("base.qcow2", "base", None, None),
        ("or-base.qcow2", "template", "ring", None),
        ("ov-base.qcow2", "template", "vhost", None),
        ("r6-base.qcow2", "instance", "ring", "r6"),
        ("r7-base.qcow2", "instance", "ring", "r7"),
        ("v11-base.qcow2", "instance", "vhost", "v11"),
    ]
    assert [p.name for p in found[-1].chain] == ["ov-base.qcow2", "base.qcow2"] and found[0].chain == ()
    assert all(e.size == 8 << 20 and 0 < e.disk < 1 << 20 and not e.fault and not e.holders for e in found)


def test_user_of_an_image_has_the_name_of_the_vm(folder: Path, runs: Callable[[Path], object]) -> None:
    runs(folder / "img/r6-base.qcow2")
    entries = by_name(folder)
    (holder,) = entries["r6-base.qcow2"].holders
    assert holder.name == "vm-x1" and holder.writes and not entries["r7-base.qcow2"].holders


def test_image_list_as_text_and_json(folder: Path) -> None:
    (folder / "conf.yml").write_text("images: {dir: .}\n")
    call = [sys.executable, "-m", "sppr", "image", "list", "--conf", str(folder / "conf.yml")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    text = subprocess.run(call, env=env, capture_output=True, text=True, check=True).stdout
    assert "v11-base.qcow2  instance" in text and text.rstrip().endswith("over ov-base.qcow2 > base.qcow2")
    rows = json.loads(subprocess.run([*call, "--json"], env=env, capture_output=True, text=True, check=True).stdout)
    assert text.splitlines()[0].split() == ["NAME", "ROLE", "MiB", "ON", "DISK", "OVER,", "RUN", "BY"]
    assert text.splitlines()[1].split()[:3] == ["base.qcow2", "base", "8"]
    assert rows[-1]["chain"] == [str(folder / "ov-base.qcow2"), str(folder / "base.qcow2")] and rows[-1]["vm"] == "v11"


def test_folder_without_images_is_reported(tmp_path: Path) -> None:
    (tmp_path / "conf.yml").write_text("images: {dir: .}\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for verb in ("list", "check"):
        call = [sys.executable, "-m", "sppr", "image", verb, "--conf", str(tmp_path / "conf.yml")]
        text = subprocess.run(call, env=env, capture_output=True, text=True, check=True).stdout
        assert "no image yet: make up builds one" in text, verb


def test_stop_hint_names_the_part_that_uses_an_image() -> None:
    assert stop_hint(Holder(7, "vm-r6", True)).startswith("stop it first: sppr stop vm_r6, or")
    assert stop_hint(Holder(7, "qemu-nbd", True)) == "stop it first: sppr down, or if it belongs to no session: kill 7"


def test_missing_source_is_an_error_with_a_hint() -> None:
    with pytest.raises(HostError, match=r"/nonexist\.img: no such image") as e:
        add(Path("/unused"), Path("/nonexist.img"))
    assert e.value.hint == "ls -l /"


# --- add ---


def test_qcow2_is_copied_and_other_formats_are_converted(tmp_path: Path) -> None:
    there = tmp_path / "there"
    source = image(tmp_path / "a.qcow2")
    assert add(there, source)[-1] == 1.0 and (there / "a.qcow2").read_bytes() == source.read_bytes()
    raw = tmp_path / "b.img"
    raw.write_bytes(os.urandom(1 << 20))
    assert add(there, raw)[-1] == 1.0 and qemu_img.info(there / "b.qcow2").format == "qcow2"
    vmdk = image(tmp_path / "c.vmdk", "vmdk")
    add(there, vmdk, "other.qcow2")
    assert sorted(path.name for path in there.iterdir()) == ["a.qcow2", "b.qcow2", "other.qcow2"]
    subprocess.run(["qemu-img", "compare", str(raw), str(there / "b.qcow2")], check=True, capture_output=True)


def test_overlay_is_added_with_its_backing_file(folder: Path, tmp_path: Path) -> None:
    """This needs an option: an image from elsewhere may name any file of this host."""
    read: list[str] = []
    source = folder / "img/r6-base.qcow2"
    with pytest.raises(HostError, match=r"is not a complete image: parts of its content are in .*or-base\.qcow2") as e:
        add(tmp_path / "there", source, "flat.qcow2")
    assert e.value.hint and e.value.hint.endswith(f"sppr image import {source} --flatten")
    assert not (tmp_path / "there").exists()
    edit.import_image(tmp_path / "there", source, "flat.qcow2", None, lambda _: None, read.append)
    assert [Path(part).name for part in read] == ["r6-base.qcow2", "or-base.qcow2", "base.qcow2"]
    assert qemu_img.info(tmp_path / "there/flat.qcow2").is_standalone


def test_image_that_references_a_host_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_bytes(os.urandom(2 << 20))
    stands, data, extent = (tmp_path / name for name in ("stands.qcow2", "data.qcow2", "extent.vmdk"))
    make = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*make, "-F", "raw", "-b", str(secret), str(stands)], check=True)
    subprocess.run([*make, "-o", f"data_file={tmp_path / 'd.raw'},data_file_raw=on", str(data), "2M"], check=True)
    subprocess.run(["qemu-img", "amend", "-f", "qcow2", "-o", f"data_file={secret}", str(data)], check=False)
    extent.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        f'RW 4096 FLAT "{secret.name}" 0\nddb.adapterType = "ide"\n'
    )
    for source in (stands, data, extent):
        with pytest.raises(HostError, match="is not a complete image"):
            add(tmp_path / "there", source)
    assert not (tmp_path / "there").exists()


def test_file_name_is_not_an_option_or_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.qcow2", "nbd:x.qcow2", "json:{}.qcow2"):
        image(tmp_path / "a.qcow2").rename(name)
        add(tmp_path / "there", Path(name), "b.qcow2")
        (tmp_path / "there/b.qcow2").unlink()
        over = Path("over.qcow2")
        qemu_img.overlay(Path(name), "qcow2", over, 0o644)
        assert [one.format for one in qemu_img.backing_chain(over)] == ["qcow2", "qcow2"]
        assert qemu_img.find_damage(Path(name), "qcow2") is None
        over.unlink()


def test_source_that_is_not_a_file_is_reported(folder: Path) -> None:
    for name in ("or-folder.qcow2", "folder.qcow2"):
        (folder / name).mkdir()
    os.mkfifo(folder / "ov-pipe.qcow2")
    rows = by_name(folder)
    for name in ("or-folder.qcow2", "ov-pipe.qcow2"):
        fault = rows[name].fault
        assert fault and fault.what == f"{folder / name}: is not a regular file"
    for name in ("or-folder.qcow2", "folder.qcow2", "ov-pipe.qcow2"):
        with pytest.raises(HostError, match="is not a regular file"):
            edit.remove_images(folder, [name], lambda _: None)


def test_unsuitable_source_is_refused(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "notes.txt").write_text("no image")
    broken = image(bad / "broken.qcow2")
    broken.write_bytes(broken.read_bytes()[:70000])
    (bad / "alien.qcow2").write_bytes(b"QFI\xfb\0\0\0\3" + bytes(200))
    orphan = bad / "orphan.qcow2"
    image(bad / "gone.qcow2")
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "gone.qcow2", str(orphan)]
    subprocess.run(make, check=True)
    (bad / "zero.raw").touch()
    with pytest.raises(HostError, match="0 bytes are too small"):
        add(folder, bad / "zero.raw", None, "raw")
    (bad / "gone.qcow2").unlink()
    for source, name, message in (
        (bad / "none.qcow2", None, "no such image"),
        (bad / "notes.txt", None, "not an image format that qemu-img knows"),
        (broken, None, "is damaged: "),
        (bad / "alien.qcow2", None, "Could not open"),
        (orphan, None, r"parts of its content are in .*gone\.qcow2"),
        (folder / "base.qcow2", None, "already exists"),
        (folder / "base.qcow2", "or-x.qcow2", "cannot be the name of a base image"),
        (folder / "base.qcow2", "../x.qcow2", "cannot be the name of a base image"),
        (folder / "base.qcow2", "x.txt", "cannot be the name of a base image"),
        (folder / "base.qcow2", "-x.qcow2", "cannot be the name of a base image"),
        (folder / "base.qcow2", "x,y.qcow2", "cannot be the name of a base image"),
        (folder / "base.qcow2", "x\n.qcow2", "cannot be the name of a base image"),
    ):
        with pytest.raises(HostError, match=message):
            add(folder, source, name)
    with pytest.raises(HostError, match=r"its backing file .*gone\.qcow2 is missing"):
        edit.import_image(folder, orphan, None, None, lambda _: None, lambda _: None)
    with pytest.raises(HostError) as e:
        add(folder, folder / "base.qcow2")
    assert e.value.hint == "use another name: --name NAME.qcow2"
    assert [e.name for e in listing.entries(folder) if e.role == "base"] == ["base.qcow2"]
    assert not list(folder.rglob("*.tmp"))


def test_image_in_use_is_not_added(folder: Path, tmp_path: Path, runs: Callable[[Path], object]) -> None:
    runs(folder / "base.qcow2")
    with pytest.raises(HostError, match=r"base\.qcow2: is in use by vm-x1 \(pid \d+\)"):
        add(tmp_path / "there", folder / "base.qcow2")


def test_interrupted_add_leaves_nothing(tmp_path: Path) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    source = image(tmp_path / "a.qcow2")
    raw = tmp_path / "b.raw"
    raw.write_bytes(os.urandom(4 << 20))
    for one in (source, raw):
        with pytest.raises(KeyboardInterrupt):
            edit.import_image(tmp_path / "there", one, None, None, stop)
    assert not list((tmp_path / "there").iterdir())


# --- reset ---


def test_reset_recreates_one_instance_only(folder: Path) -> None:
    used, other = folder / "img/r6-base.qcow2", folder / "img/r7-base.qcow2"
    fresh, other_before = used.stat().st_size, other.stat().st_ino
    subprocess.run(["qemu-io", "-c", "write 0 1M", str(used)], check=True, capture_output=True)
    assert used.stat().st_size > fresh
    edit.reset_instances(folder, ["r6", "6", "vm-r6"], lambda _: None)
    assert used.stat().st_size == fresh and other.stat().st_ino == other_before
    assert qemu_img.info(used).backing == "../or-base.qcow2" and os.access(used, os.W_OK)


def test_reset_of_several_is_all_or_nothing(folder: Path, runs: Callable[[Path], object]) -> None:
    runs(folder / "img/r7-base.qcow2")
    before = (folder / "img/r6-base.qcow2").stat().st_ino
    with pytest.raises(HostError, match=r"r7-base\.qcow2: is in use by vm-x1 \(pid \d+\)"):
        edit.reset_instances(folder, ["r6", "r7"], lambda _: None)
    for word, message in (("r1", "no such instance"), ("1", "no such"), ("or-base.qcow2", "no such instance")):
        with pytest.raises(HostError, match=message) as e:
            edit.reset_instances(folder, ["r6", word], lambda _: None)
        assert e.value.hint == "existing instances: r6, r7, v11"
    assert (folder / "img/r6-base.qcow2").stat().st_ino == before


def test_reset_needs_the_template(folder: Path) -> None:
    (folder / "or-base.qcow2").unlink()
    with pytest.raises(HostError, match=r"its template or-base\.qcow2 is missing") as e:
        edit.reset_instances(folder, ["r6"], lambda _: None)
    assert e.value.hint and e.value.hint.startswith("sppr image build-template ring")


def test_id_in_two_base_images_is_ambiguous(folder: Path) -> None:
    image(folder / "two.qcow2")
    Store(folder, "two.qcow2", "qcow2").ensure_instance("ring", 6, lambda _: None)
    with pytest.raises(HostError, match=r"6: ambiguous, matches r6-base\.qcow2, r6-two\.qcow2"):
        edit.reset_instances(folder, ["6"], lambda _: None)
    edit.reset_instances(folder, ["r6-two.qcow2"], lambda _: None)


# --- rm ---


def test_backing_file_is_removed_only_with_its_overlays(folder: Path) -> None:
    with pytest.raises(HostError, match=r"or-base\.qcow2: r6-base\.qcow2 r7-base\.qcow2 use it as backing file") as e:
        edit.remove_images(folder, ["or-base.qcow2"], lambda _: None)
    assert e.value.hint == "remove them too: sppr image rm or-base.qcow2 r6-base.qcow2 r7-base.qcow2"
    with pytest.raises(HostError, match=r"base\.qcow2: .*ov-base\.qcow2.* use it as backing file"):
        edit.remove_images(folder, ["base.qcow2", "or-base.qcow2", "r6", "r7"], lambda _: None)
    assert len(listing.entries(folder)) == 6
    edit.remove_images(folder, ["or-base.qcow2", "r6", "r7"], lambda _: None)
    assert sorted(by_name(folder)) == ["base.qcow2", "ov-base.qcow2", "v11-base.qcow2"]
    assert not (folder / ".or-base.qcow2.json").exists() and (folder / ".ov-base.qcow2.json").exists()


def test_overlay_of_a_broken_image_keeps_the_base(folder: Path) -> None:
    """The template of the instance is missing, so the base image has no direct overlay."""
    template = folder / "or-base.qcow2"
    template.chmod(0o644)
    template.write_bytes(template.read_bytes()[:100])
    with pytest.raises(HostError, match=r"or-base\.qcow2: .*r6-base\.qcow2.* use it as backing file"):
        edit.remove_images(folder, ["or-base.qcow2"], lambda _: None)


def test_image_in_use_and_its_backing_files_are_not_removed(folder: Path, runs: Callable[[Path], object]) -> None:
    runs(folder / "img/v11-base.qcow2")
    with pytest.raises(HostError, match="is in use by vm-x1"):
        edit.remove_images(folder, ["v11", "ov-base.qcow2"], lambda _: None)
    with pytest.raises(HostError, match="nosuch: no such image"):
        edit.remove_images(folder, ["r6", "nosuch"], lambda _: None)
    assert len(listing.entries(folder)) == 6


# --- check, and the check of a bring-up ---


def test_check_of_valid_images_finds_nothing(folder: Path) -> None:
    assert listing.check(folder, "qcow2") == []


def test_faults_have_id_text_and_fix(folder: Path, runs: Callable[[Path], object]) -> None:
    (folder / ".or-base.qcow2.999999999.tmp").write_text("half")
    run_by = folder / "img/v11-base.qcow2"
    runs(run_by)
    instance = folder / "img/r6-base.qcow2"
    bare = ["qemu-img", "rebase", "-u", "-b", "../gone.qcow2", "-F", "qcow2", str(instance)]
    subprocess.run(bare, check=True)
    whole = folder / "img/r7-base.qcow2"
    whole.unlink()
    image(whole)
    with (folder / "base.qcow2").open("ab") as f:
        f.write(b"x")
    found = {(f.id, f.severity): f for f in listing.check(folder, "qcow2")}
    assert set(found) == {
        ("img-base", "error"), ("img-broken", "error"), ("img-lock", "warning"), ("img-partial", "warning"),
    }  # fmt: skip
    assert "r7-base.qcow2: has no backing file" in found["img-broken", "error"].what
    assert found["img-broken", "error"].fix.startswith("sppr image reset r7")
    assert found["img-partial", "warning"].fix == f"rm {folder / '.or-base.qcow2.999999999.tmp'}"
    message = [f.what for f in listing.check(folder, "qcow2") if f.id == "img-base"]
    assert any("gone.qcow2 is missing" in text for text in message)
    assert sum("changed after" in text for text in message) == 2


def test_bring_up_reports_a_broken_instance(folder: Path, runs: Callable[[Path], object]) -> None:
    store = Store(folder, "base.qcow2", "qcow2")
    store.check_usable("ring", 6)
    runs(folder / "img/r6-base.qcow2")
    with pytest.raises(HostError, match=r"r6-base\.qcow2: is in use by vm-x1 \(pid \d+\)") as e:
        store.check_usable("ring", 6)
    assert e.value.hint and e.value.hint.startswith("stop it first: sppr down")
    (folder / "ov-base.qcow2").unlink()
    with pytest.raises(HostError, match=r"its backing file .*ov-base\.qcow2 is missing"):
        store.check_usable("vhost", 11)
    runs(folder / "base.qcow2")
    with pytest.raises(HostError, match=r"base\.qcow2: is in use by vm-x1"):
        store.check_usable("ring", 7)


def test_overlay_without_a_backing_format_is_reported(folder: Path) -> None:
    """Older releases of qemu-img made such overlays. Here the header extension is removed."""
    path = folder / "img/r6-base.qcow2"
    raw = path.read_bytes()
    at = raw.index(b"\xe2\x79\x2a\xca")  # its magic
    path.write_bytes(raw[:at] + b"\x12\x34\x56\x78" + raw[at + 4 :])
    (finding,) = [f for f in listing.check(folder, "qcow2") if f.id == "img-fmt"]
    assert "does not name the format of" in finding.what and finding.fix.startswith("qemu-img rebase -u -F qcow2 -b ")
    subprocess.run(finding.fix.split(), check=True)
    assert listing.check(folder, "qcow2") == []
