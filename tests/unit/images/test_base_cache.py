"""A base image is built once per machine, and lab folders share or copy it."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from sppr.cli.image import main
from sppr.errors import HostError
from sppr.images import base_cache, build, rootfs


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the default image in a cache of its own."""
    monkeypatch.setenv("SPPR_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return base_cache.cached_path(rootfs.SUITE, build.SIZE_MIB)


def provide(out: Path) -> list[str]:
    lines: list[str] = []
    base_cache.provide(out, size_mib=build.SIZE_MIB, suite=rootfs.SUITE, report=lines.append)
    return lines


def test_cached_image_is_linked_into_folders_and_read_only(cached: Path, tmp_path: Path) -> None:
    cached.write_bytes(b"an image")
    for folder in ("one", "two"):
        out = tmp_path / folder / build.BASE_NAME
        assert provide(out) == [f"base image from {cached}"]
        assert out.read_bytes() == b"an image"
        assert out.stat().st_mode & 0o777 == 0o444
        assert list(out.parent.iterdir()) == [out]
    assert cached.read_bytes() == b"an image"


def test_existing_image_is_not_replaced(cached: Path, tmp_path: Path) -> None:
    cached.write_bytes(b"an image")
    out = tmp_path / build.BASE_NAME
    out.write_bytes(b"precious")
    with pytest.raises(HostError, match="already exists"):
        provide(out)
    assert base_cache.ensure_base(out) == out
    assert out.read_bytes() == b"precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_folder_of_another_user_gets_a_copy_that_belongs_to_that_user(cached: Path, tmp_path: Path) -> None:
    cached.write_bytes(b"an image")
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 1234, 1234)
    provide(folder / build.BASE_NAME)
    assert (folder / build.BASE_NAME).stat().st_uid == 1234
    assert cached.stat().st_uid == 0 and cached.stat().st_nlink == 1


def test_each_part_of_the_recipe_is_in_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {base_cache.cached_path(suite, size).name for suite in rootfs.SUITES for size in (1024, 2048)}
    guest = tmp_path / "guest"
    guest.mkdir()
    monkeypatch.setattr(rootfs, "GUEST", guest)
    names.add(base_cache.cached_path(rootfs.SUITE, 2048).name)
    (guest / "init").write_text("x")
    names.add(base_cache.cached_path(rootfs.SUITE, 2048).name)
    (guest / "init").write_text("y")
    names.add(base_cache.cached_path(rootfs.SUITE, 2048).name)
    (guest / "init").rename(guest / "boot")
    names.add(base_cache.cached_path(rootfs.SUITE, 2048).name)
    assert len(names) == 8


def test_clear_removes_the_images_and_nothing_else(cached: Path, tmp_path: Path) -> None:
    cached.write_bytes(b"an image")
    provide(tmp_path / "one" / build.BASE_NAME)
    foreign = cached.with_name("notes.txt")
    foreign.write_text("mine")
    lines: list[str] = []
    base_cache.clear(lines.append)
    assert lines == [f"removed {cached}"] and not cached.exists() and foreign.exists()
    assert (tmp_path / "one" / build.BASE_NAME).read_bytes() == b"an image"


def test_folder_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPPR_CACHE_DIR", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert base_cache.cache_dir() == Path("/var/cache/sppr")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert base_cache.cache_dir() == Path("/x/sppr")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/someone")
    assert base_cache.cache_dir() == Path("/home/someone/.cache/sppr")


def test_rm_needs_an_image_or_the_cache(cached: Path) -> None:
    cached.write_bytes(b"an image")
    runner = CliRunner()
    done = runner.invoke(main, ["rm"])
    assert done.exit_code == 2 and "name an image (sppr image list), or use --cache" in done.output
    assert cached.exists()
    assert runner.invoke(main, ["rm", "--cache"]).output == f"removed {cached}\n"
