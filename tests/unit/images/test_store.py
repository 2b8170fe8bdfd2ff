"""Templates and instances with the real qemu-img: created if missing, completely or not at all, never replaced."""

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.images import qemu_img
from sppr.images.store import Store, base_candidates, find


def image(path: Path, image_format: str = "qcow2") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", image_format, str(path), "8M"], check=True)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    image(tmp_path / "base.qcow2")
    return Store(tmp_path, "base.qcow2", "qcow2")


def test_template_and_instance_are_created_once(store: Store) -> None:
    printed: list[str] = []
    instance = store.ensure_instance("vhost", 11, printed.append)
    assert instance == store.folder / "img" / "v11-base.qcow2" and len(printed) == 2
    template = store.template("vhost")
    assert template.name == "ov-base.qcow2" and stat.S_IMODE(template.stat().st_mode) == 0o444
    assert qemu_img.info(instance).backing == "../ov-base.qcow2" and qemu_img.info(template).backing == "base.qcow2"
    before = (instance.stat().st_mtime_ns, template.stat().st_mtime_ns)
    assert store.ensure_instance("vhost", 11, printed.append) == instance and len(printed) == 2
    assert before == (instance.stat().st_mtime_ns, template.stat().st_mtime_ns)
    assert not list(store.folder.rglob("*.tmp"))


def test_backing_file_has_one_path_for_every_spelling(tmp_path: Path) -> None:
    """qemu-img would run once for each path. After a link, ``..`` is another folder than its text suggests."""
    for folder in (tmp_path / "img", tmp_path / "far" / "img"):
        folder.mkdir(parents=True)
        image(folder.parent / "base.qcow2")
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "../base.qcow2", str(folder / "a")]
        subprocess.run(create, check=True)
    assert qemu_img.info(tmp_path / "img" / "a").backing_path == tmp_path / "base.qcow2"
    (tmp_path / "near").mkdir()
    link = tmp_path / "near" / "img"
    link.symlink_to(tmp_path / "far" / "img")
    image(tmp_path / "near" / "base.qcow2")
    backing = qemu_img.info(link / "a").backing_path
    assert backing is not None and backing.samefile(tmp_path / "far" / "base.qcow2")


def test_changed_base_of_a_template_is_refused(store: Store) -> None:
    store.ensure_template("ring", lambda _: None)
    store.base_path.write_bytes(store.base_path.read_bytes() + b"x")
    with pytest.raises(HostError, match=r"base\.qcow2: changed after or-base\.qcow2 was created over it"):
        store.ensure_instance("ring", 6, lambda _: None)
    assert not (store.folder / "img").exists()


def test_image_info_is_cached_until_the_image_changes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    other = image(store.folder / "other.qcow2")
    over = image(store.folder / "over.qcow2")
    asked: list[object] = []
    real = qemu_img.run
    monkeypatch.setattr(qemu_img, "run", lambda *args, **options: (asked.append(args), real(*args, **options))[1])
    assert [qemu_img.info(over).backing for _ in range(3)] == [None] * 3 and len(asked) == 1
    subprocess.run(["qemu-img", "rebase", "-u", "-F", "qcow2", "-b", other.name, over], check=True)
    assert qemu_img.info(over).backing == other.name and len(asked) == 2


def test_existing_image_is_never_replaced(store: Store) -> None:
    target = store.folder / "x.qcow2"
    target.write_text("precious")
    with pytest.raises(HostError, match="already exists"):
        qemu_img.overlay(store.base_path, "qcow2", target, 0o644)
    assert target.read_text() == "precious" and not list(store.folder.glob(".*.tmp"))


def test_temporary_file_of_a_killed_run_is_removed(store: Store) -> None:
    left = store.folder / ".or-base.qcow2.4711.tmp"
    left.write_text("half")
    store.ensure_template("ring", lambda _: None)
    assert not left.exists()


def test_template_with_instances_is_not_booted(store: Store) -> None:
    store.ensure_instance("ring", 6, lambda _: None)
    with pytest.raises(HostError, match=r"r6-base\.qcow2 uses this template"):
        store.check_template_free("ring")
    store.check_template_free("vhost")


def test_missing_or_wrong_base_is_reported(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text.qcow2").write_text("no image at all")
    with pytest.raises(HostError, match=r"text\.qcow2: is raw, not qcow2"):
        Store(tmp_path, "text.qcow2", "qcow2").check_base()
    with pytest.raises(HostError, match=r"gone\.qcow2: no such image"):
        Store(tmp_path, "gone.qcow2", "qcow2").check_base()
    (tmp_path / "folder.qcow2").mkdir()
    with pytest.raises(HostError, match="is not a regular file"):
        Store(tmp_path, "folder.qcow2", "qcow2").check_base()
    store.check_base()


def test_only_image_is_the_default_and_several_need_a_name(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no base image"):
        find(tmp_path, None, "qcow2")
    image(tmp_path / "b.qcow2")
    for name in ("or-b.qcow2", "ov-b.qcow2", ".hidden.qcow2", "notes.txt"):
        (tmp_path / name).write_text("")
    assert base_candidates(tmp_path) == ["b.qcow2"] and find(tmp_path, None, "qcow2").base == "b.qcow2"
    image(tmp_path / "a.img", "raw")
    with pytest.raises(HostError, match=r"several base images: a\.img, b\.qcow2") as e:
        find(tmp_path, None, "qcow2")
    assert e.value.hint == "name one in conf.yml: images: {base: a.img}"
    assert find(tmp_path, "b.qcow2", "qcow2").base == "b.qcow2"


class Filler:
    """A fake of the step that installs spp_vm: it writes to the overlay, or fails."""

    def __init__(self, digest: str | None = "a", fills: bool = True, error: Exception | None = None) -> None:
        self.printed, self.fills, self.error = digest, fills, error

    def digest(self) -> str | None:
        return self.printed

    def fill(self, overlay: Path, report: Callable[[str], None]) -> bool:
        report("filling")
        if self.error:
            raise self.error
        with overlay.open("ab") as f:
            f.write(b"filled")
        return self.fills


def test_template_is_filled_before_it_gets_its_name(store: Store) -> None:
    printed: list[str] = []
    template = store.ensure_template("ring", printed.append, Filler())
    assert template.read_bytes().endswith(b"filled") and stat.S_IMODE(template.stat().st_mode) == 0o444
    assert store.has_spp_vm("ring") and not store.has_spp_vm("vhost")
    assert printed == [
        "template or-base.qcow2: booting it once to install spp_vm",
        "filling",
        "template or-base.qcow2 created over base.qcow2",
    ]


def test_failing_filler_leaves_no_template(store: Store) -> None:
    with pytest.raises(HostError, match="no luck"):
        store.ensure_template("ring", lambda _: None, Filler(error=HostError("no luck")))
    assert not store.template("ring").exists() and not list(store.folder.glob(".*.tmp"))
    assert not store.has_spp_vm("ring")


def test_changed_program_is_reported_and_the_template_works(store: Store) -> None:
    printed: list[str] = []
    instance = store.ensure_instance("ring", 6, printed.append, Filler())
    before = store.template("ring").read_bytes()
    printed.clear()
    assert store.ensure_instance("ring", 6, printed.append, Filler()) == instance and printed == []
    assert store.ensure_instance("ring", 6, printed.append, Filler("b")) == instance
    assert len(printed) == 1 and "or-base.qcow2 contains an outdated spp_vm or was built with other steps" in printed[0]
    assert store.template("ring").read_bytes() == before


@pytest.mark.parametrize("filler", [None, Filler(None), Filler(fills=False)])
def test_template_without_the_program_is_accepted(store: Store, filler: Filler | None) -> None:
    printed: list[str] = []
    store.ensure_template("vhost", printed.append, filler)
    assert not store.has_spp_vm("vhost")
    store.ensure_template("vhost", printed.append, Filler())
    assert "ov-base.qcow2 contains no spp_vm" in printed[-1]


def test_old_note_without_a_program_still_detects_a_changed_base(store: Store) -> None:
    store.ensure_template("ring", lambda _: None)
    mark = store.folder / ".or-base.qcow2.json"
    old = {key: value for key, value in json.loads(mark.read_text()).items() if key != "spp_vm"}
    mark.write_text(json.dumps(old))
    store.ensure_template("ring", lambda _: None)
    store.base_path.write_bytes(store.base_path.read_bytes() + b"x")
    with pytest.raises(HostError, match="changed after"):
        store.ensure_template("ring", lambda _: None)
