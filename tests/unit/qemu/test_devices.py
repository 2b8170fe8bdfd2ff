import re
from pathlib import Path

import pytest

from sppr.errors import ConfigError
from sppr.qemu import console
from sppr.qemu.devices import (
    Confinement,
    Extra,
    has_seccomp,
    is_9_2,
    opts,
    starts_programs,
)
from sppr.qemu.pluggable import IvshmemPlain, ManagementNic, VhostUserNic


def test_commas_are_doubled_and_booleans_are_on_or_off() -> None:
    text = opts("socket", path=Path("/a,b"), server=True, wait=False, if_="x", memory_backend="m", gone=None)
    assert text == "socket,path=/a,,b,server=on,wait=off,if=x,memory-backend=m"


def test_vectors_0_is_set_for_tcg_only() -> None:
    def device(accel: str) -> str:
        return VhostUserNic(0, Path("/tmp/sock1"), "02:00:00:00:00:01", accel).argv()[-1]  # type: ignore[arg-type]

    assert "vectors=0" in device("tcg") and "vectors" not in device("kvm")


def test_sandbox_denies_every_optional_system_call_group() -> None:
    assert Confinement(sandbox=True).argv() == [
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    ]  # fmt: skip
    dropped = Confinement("sppr-vm", sandbox=True).argv()
    assert dropped == ["-sandbox", "on,obsolete=deny,spawn=deny,resourcecontrol=deny", "-runas", "sppr-vm"]
    newer = Confinement("sppr-vm", qemu_9_2=True).argv()
    assert newer == ["-run-with", "user=sppr-vm"]
    assert Confinement(qemu_9_2=True).argv() == Confinement().argv() == []
    assert starts_programs(["-netdev", "bridge,id=b,br=virbr0"]) and starts_programs(["-nic", "tap,ifname=t0"])
    assert not starts_programs(["-netdev", "tap,id=t,script=no,downscript=no", "-device", "bridge"])


def test_seccomp_support_is_read_from_the_program(tmp_path: Path) -> None:
    (tmp_path / "qemu").write_bytes(b"\x7fELF libseccomp.so.2")
    (tmp_path / "other").write_bytes(b"\x7fELF")
    assert has_seccomp(str(tmp_path / "qemu"))
    assert not has_seccomp(str(tmp_path / "other")) and not has_seccomp(None) and not has_seccomp("/no/such")


def test_qemu_release_is_read_from_the_program(tmp_path: Path) -> None:
    (tmp_path / "10.0").write_bytes(b"reconnect\0reconnect-ms\0")
    (tmp_path / "7.2").write_bytes(b"reconnect\0")
    assert is_9_2(str(tmp_path / "10.0")) and not is_9_2(str(tmp_path / "7.2")) and not is_9_2(None)


@pytest.mark.parametrize(("newer", "option"), [(False, "reconnect=1"), (True, "reconnect-ms=1000")])
def test_reconnect_option_matches_the_qemu_release(newer: bool, option: str) -> None:
    link = VhostUserNic(0, Path("/tmp/sock1"), "02:00:00:00:00:01", "kvm", qemu_9_2=newer).argv()
    control = ManagementNic("02:00:00:00:00:02", 0, controller=(Path("/c"), 1), qemu_9_2=newer).argv()
    for argv in (link, control):
        assert option in argv[argv.index("-chardev") + 1].split(",")


def test_extra_arguments_cannot_repeat_our_options() -> None:
    assert Extra(("-device", "usb-ehci")).argv() == ["-device", "usb-ehci"]
    with pytest.raises(ConfigError, match="sppr sets -m itself") as e:
        Extra(("-m", "1G")).argv()
    assert e.value.hint == "set vm.memory in conf.yml instead"


@pytest.mark.parametrize(
    "text",
    ["x\r\nroot@vm-r6:~# ", "\nlocalhost login: ", "\nalice@host:/tmp$ ", "# ", "boot\n/ # ", "root@vm:~# ls\nfile\n"],
)
def test_shell_prompt_is_recognised(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    assert console.has_reached_prompt(tmp_path / "c")


@pytest.mark.parametrize("text", ["", "SYSLINUX 6.04", "[ 0.1] x# y", "vm login: root (automatic login)\r\n", "login"])
def test_other_text_is_not_a_shell_prompt(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    assert not console.has_reached_prompt(tmp_path / "c")


def test_kernel_panic_is_recognised() -> None:
    assert re.search(console.FATAL, "[  1.0] Kernel panic - not syncing: VFS")
    assert not re.search(console.FATAL, "Debian GNU/Linux 12")


def test_ivshmem_device_is_a_shared_file_of_4_mib() -> None:
    assert IvshmemPlain(1, Path("/tmp/a,b/ivshmem7")).argv() == [
        "-object", "memory-backend-file,id=iv1,size=4M,mem-path=/tmp/a,,b/ivshmem7,share=on",
        "-device", "ivshmem-plain,id=ivshmem1,memdev=iv1",
    ]  # fmt: skip
