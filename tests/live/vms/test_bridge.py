"""VMs on a bridge of the host: ssh from the host, addresses by DHCP, and nothing left of them on the bridge."""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.labs import Lab
from tests.live.vms.test_sppsh import sppsh

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

#: The host's address on the bridge, from the block for benchmarks (RFC 2544), and those that guests get.
HERE, RANGE = "198.18.78.1", ("198.18.78.10", "198.18.78.20")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a bridge that does not exist yet. If the test makes it, it is removed afterwards."""
    made = f"sbt{secrets.token_hex(4)}"
    yield made
    subprocess.run(["ip", "link", "delete", made], check=False, capture_output=True)


@pytest.fixture
def lab(base_image: Path, programs: None, tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[Lab]:
    """A lab whose VMs are on the bridge."""
    folder = tmp_path_factory.mktemp("bridge")
    with labs.private(folder, "testbridge1", base_image) as made:
        text = re.sub(r"vm: \{.*\}", f"vm: {{bridge: {name}}}", made.conf.read_text())
        made.conf.write_text(text)
        yield made


def make_bridge(name: str) -> None:
    ip("link", "add", name, "type", "bridge")
    ip("link", "set", name, "up")


@contextlib.contextmanager
def dhcp_server(name: str, folder: Path) -> Iterator[None]:
    """Serve addresses on the bridge."""
    ip("address", "add", f"{HERE}/24", "dev", name)
    conf, leases = folder / "udhcpd.conf", folder / "leases"
    leases.touch()
    conf.write_text(
        f"start {RANGE[0]}\nend {RANGE[1]}\ninterface {name}\nlease_file {leases}\npidfile {folder / 'udhcpd.pid'}\n"
        f"option subnet 255.255.255.0\noption router {HERE}\noption dns {HERE}\n"
    )
    with subprocess.Popen(["busybox", "udhcpd", "-f", str(conf)]) as server:
        try:
            yield
        finally:
            server.kill()


def ports(name: str) -> list[str]:
    """Return the interfaces that belong to the bridge."""
    return sorted(path.name for path in (Path("/sys/class/net") / name / "brif").iterdir())


def taps() -> set[str]:
    return {path.name for path in Path("/sys/class/net").glob("sppr-*")}


def up(lab: Lab) -> subprocess.CompletedProcess[str]:
    return lab.wakeup("-ns", "1", "-nr", "1", "-nv", "1", timeout=400)


def finding(lab: Lab) -> dict[str, str]:
    rows = json.loads(lab.sppr("doctor", "--json").stdout)
    rows = rows if isinstance(rows, list) else rows["checks"]
    (row,) = [row for row in rows if row["id"] == "vm-bridge"]
    found: dict[str, str] = row
    return found


def test_bridge_that_is_missing_or_down_stops_the_lab_before_it_starts(lab: Lab, name: str) -> None:
    place = re.escape(f"{lab.conf}:") + r"\d+:\d+: vm\.bridge: "
    make = f"ip link add {name} type bridge; ip link set {name} up"
    done = up(lab)
    assert done.returncode == 3 and re.search(place + f"there is no bridge {name}", done.stderr), done.stderr
    assert f"fix: {make}" in done.stderr and not (Path("/sys/class/net") / name).exists()
    assert finding(lab)["fix"] == make and finding(lab)["severity"] == "error"
    ip("link", "add", name, "type", "bridge")
    done = up(lab)
    assert done.returncode == 3 and re.search(place + f"bridge {name} is down", done.stderr), done.stderr
    assert "not running" in lab.sppr("status", "--session", lab.session).stderr and not lab.processes()
    ip("link", "set", name, "up")
    assert finding(lab)["severity"] == "ok"


def test_ssh_and_dhcp_on_the_bridge_and_no_tap_afterwards(lab: Lab, name: str) -> None:
    before = taps()
    make_bridge(name)
    with dhcp_server(name, lab.folder):
        done = up(lab)
        assert done.returncode == 0, done.stdout + done.stderr
        pids = {vm: lab.status()[vm]["pid"] for vm in ("vm_r6", "vm_v11")}
        assert len(ports(name)) == 2 and set(ports(name)) == taps() - before
        done = sppsh(lab, "-r", "all", "hostname; ip -4 -o address show scope global")
        assert done.returncode == 0, done.stdout + done.stderr
        assert {"vm-r6: vm-r6", "vm-v11: vm-v11"} <= set(done.stdout.splitlines())
        assert all(re.search(rf"{vm} .*fe80::[0-9a-f:]+%{name} ", sppsh(lab, "-l").stdout) for vm in ("r6", "v11"))
        for vm in ("6", "11"):
            leased = lambda vm=vm: sppsh(lab, "-r", vm, f"ip route show default via {HERE}").stdout  # noqa: E731
            wait_for(f"the lease of VM {vm}", leased, 60)
            assert sppsh(lab, "-r", vm, "cat /etc/resolv.conf").stdout == f"nameserver {HERE}\n"
        config = str(lab.folder / "runscripts/ssh_config")
        words = ["ssh", "-F", config, "-o", "BatchMode=yes", "vm-v11", "hostname"]
        assert subprocess.run(words, capture_output=True, text=True, check=False).stdout == "vm-v11\n"

        os.kill(pids["vm_v11"], signal.SIGKILL)
        wait_for("one tap", lambda: len(ports(name)) == 1)
        done = lab.sppr("start", "vm_v11", "--session", lab.session, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        done = sppsh(lab, "-r", "11", "hostname")
        assert done.stdout == "vm-v11\n" and len(ports(name)) == 2, done.stderr

        assert lab.down().returncode == 0
        wait_for("no tap", lambda: not ports(name))
        assert taps() == before
    assert lab.leftovers() == []
    assert finding(lab)["severity"] == "ok", "the bridge is still there, and up"
