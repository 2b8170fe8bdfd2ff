"""Access to the controller by other users and other machines, over REST and over the ports of SPP."""

import contextlib
import json
import os
import pwd
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import fakes
from tests.live.fakes import Lab, lab

pytestmark = pytest.mark.live

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - that is what is tried
#: Not the tests' own Python: a clone below /root is closed to other users.
PYTHON = "/usr/bin/python3"
#: `launch` accepted these before: EAL loads the library, and its constructor runs as root.
ATTACK = {
    "client_id": 9,
    "proc_name": "spp_nfv",
    "eal": {"-l": "0,1", "--proc-type": "secondary", "-d": "/tmp/e.so"},
    "app": {"-n": "9", "-s": "127.0.0.1:6666"},
}
CONNECT = "import socket; s = socket.create_connection(('127.0.0.1', {port})); s.settimeout(5)\n"


def as_user(name: str, code: str) -> str:
    """Run a Python program as another user, and return its output."""
    done = subprocess.run(
        [PYTHON, "-c", textwrap.dedent(code)], user=name, group=pwd.getpwnam(name).pw_gid, extra_groups=[], cwd="/",
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def request(port: int, method: str, path: str, body: object = None) -> str:
    """Return a program that makes one REST call and prints status and text."""
    return f"""
        import http.client
        c = http.client.HTTPConnection("127.0.0.1", {port}, timeout=5)
        c.request({method!r}, "/v1{path}", {json.dumps(body)!r})
        r = c.getresponse()
        print(r.status, r.read().decode())
    """


@contextlib.contextmanager
def namespace() -> Iterator[tuple[str, str, str]]:
    """Another machine: the address of this machine, its own address, and the name of its network namespace."""
    name, link = f"sppr{os.getpid()}", f"sp{os.getpid() % 100000}"
    own, peer = "10.213.77.1", "10.213.77.2"
    commands = [
        f"ip netns add {name}",
        f"ip link add {link}a type veth peer name {link}b netns {name}",
        f"ip address add {own}/24 dev {link}a",
        f"ip link set {link}a up",
        f"ip -n {name} address add {peer}/24 dev {link}b",
        f"ip -n {name} link set {link}b up",
    ]
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield own, peer, name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "link", "del", f"{link}a"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with fakes.panel(tmp_path_factory.mktemp("access"), "--allow-user", "daemon") as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", "/primary/launch", ATTACK), ("GET", "/processes", None), ("DELETE", "/nfvs/1", None)],
)
def test_request_of_another_user_gets_403_and_changes_nothing(panel: Lab, method: str, path: str, body: object) -> None:
    printed = as_user("nobody", request(panel.rest_port, method, path, body))
    assert printed.startswith("403 uid 65534 (nobody) is not allowed: only uid 0 (root) and uid 1 (daemon)"), printed
    assert {"type": "nfv", "client-id": 1} in panel.rest("GET", "/processes")[1]
    panel.controller.logged("refused a REST client: uid 65534 (nobody) is not allowed")


@pytest.mark.parametrize("port", ["pri_port", "sec_port"])
def test_web_page_of_an_allowed_user_cannot_act_as_a_process(tmp_path: Path, port: str) -> None:
    """A browser sends the data of a page to any port, after a line of HTTP."""
    with lab(tmp_path) as running:
        number = getattr(running.controller, port)
        body = '{"results":[{"result":"success"}],"client_id":9,"process_type":"nfv","phy_ports":[]}'
        code = f"""
            import urllib.request
            try:
                urllib.request.urlopen("http://127.0.0.1:{number}/", data={body.encode()!r}, timeout=5)
            except Exception as e:
                print(type(e).__name__)
        """
        as_user("root", code)
        running.controller.logged("it is not an SPP ")
        assert running.rest("GET", "/processes") == (200, [])


def test_connection_reset_before_accept_leaves_no_traceback(panel: Lab) -> None:
    code = f"""
        import socket, struct
        for port in ({panel.rest_port}, {panel.controller.pri_port}, {panel.controller.sec_port}) * 100:
            s = socket.create_connection(("127.0.0.1", port))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    """
    as_user("nobody", code)
    as_user("root", code)
    assert panel.rest("GET", "/processes")[0] == 200
    assert "Traceback" not in panel.controller.text()


def test_refusal_is_logged_once(panel: Lab) -> None:
    for _ in range(3):
        as_user("nobody", request(panel.rest_port, "GET", "/processes"))
    assert panel.controller.text().count("refused a REST client: uid 65534") == 1


def test_user_that_exits_after_a_request_is_not_root(panel: Lab) -> None:
    """The kernel reports uid 0 for a socket that its process has closed."""
    send = f"""
        import socket, struct
        body = b'{{"action": "start"}}'
        head = b"PUT /v1/nfvs/1/forward HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
        for linger in (True, False) * 30:
            s = socket.create_connection(("127.0.0.1", {panel.rest_port}))
            s.sendall(head + body)
            if linger:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    """
    as_user("nobody", send)
    assert panel.good("GET", "/nfvs/1")["status"] == "idling"


@pytest.mark.parametrize("port", ["pri_port", "sec_port"])
def test_another_user_cannot_act_as_a_process(panel: Lab, port: str) -> None:
    """The connection is closed at once, before the first command is sent."""
    number = getattr(panel.controller, port)
    assert as_user("nobody", CONNECT.format(port=number) + "print(s.recv(100))") == "b''"
    panel.controller.logged("uid 65534 (nobody) is not allowed")


def test_primary_is_not_replaced_by_another_user(panel: Lab) -> None:
    """A connection of another user does not make the controller check or drop the primary."""
    as_user("nobody", CONNECT.format(port=panel.controller.pri_port) + "s.recv(1)")
    assert panel.rest("GET", "/processes")[1][0] == {"type": "primary"}


def test_allow_users_accepts_a_user(panel: Lab) -> None:
    assert as_user("daemon", request(panel.rest_port, "GET", "/processes")).startswith("200 ")
    question = as_user("daemon", CONNECT.format(port=panel.controller.sec_port) + "print(s.recv(100))")
    assert question == "b'_get_client_id'"


def test_idle_connections_of_another_user_do_not_block_others(panel: Lab) -> None:
    hold = f"""
        import socket
        ports = ({panel.rest_port}, {panel.controller.sec_port}) * 400
        held = [socket.create_connection(("127.0.0.1", port)) for port in ports]
        print("held")
    """
    assert as_user("nobody", hold) == "held"
    assert panel.rest("GET", "/processes")[0] == 200


def test_mapped_ipv6_connection_is_checked(panel: Lab) -> None:
    code = f"""
        import socket
        s = socket.socket(socket.AF_INET6)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.connect(("::ffff:127.0.0.1", {panel.controller.sec_port})); s.settimeout(5)
        print(s.recv(100))
    """
    assert as_user("nobody", code) == "b''"
    assert as_user("root", code) == "b'_get_client_id'"


def test_options_that_load_or_name_a_file_are_refused(panel: Lab) -> None:
    good = {**ATTACK, "eal": {"-l": "0,1", "--proc-type": "secondary"}}
    good["app"] = {"-n": "9", "-s": f"127.0.0.1:{panel.controller.sec_port}"}
    panel.good("PUT", "/primary/launch", good)
    bad = {
        "-d": "/tmp/e.so", "--driver-path": "/tmp", "--huge-dir": "/tmp", "--vdev": "net_pcap0,rx_pcap=/etc/shadow",
        "--file-prefix": "other", "--vfio-vf-token": "x", "--block": "x", "-d/tmp/e.so": "", "--driver": "/tmp/e.so",
        "-l": "0,1 -d /tmp/e.so", "--proc-type": "primary", "--log-level": "../x", "--in-memory": "",
    }  # fmt: skip
    for name, value in bad.items():
        status, printed = panel.rest("PUT", "/primary/launch", {**good, "eal": {**good["eal"], name: value}})
        assert status == 400 and (repr(name) in printed or repr(value) in printed), (name, printed)
    for name, value in {"--sock-dir": "/etc", "--log-dir": "/etc", "-s": "10.0.0.1:6666", "--out-dir": "/etc"}.items():
        status, printed = panel.rest("PUT", "/primary/launch", {**good, "app": {**good["app"], name: value}})
        assert status == 400 and (repr(name) in printed or "is not this controller" in printed), (name, printed)


def test_unknown_user_is_an_error_at_start(tmp_path: Path) -> None:
    words = ["--pri-port", "0", "--sec-port", "0", "--allow-user", "no-such-user"]
    argv = [sys.executable, "-m", "sppr.controller", *words]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and "controller.allow_users: this machine has no user 'no-such-user'" in done.stderr


def first_bytes(address: str, port: int) -> str:
    """Return a program that prints the first bytes that it receives."""
    return f"import socket; s = socket.create_connection(({address!r}, {port})); s.settimeout(5); print(s.recv(100))"


def from_namespace(name: str, code: str) -> str:
    argv = ["ip", "netns", "exec", name, PYTHON, "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_other_machines_are_refused_by_default(tmp_path: Path) -> None:
    with namespace() as (own, peer, name), lab(tmp_path, "--host", ANY_ADDRESS) as running:
        code = first_bytes(own, running.controller.sec_port)
        assert from_namespace(name, code) == "b''"
        running.controller.logged(f"{peer} is in no network of controller.allow")
        # From this machine, by that address: the owner counts.
        assert as_user("nobody", code) == "b''"
        assert as_user("root", code) == "b'_get_client_id'"


def test_controller_allow_accepts_a_network(tmp_path: Path) -> None:
    with namespace() as (own, peer, name), lab(tmp_path, "--host", ANY_ADDRESS, "--allow", f"{peer}/32") as running:
        code = first_bytes(own, running.controller.sec_port)
        assert from_namespace(name, code) == "b'_get_client_id'"
        assert as_user("nobody", code) == "b''"
