"""The services of the host that a guest can reach, tested from the guest: only its own control connection."""

import contextlib
import http.server
import pwd
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import labs
from tests.live.controller.test_access import as_user
from tests.live.dataplane_lab import has_ended, wait_for
from tests.live.labs import Lab
from tests.live.vms.other_machine import THERE, other_machine
from tests.live.vms.test_sppsh import sppsh

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

#: A hostile guest can set any route: to the gateway, from an address of its choice.
ROUTES = "ip route replace default via {gateway} dev {nic}"
LOCALNET = (
    "for i in all {nic}; do echo 1 > /proc/sys/net/ipv4/conf/$i/route_localnet; done; "
    "ip route del table local local 127.0.0.0/8 dev lo; ip route del table local local 127.0.0.1 dev lo; "
    "ip route replace 127.0.0.1 via {gateway} dev {nic} src {source}"
)
#: Make a TCP connection in bash, and print the first bytes of a page, or of a command of the controller.
ASK = (
    'timeout 5 bash -c \'exec 3<>/dev/tcp/{host}/{port} && printf "GET /v1/processes HTTP/1.0\\r\\n\\r\\n" >&3 '
    "&& timeout 3 head -c 40 <&3' 2>&1"
)


@pytest.fixture(scope="module")
def lab(base_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with labs.running(
        tmp_path_factory.mktemp("guestnet"), "testgnet7", base_image, "-ns", "1", "-nr", "0", "-nv", "2", timeout=280
    ) as made:
        yield made


def inside(lab: Lab, vm_id: int, command: str) -> str:
    done = sppsh(lab, "-r", str(vm_id), command)
    return done.stdout + done.stderr


class Secret(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a secret of the host")

    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def service(address: str) -> Iterator[int]:
    """Run a web server of the host at this address, and yield its port."""
    server = http.server.ThreadingHTTPServer((address, 0), Secret)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def page_of(namespace: str) -> Iterator[int]:
    """Run a web server in a network namespace, and yield its port."""
    code = (
        "import http.server as h; s = h.HTTPServer(('0.0.0.0', 0), h.SimpleHTTPRequestHandler);"
        "print(s.server_port, flush=True); s.serve_forever()"
    )
    words = ["ip", "netns", "exec", namespace, "/usr/bin/python3", "-c", code]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, cwd="/usr/share", stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.kill()


def own_address() -> str:
    """Return an address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        found: str = sock.getsockname()[0]
        return found


def fields(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_qemu_runs_without_root_or_capabilities_and_with_seccomp(lab: Lab) -> None:
    user = pwd.getpwnam("sppr-vm")
    for name in ("vm_v11", "vm_v12"):
        found = fields(lab.status()[name]["pid"])
        assert found["Uid"].split() == [str(user.pw_uid)] * 4 and found["Gid"].split() == [str(user.pw_gid)] * 4
        assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
        assert found["Seccomp"] == "2"


def test_another_user_cannot_open_sockets_of_the_lab(lab: Lab) -> None:
    lab.control.add_port("nfv:1", "memif:1")
    folders = [lab.state, lab.folder / "socks", Path("/var/run/dpdk") / lab.session]
    paths = [str(path) for folder in folders for path in folder.iterdir() if path.is_socket()]
    kinds = {Path(path).name.rstrip("0123456789") for path in paths}
    assert {"api.sock", "guests.sock", "vm_v11.qmp", "sock", "dpdk_telemetry.v", "spp-memif.1.sock"} <= kinds, kinds
    code = f"""
        import socket
        for path in {paths!r}:
            for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
                try:
                    socket.socket(socket.AF_UNIX, kind).connect(path)
                    print("connected to", path)
                except OSError as e:
                    print(e.strerror)
    """
    assert set(as_user("nobody", code).splitlines()) == {"Permission denied"}
    lab.control.del_port("nfv:1", "memif:1")


def test_another_user_cannot_log_in_to_a_guest_by_ssh(lab: Lab) -> None:
    """Every user of this machine can reach the port, but not the key of the lab."""
    inside(lab, 11, "true")  # its sshd answers
    key, config = lab.folder / "runscripts/lab_key", (lab.folder / "runscripts/ssh_config").read_text()
    port = config.partition("Host vm-v11\n    Port ")[2].split()[0]
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", f"IdentityFile={key}"]
    words = ["ssh", "-F", "none", *(word for option in options for word in ("-o", option)), "-p", port]
    for user, status, message in (("root", 0, ""), ("nobody", 255, "Permission denied (publickey")):
        done = subprocess.run(
            [*words, "root@127.0.0.1", "true"], user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[], cwd="/",
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status and message in done.stderr, done.stderr


def test_restricted_guest_cannot_reach_services_of_the_host(lab: Lab) -> None:
    with service("127.0.0.1") as loopback, service("0.0.0.0") as outer:  # noqa: S104 - that is what is tried
        inside(lab, 11, ROUTES.format(gateway="10.0.2.2", nic="eth0"))
        places = [("10.0.2.2", p) for p in (loopback, outer, lab.rest, lab.sec, lab.pri)]
        places += [("10.0.2.3", loopback), ("10.0.2.100", loopback), ("10.0.2.100", lab.pri)]
        places += [(own_address(), outer)]
        printed = {f"{host}:{port}": inside(lab, 11, ASK.format(host=host, port=port)) for host, port in places}
    assert not {place: text for place, text in printed.items() if "HTTP" in text or "_get" in text}, printed


def test_guest_that_routes_127_to_its_gateway_cannot_reach_loopback(lab: Lab) -> None:
    with service("127.0.0.1") as port:
        names = {"gateway": "10.0.2.2", "nic": "eth0", "source": "10.0.2.15"}
        printed = inside(lab, 11, LOCALNET.format(**names) + "; " + ASK.format(host="127.0.0.1", port=port))
    assert "HTTP" not in printed


def test_guest_cannot_reach_the_ssh_of_another_guest(lab: Lab) -> None:
    other = next(part for part in sppsh(lab, "-l").stdout.splitlines() if "vm-v12" in part).split()[2]
    port = other.rpartition(":")[2]
    assert "SSH" not in inside(lab, 11, ASK.format(host="10.0.2.2", port=port))
    assert sppsh(lab, "-r", "12", "hostname").stdout == "vm-v12\n"  # the host does


def test_udp_to_the_host_is_dropped(lab: Lab) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(2)
        inside(lab, 11, f"echo hello > /dev/udp/10.0.2.2/{server.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            server.recv(10)


def test_guest_cannot_use_another_id(lab: Lab) -> None:
    before = lab.control.processes()
    change = "sed -i 's/-n {}/-n {}/' /usr/lib/sppr/spp_vm-start; pkill spp_vm"
    inside(lab, 11, change.format('"$id"', "1"))
    log = lab.state / "ctrler.log"
    try:
        wait_for("the refusal", lambda: "refused VM 11: its guest sent id 1," in log.read_text(errors="replace"))
        assert {"type": "nfv", "client-id": 1} in lab.control.processes()
    finally:
        inside(lab, 11, change.format("1", '"$id"'))
    wait_for("VM 11 under its own id", lambda: lab.control.processes() == before)


def test_restarted_spp_vm_reconnects(lab: Lab) -> None:
    before = lab.control.processes()
    inside(lab, 12, "pkill spp_vm")
    log = lab.state / "ctrler.log"
    wait_for("the hello", lambda: "disconnected: its spp_vm was restarted" in log.read_text(errors="replace"))
    wait_for("VM 12", lambda: lab.control.processes() == before)


def test_socket_of_vms_refuses_other_processes(lab: Lab) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(lab.state / "guests.sock"))
        sock.settimeout(5)
        assert sock.recv(10) == b""
    assert (lab.state / "guests.sock").stat().st_mode & 0o077 == 0


def test_open_guest_reaches_other_machines_but_not_this_one(lab: Lab) -> None:
    lab.conf.write_text(lab.conf.read_text().replace("vm: {", "vm: {network: open, "))
    done = lab.sppr("restart", "vm_v12", "--session", lab.session, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for("sshd", lambda: sppsh(lab, "-r", "12", "true").returncode == 0)
    with other_machine() as other, page_of(other) as port:
        assert "HTTP/1.0 404" in inside(lab, 12, ASK.format(host=THERE, port=port)), "its server answers"
    with service("127.0.0.1") as loopback, service(own_address()) as outer:
        printed = [inside(lab, 12, ASK.format(host=own_address(), port=outer))]
        printed += [
            inside(lab, 12, ASK.format(host=host, port=loopback)) for host in ("10.0.3.2", "10.0.3.3", "10.0.2.2")
        ]
        for gateway, nic, source in (("10.0.3.2", "eth1", "10.0.3.15"), ("10.0.2.2", "eth0", "10.0.2.15")):
            route = LOCALNET.format(gateway=gateway, nic=nic, source=source)
            printed.append(inside(lab, 12, f"{route}; " + ASK.format(host="127.0.0.1", port=loopback)))
        assert not [text for text in printed if "200" in text], printed
    assert lab.status()["vm_v12"]["state"] == "ready"
    lab.down()
    passt = subprocess.run(
        ["pgrep", "-f", "passt --foreground|qemu/guest_filter.py"], capture_output=True, text=True, check=False
    )
    wait_for("the end of passt", lambda: all(has_ended(int(p)) for p in passt.stdout.split()))
