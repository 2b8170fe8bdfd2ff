"""Machines with an ssh server each, as namespaces of this one, and a workstation that reaches them.

A machine has its own network, mounts, hostname and processes, its own /run, /tmp and /root, and a hugetlbfs of its own.
ssh logs in as root, or as ``lab``, who may use sudo without a password. All addresses stay inside. When this process
dies, also by SIGKILL, the kernel ends the machines and removes their networks.
"""

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT
from tests.live.dataplane_lab import wait_for

#: An ssh server of this machine, or the one of the package openssh-server, which is unpacked and not installed: an
#: installed one would listen on this machine.
SSHD = Path("/usr/sbin/sshd")
UNPACKED = ROOT / "build" / "openssh-server"
#: The folder of labs on a machine, on its own /tmp.
FOLDER = "/tmp/labs"
_INIT = """
set -e
mount -t tmpfs tmpfs /run
cp -r "$1" /run/host
mkdir -p /run/sshd /run/lock /run/project
mount --rbind "$6" /run/project
mount -t tmpfs tmpfs /tmp
mount -t tmpfs -o mode=700 tmpfs "$3"
if [ ! -e "$6" ]; then mkdir -p "$6" && mount --rbind /run/project "$6"; fi
mount -t hugetlbfs hugetlbfs /dev/hugepages
if [ -d "$5" ]; then mount --bind "$5" /usr/lib/openssh; fi
cp -p /etc/passwd /etc/shadow /run
getent passwd sshd >/dev/null || echo "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin" >> /run/passwd
echo "lab:x:1500:65534::/run/lab:/bin/sh" >> /run/passwd
echo "lab:*:19000:0:99999:7:::" >> /run/shadow
mkdir -m 700 /run/lab
chown 1500 /run/lab
for file in passwd shadow; do mount --bind /run/$file /etc/$file; done
mount -t tmpfs -o mode=755 tmpfs /etc/sudoers.d
echo "lab ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/lab
chmod 755 /run/host
chmod 644 /run/host/authorized_keys
hostname "$2"
ip link set lo up
echo ready
read _
exec "$4" -D -f /run/host/sshd_config
"""
_SSHD_CONFIG = """
HostKey /run/host/host_key
AuthorizedKeysFile /run/host/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""
#: Words that end a child with its parent.
_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


@dataclass
class Machine:
    """A machine. ``pid``: its first process, seen from here."""

    name: str
    address: str
    process: subprocess.Popen[str]
    pid: int = 0

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there, as a shell on its console would."""
        words = ["nsenter", "-t", str(self.pid), "--all", *argv]
        return subprocess.run(words, check=check, capture_output=True, text=True, timeout=60)


@dataclass
class Machines:
    """The machines of a test. ``folder``: for keys and files."""

    folder: Path
    mtu: int = 1600
    all: dict[str, Machine] = field(default_factory=dict)
    _switch: Machine | None = None
    _workstation: Machine | None = None

    @property
    def key(self) -> Path:
        """Path of the ssh key that logs in on each machine."""
        return self.folder / "key"

    def inventory_words(self, name: str, user: str = "root") -> str:
        """Return the entry of a machine in ``hosts:``."""
        login = "" if user == "root" else f"user: {user}, become: true, "
        common = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        return (
            f"{{address: {self.all[name].address}, {login}folder: {FOLDER}, program: {ROOT}, vars: "
            f"{{ansible_ssh_private_key_file: {self.key}, ansible_ssh_common_args: '{common}', "
            f"ansible_python_interpreter: /usr/bin/python3}}}}"
        )

    def start(self, name: str) -> Machine:
        """Start a machine, connect it to the switch, and wait until its ssh server answers."""
        source = self.folder / name
        source.mkdir()
        (source / "sshd_config").write_text(_SSHD_CONFIG)
        (source / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        _keygen(source / "host_key")
        return self._start(name, f"192.0.2.{11 + len(self.all)}")

    def restart(self, name: str) -> Machine:
        """Start a machine again that was stopped. Nothing of /run and /tmp is left."""
        return self._start(name, self.all[name].address)

    def _start(self, name: str, address: str) -> Machine:
        source = self.folder / name
        sshd = ssh_server()
        libraries = "-" if sshd == SSHD else str(UNPACKED / "usr/lib/openssh")
        words = [str(source), name, pwd.getpwuid(0).pw_dir, str(sshd), libraries, str(ROOT)]
        machine = _unshare(name, address, ["sh", "-c", _INIT, "init", *words])
        self.all[name] = machine
        self._connect(machine)
        assert machine.process.stdin
        machine.process.stdin.write("\n")
        machine.process.stdin.flush()
        wait_for(f"ssh server of {name}", lambda: machine.run("ss", "-Hltn", "sport = :22").stdout.strip())
        return machine

    def stop(self, name: str) -> None:
        """End a machine at once, as a power failure would."""
        machine = self.all[name]
        machine.process.kill()
        machine.process.wait()

    def copy(self, source: Path, name: str, path: str) -> None:
        """Copy a file to a path of a machine."""
        text = source.read_text()
        mode = oct(source.stat().st_mode & 0o777)[2:]
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1" && chmod "$3" "$1"'
        self.all[name].run("sh", "-c", script, "copy", path, text, mode)

    def install(self, name: str) -> None:
        """Show the project at /opt/sppr of a machine, where the program is by default."""
        script = """
        mkdir /run/opt; mount --rbind /opt /run/opt; mount -t tmpfs tmpfs /opt
        for folder in /run/opt/*/; do
          mkdir "/opt/$(basename "$folder")"; mount --rbind "$folder" "/opt/$(basename "$folder")"
        done
        mkdir /opt/sppr; mount --rbind "$1" /opt/sppr
        """
        self.all[name].run("sh", "-e", "-c", script, "install", str(ROOT))

    def link(self, name: str, state: str) -> None:
        """Set the cable of a machine ``up`` or ``down``, at the switch."""
        self._in_switch("ip", "link", "set", name, state)

    def cable(self, first: str, second: str, mtu: int = 1508) -> None:
        """Connect eth1 of two machines, past the switch."""
        near, far = self.all[first], self.all[second]
        words = ["ip", "link", "add", "eth1", "mtu", str(mtu), "netns", str(near.pid), "type", "veth",
                 "peer", "name", "eth1", "mtu", str(mtu), "netns", str(far.pid)]  # fmt: skip
        self._in_switch(*words)
        for machine in (near, far):
            machine.run("sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=1")
            machine.run("ip", "link", "set", "eth1", "up")

    def command(self, *argv: str) -> list[str]:
        """Return a command that runs on the workstation."""
        assert self._workstation
        return ["nsenter", "-t", str(self._workstation.pid), "--net", *argv]

    def __enter__(self) -> "Machines":
        _keygen(self.key)
        hold = ["sh", "-c", "ip link set lo up; echo ready; exec sleep infinity"]
        self._switch = _unshare("switch", "", hold, mounts=False)
        self._in_switch("ip", "link", "add", "br0", "type", "bridge")
        self._in_switch("ip", "link", "set", "br0", "mtu", str(self.mtu), "up")
        self._workstation = _unshare("ws", "192.0.2.1", hold, mounts=False)
        self._connect(self._workstation)
        return self

    def __exit__(self, *_: object) -> None:
        for machine in (*self.all.values(), self._workstation, self._switch):
            if machine is not None:
                machine.process.kill()
                machine.process.wait()
                for stream in (machine.process.stdin, machine.process.stdout):
                    if stream:
                        stream.close()

    def _in_switch(self, *argv: str) -> None:
        assert self._switch
        subprocess.run(["nsenter", "-t", str(self._switch.pid), "--net", *argv], check=True)

    def _connect(self, machine: Machine) -> None:
        self._in_switch(
            "ip", "link", "add", machine.name, "mtu", str(self.mtu), "type", "veth",
            "peer", "name", "eth0", "address", f"02:53:50:50:00:{machine.address.rpartition('.')[2]:0>2}",
            "mtu", str(self.mtu), "netns", str(machine.pid),
        )  # fmt: skip
        self._in_switch("ip", "link", "set", machine.name, "master", "br0", "up")
        inside = ["nsenter", "-t", str(machine.pid), "--net"]
        subprocess.run([*inside, "ip", "addr", "add", f"{machine.address}/24", "dev", "eth0"], check=True)
        subprocess.run([*inside, "ip", "link", "set", "eth0", "up"], check=True)


def ssh_server() -> Path:
    """Return the path of an ssh server. apt-get downloads its package once: half a megabyte."""
    unpacked = UNPACKED / "usr/sbin/sshd"
    if SSHD.exists() or unpacked.exists():
        return SSHD if SSHD.exists() else unpacked
    UNPACKED.mkdir(parents=True, exist_ok=True)
    words = ["apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", "openssh-server"]
    if subprocess.run(words, cwd=UNPACKED, check=False, timeout=110).returncode:  # the lists of packages are old
        subprocess.run(["apt-get", "-qq", "update"], check=True, timeout=110)
        subprocess.run(words, cwd=UNPACKED, check=True, timeout=110)
    package = next(UNPACKED.glob("openssh-server_*.deb"))
    subprocess.run(["dpkg-deb", "-x", str(package), str(UNPACKED)], check=True)
    return unpacked


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _unshare(name: str, address: str, argv: Sequence[str], *, mounts: bool = True) -> Machine:
    """Start a process in namespaces of its own, and wait for its first line."""
    spaces = ["--mount", "--uts", "--ipc", "--mount-proc"] if mounts else []
    process = subprocess.Popen(
        [*_WITH_PARENT, "unshare", "--net", "--pid", "--fork", "--kill-child=KILL", *spaces, *argv],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline().strip() == "ready", f"machine {name} did not start"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return Machine(name, address, process, int(children[0]))


@contextlib.contextmanager
def machines(folder: Path, *names: str, mtu: int = 1600) -> Iterator[Machines]:
    """Yield running machines. ``mtu``: of the network between them."""
    assert os.geteuid() == 0
    with Machines(folder, mtu) as found:
        for name in names:
            found.start(name)
        yield found
