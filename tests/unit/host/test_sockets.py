"""A socket file is stale only if no process has it, in any state, in any network namespace, through any link."""

import os
import socket
from pathlib import Path

import pytest

from sppr.errors import HostError
from sppr.host.process import sockets
from sppr.host.root import vm_user

_HEAD = "Num RefCount Protocol Flags Type St Inode Path\n"
_ROW = "0: 00000002 00000000 {flags} {type} {state} 1 {path}\n"


def row(path: str, flags: str = "00010000", kind: str = "0001", state: str = "01") -> str:
    return _ROW.format(flags=flags, type=kind, state=state, path=path)


def test_network_namespaces_are_read_once(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    for folder, namespace, rows in (
        ("net", None, row("/ours")),
        ("7", "net:[1]", row("/ours") + row("/bound only", "00000000")),
        ("8", "net:[2]", row("/theirs")),
        ("9", "net:[2]", row("/never read: the same namespace")),
        ("10", None, row("/never read: its namespace may not be seen")),
    ):
        table = proc / folder / ("" if folder == "net" else "net") / "unix"
        table.parent.mkdir(parents=True)
        table.write_text(_HEAD + rows)
        if namespace:
            (proc / folder / "ns").mkdir()
            (proc / folder / "ns/net").symlink_to(namespace)
    found = sockets.bound_paths(tmp_path)
    assert {"/ours", "/bound only"} < found and len(found) == 3
    assert len(found & {"/theirs", "/never read: the same namespace"}) == 1


def test_connected_socket_is_found_by_the_path_of_its_listener(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        assert path not in sockets.connected_paths() and path in sockets.listening_paths()
        client.connect(path)
        accepted, _ = server.accept()
        assert path in sockets.connected_paths()
        accepted.close()
    assert path not in sockets.connected_paths()


def test_socket_in_use_is_not_stale(tmp_path: Path) -> None:
    paths = [
        tmp_path / name for name in ("datagram", "silent", "listening", "left", "link", "dangling", "file", "none")
    ]
    datagram, silent, listening, left, link, dangling, file, _ = paths
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as a,
        socket.socket(socket.AF_UNIX) as b,
        socket.socket(socket.AF_UNIX) as c,
    ):
        for one, path in ((a, datagram), (b, silent), (c, listening)):
            one.bind(str(path))
        c.listen()
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(left))
        link.symlink_to(listening)
        dangling.symlink_to(left)
        file.touch()
        assert sockets.find_stale(paths) == [left]
    assert sockets.find_stale(paths) == [datagram, silent, listening, left]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user, which needs root")
def test_socket_of_another_user_is_not_probed(tmp_path: Path) -> None:
    path = tmp_path / "sock11"
    socket.socket(socket.AF_UNIX).bind(str(path))
    vm_user.check_socket_owner(path)
    vm_user.check_socket_owner(tmp_path / "gone")
    os.chown(path, 65534, 65534)
    with pytest.raises(HostError, match=r"sock11: belongs to uid 65534, who could read the guest's memory"):
        vm_user.check_socket_owner(path)
