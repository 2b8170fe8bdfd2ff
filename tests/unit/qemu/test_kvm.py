"""KVM is tried once; the result is cached for this boot of the host and this QEMU."""

import json
from pathlib import Path

import pytest

from sppr.host.run_directory import sessions_dir
from sppr.qemu import kvm


def fake_qemu(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """A QEMU that logs each call, then runs ``body``."""
    calls = folder / "calls"
    program = folder / "bin" / "qemu-system-x86_64"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{body}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return calls


def test_kvm_that_runs_a_guest_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_qemu(tmp_path, monkeypatch, "exit 33")
    assert kvm.guest_boots("boot1") and kvm.guest_boots("boot1")
    [line] = calls.read_text().splitlines()
    assert "-accel kvm -cpu host" in line, "as our VMs are run"


@pytest.mark.parametrize("body", ["exit 1", "exit 0", "kill -ABRT $$"])
def test_any_other_exit_status_means_no_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    fake_qemu(tmp_path, monkeypatch, body)
    assert not kvm.guest_boots("boot1")


def test_hanging_guest_is_killed_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, monkeypatch, "exec sleep 60")
    assert not kvm.try_boot("kvm", "host", seconds=0.2)


def test_another_boot_or_qemu_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_qemu(tmp_path, monkeypatch, "exit 33")
    assert kvm.guest_boots("boot1") and kvm.guest_boots("boot2")
    fake_qemu(tmp_path, monkeypatch, "exit 1 ")
    assert not kvm.guest_boots("boot2") and len(calls.read_text().splitlines()) == 3


def test_broken_cache_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, monkeypatch, "exit 33")
    sessions_dir().mkdir(parents=True)
    for text in ("{", "[]", '{"x": 1}'):
        (sessions_dir() / ".kvm.json").write_text(text)
        assert kvm.guest_boots("boot1")
    assert list(json.loads((sessions_dir() / ".kvm.json").read_text()).values()) == [True]


def test_without_qemu_kvm_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sppr.qemu.kvm.which", lambda _: None)
    assert not kvm.guest_boots("boot1")
