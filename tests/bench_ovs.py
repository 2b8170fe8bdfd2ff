"""Chains over our data plane and over Open vSwitch with DPDK: frames a second and latency, as ratios of one run.

PVP is a chain through one VM (physical, virtual, physical), PVVP through two VMs. Each side has a switch and VMs of its
own. The sides are measured in turns in one run; SIGSTOP stops the side that is not measured.

- The switch forwards on CPU 1: the worker of an spp_nfv, or the PMD thread of ovs-vswitchd, which has one fixed flow a
  hop. ovs-vswitchd has its own run directory, database and EAL prefix. The bench unpacks Debian's package below build/
  and installs nothing, so an Open vSwitch of the machine is not touched.
- The VMs are one dpdk-testpmd on CPU 0. It forwards between the virtio-user ports of each VM (io). OVS connects to the
  sockets of the VMs (dpdkvhostuserclient). The VMs connect to the sockets of spp_nfv.
- The source is a null port of the switch. It makes frames of 64 bytes as fast as the switch reads them.
- Latency is the time of a frame from tap to tap. One frame is sent every millisecond.

With split rings the CPU of the VMs limits our side, so the goals are for packed rings (virtio 1.1).
"""

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench_results import Results  # noqa: E402
from tests.bench_vhost import MIDDLE_WAITED, PEER_RAN, Worker, two_labs  # noqa: E402
from tests.live.dataplane_lab import Lab, Process, crosses, prepare_hugepages, wait_for, wake_latencies  # noqa: E402

PAIRS = 5
TRIES = 20
SECONDS = 0.5
SETTLE = 0.3
FRAMES = 200  # of a round
REST = 0.001  # seconds between two frames
HUGEPAGES = 600
PACKAGES = ("openvswitch-common", "openvswitch-switch", "openvswitch-switch-dpdk")
FOLDER = ROOT / "build" / "openvswitch"
VSWITCHD = FOLDER / "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = FOLDER / "usr/share/openvswitch/vswitch.ovsschema"
#: The options of a virtio-user port, by the format of its rings.
RINGS = {"packed": "queue_size=1024,packed_vq=1,mrg_rxbuf=0,in_order=1", "split": "queue_size=1024"}


def fetch() -> None:
    """Unpack Open vSwitch below build/ (5 MB) if it is missing.

    It needs only the libraries of DPDK and of Debian's base system.
    """
    if FOLDER.exists():
        return
    FOLDER.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as name:
        folder = Path(name)
        run("apt-get", "-qq", "update")
        run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES, cwd=folder)
        for archive in folder.glob("*.deb"):
            run("dpkg-deb", "-x", str(archive), str(folder / "root"))
        (folder / "root").rename(FOLDER)


def run(*argv: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Topology:
    """The ends (nullpmd or tap), the number of VMs, and the format of their rings."""

    ends: str
    vms: int
    rings: str = "packed"

    @property
    def ports(self) -> range:
        """The numbers of the vhost ports: two a VM."""
        return range(2 * self.vms)

    def patches(self, end: str, vhost: str) -> list[tuple[str, str]]:
        """Source and destination of each hop, by the names that a switch gives its ends and its vhost ports."""
        hops = [f"{end}0", *(f"{vhost}{n}" for n in self.ports), f"{end}1"]
        return list(zip(hops[::2], hops[1::2], strict=True))

    def device(self, number: int, lab: Lab) -> str:
        """The DPDK device of an end. The far null port makes no frames."""
        tap = f"net_tap{number},iface={lab.taps[number]}"
        return tap if self.ends == "tap" else f"net_null{number}" + ",no-rx=1" * number


class Side:
    """A switch with its VMs. They are stopped except during a measurement. A subclass starts the switch."""

    process: Process
    worker: Worker

    def __init__(self, lab: Lab, topology: Topology) -> None:
        self.lab = lab
        self.topology = topology
        self.vms: Process | None = None

    def frames(self) -> int:
        """Return the number of frames that left at the far end."""
        raise NotImplementedError

    def start_vms(self, *, server: bool) -> None:
        if not self.topology.vms:
            return
        options = f"queues=1,{RINGS[self.topology.rings]}" + ",server=1" * server
        vdevs = [f"net_virtio_user{n},path={self.lab.sockets}/sock{n},{options}" for n in self.topology.ports]
        argv = [
            *("dpdk-testpmd", "--lcores", "0@0,1@0", "-n", "1", "--no-pci", "--in-memory", "--single-file-segments"),
            *(
                "-m",
                "128",
                "--file-prefix",
                f"{self.lab.prefix}p",
                *(word for vdev in vdevs for word in ("--vdev", vdev)),
            ),
            *("--", "--total-num-mbufs=16384", "--nb-cores=1", "--stats-period=60", "--forward-mode=io"),
            "--port-topology=paired",
        ]
        self.vms = self.lab.run("vms", argv)

    def ready(self) -> None:
        """Wait until frames cross the chain, then stop it."""
        if self.topology.ends == "tap":
            for tap in self.lab.taps:
                run("ip", "link", "set", tap, "up")
            self.source, self.sink = self.lab.tap_ends()
            crosses(self.source, self.sink)
        else:
            before = self.frames()
            wait_for("frames across", lambda: self.frames() > before)
        self.signal(signal.SIGSTOP)

    def signal(self, number: int) -> None:
        for process in (self.vms, self.process):
            if process:
                process.popen.send_signal(number)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self.signal(signal.SIGCONT)
        time.sleep(SETTLE)
        yield
        self.signal(signal.SIGSTOP)

    def latencies(self, count: int) -> list[float]:
        """Return the time of each frame, in seconds."""
        with self.running():
            self.sink.drain()
            return wake_latencies(self.source, self.sink, count, REST)

    def round(self) -> tuple[float, bool]:
        """Return frames a second, in millions, and whether both CPUs were free for the chain."""
        vms = Worker(self.vms) if self.vms else None

        def look() -> tuple[float, ...]:
            return self.frames(), time.perf_counter(), *self.worker.seconds(), vms.seconds()[0] if vms else 0.0

        with self.running():
            before = look()
            time.sleep(SECONDS)
            frames, took, _, waited, ran = (b - a for a, b in zip(before, look(), strict=True))
        return frames / took / 1e6, waited / took < MIDDLE_WAITED and (vms is None or ran / took > PEER_RAN)


class Ours(Side):
    """spp_primary and one spp_nfv."""

    def __init__(self, lab: Lab, topology: Topology) -> None:
        super().__init__(lab, topology)
        _, self.primary = lab.start_primary(vdevs=tuple(topology.device(n, lab) for n in range(2)), lcores="0@0")
        self.process, nfv = lab.start_nfv(1)
        nfv.ok(*(f"add vhost:{n}" for n in topology.ports))
        self.start_vms(server=False)
        nfv.ok(*(f"patch {a} {b}" for a, b in topology.patches(f"{topology.ends}:", "vhost:")), "forward")
        self.nfv = nfv  # when the connection closes, the process exits
        self.worker = Worker(self.process)
        self.ready()

    def frames(self) -> int:
        return int(self.primary.status()["phy_ports"][1]["tx"])


class Ovs(Side):
    """ovs-vswitchd with a database and sockets of its own."""

    def __init__(self, lab: Lab, topology: Topology) -> None:
        super().__init__(lab, topology)
        programs = [FOLDER / "usr/bin", FOLDER / "usr/sbin", *map(Path, os.environ["PATH"].split(":"))]
        folders = {f"OVS_{name}": str(lab.tmp) for name in ("RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR")}
        self.env = os.environ | folders | {"PATH": ":".join(map(str, programs))}
        self.start_vms(server=True)
        self.start_daemons()
        # a virtio-user port waits for its connection before testpmd creates the next one
        for n in topology.ports:
            socket = f"options:vhost-server-path={lab.sockets}/sock{n}"
            self.add_port(f"vhost{n}", "type=dpdkvhostuserclient", socket)
        for n in range(2):
            device = topology.device(n, lab).replace(",", r"\,")
            # net_tap needs as many receive as transmit queues, and OVS creates a transmit queue for each of its threads
            queues = ["options:n_rxq=2"] if topology.ends == "tap" else []
            self.add_port(f"end{n}", "type=dpdk", f"options:dpdk-devargs={device}", *queues)
        self.call("ovs-ofctl", "del-flows", "br0")
        for source, target in topology.patches("end", "vhost"):
            self.call("ovs-ofctl", "add-flow", "br0", f"in_port={source},actions=output:{target}")
        self.worker = Worker(self.process, "pmd-")
        self.ready()

    def start_daemons(self) -> None:
        folder = self.lab.tmp
        self.call("ovsdb-tool", "create", str(folder / "conf.db"), str(SCHEMA))
        self.daemon("ovsdb-server", str(folder / "conf.db"), f"--remote=punix:{folder}/db.sock")
        self.vsctl = ("ovs-vsctl", f"--db=unix:{folder}/db.sock", "--timeout=20")
        self.call(*self.vsctl, "--no-wait", "init")
        options = {
            "dpdk-init": "true",
            "dpdk-extra": f"--no-pci --in-memory --file-prefix {self.lab.prefix}o",
            "dpdk-socket-mem": "384",
            "dpdk-socket-limit": "384",
            "dpdk-lcore-mask": "0x1",
            "pmd-cpu-mask": "0x2",
        }
        words = [f'other_config:{key}="{value}"' for key, value in options.items()]
        self.call(*self.vsctl, "--no-wait", "set", "Open_vSwitch", ".", *words)
        self.process = self.daemon(str(VSWITCHD), f"unix:{folder}/db.sock")
        self.call(*self.vsctl, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")

    def daemon(self, *argv: str) -> Process:
        name = Path(argv[0]).name
        control = self.lab.tmp / f"{name}.ctl"
        environment = [f"{key}={value}" for key, value in self.env.items() if key == "PATH" or key.startswith("OVS_")]
        process = self.lab.run(name, ["env", *environment, *argv, "--unixctl", str(control)])
        wait_for(name, control.is_socket)
        return process

    def call(self, *argv: str) -> str:
        return run(*argv, env=self.env)

    def add_port(self, name: str, *columns: str) -> None:
        self.call(*self.vsctl, "add-port", "br0", name, "--", "set", "Interface", name, *columns)
        error = self.call(*self.vsctl, "get", "Interface", name, "error").strip()
        assert error == "[]", f"{name}: {error}"

    def frames(self) -> int:
        text = self.call("ovs-ofctl", "dump-ports", "br0", "end1")
        found = re.search(r"tx pkts=(\d+)", text)
        assert found, text
        return int(found[1])


@contextlib.contextmanager
def two_sides(topology: Topology) -> Iterator[tuple[Side, Side]]:
    with two_labs() as labs:
        try:
            yield Ours(labs[0], topology), Ovs(labs[1], topology)
        except BaseException:
            for lab in labs:
                print(lab.logs()[-3000:], file=sys.stderr)
            raise


def rates(results: Results, name: str, topology: Topology) -> None:
    """Measure the rates. The ratio is the median over the pairs of rounds in which both CPUs were free."""
    tries, pairs = (1, 1) if results.smoke else (TRIES, PAIRS)
    every: list[tuple[tuple[float, bool], tuple[float, bool]]] = []
    counted: list[tuple[float, float]] = []
    with two_sides(topology) as (ours, theirs):
        while len(every) < tries and len(counted) < pairs:
            every.append((ours.round(), theirs.round()))
            counted = [(a, b) for (a, free), (b, also) in every if free and also]
    none = "" if counted else f"no pair of {len(every)} counts, the machine is busy"
    results.add(f"{name}, pairs of rounds that count", len(counted))
    results.add(f"{name}, Mpps", statistics.median(a for a, _ in counted) if counted else None, none)
    results.add(f"{name}, OVS-DPDK, Mpps", statistics.median(b for _, b in counted) if counted else None, none)
    results.add(f"{name} / OVS-DPDK", statistics.median(a / b for a, b in counted) if counted else None, none)


def latencies(results: Results, name: str, topology: Topology) -> None:
    taken: tuple[list[float], list[float]] = ([], [])
    with two_sides(topology) as sides:
        for _ in range(results.times(PAIRS)):
            for side, times in zip(sides, taken, strict=True):
                times += side.latencies(FRAMES)
    for percentile in (50, 99):
        ours, theirs = (statistics.quantiles(times, n=100)[percentile - 1] * 1e6 for times in taken)
        results.add(f"{name}, p{percentile}, us", ours)
        results.add(f"{name}, OVS-DPDK, p{percentile}, us", theirs)
        results.add(f"{name}, p{percentile} / OVS-DPDK", ours / theirs)


def main() -> int:
    given = Results(__doc__)
    fetch()
    prepare_hugepages(HUGEPAGES)
    packed, split = ({vms: Topology("nullpmd", vms, rings) for vms in (0, 1, 2)} for rings in ("packed", "split"))
    return given.run(
        {
            "null": lambda: rates(given, "null -> null", packed[0]),
            "PVP": lambda: rates(given, "PVP, 64 bytes", packed[1]),
            "PVVP": lambda: rates(given, "PVVP, 64 bytes", packed[2]),
            "PVP-split": lambda: rates(given, "PVP, split rings, 64 bytes", split[1]),
            "PVVP-split": lambda: rates(given, "PVVP, split rings, 64 bytes", split[2]),
            "PVP-latency": lambda: latencies(given, "PVP, tap to tap", Topology("tap", 1)),
            "PVVP-latency": lambda: latencies(given, "PVVP, tap to tap", Topology("tap", 2)),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
