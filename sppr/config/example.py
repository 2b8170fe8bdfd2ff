"""The text of an example conf.yml, with comments: the shipped file, and what ``sppr init`` writes."""

from sppr import units
from sppr.config import schema
from sppr.config.rules import MAX_LCORE
from sppr.errors import ConfigError

#: Numbers of the shipped file.
COUNTS = {"nof_sec": 5, "nof_ring": 5, "nof_vhost": 5}
#: All ids of a lab are in one range.
MAX_ID = 127
#: The primary and each secondary have two lcores: one for commands, one that forwards.
MAX_SECONDARIES = MAX_LCORE // 2 - 1

_HEAD = f"""{schema.MODELINE}
# The lab. After a change, stop the part in its pane (Ctrl-C; a VM: Ctrl-A x), then press arrow-up and Enter: each part
# reads this file at its start.
# Every key there is, with its default: docs/conf.md. An editor with a YAML language server completes and checks keys.

controller:
  host: 127.0.0.1
  pri_port: 5555
  sec_port: 6666

primary:
  coremask: 0x03
  portmask: 0x03
"""

_CHAIN = """
# A service chain from end to end, proved by: sppr chain prove web. Its ends are network namespaces, spp-client and
# spp-server, where any program can talk across it: sppr chain shell web client -- ping 10.20.0.2
chains:
  web:
    path: [{path}]
    ends:
      tap:0: {{ netns: client, address: 10.20.0.1/24 }}
      tap:1: {{ netns: server, address: 10.20.0.2/24 }}
"""


def text(nof_sec: int, nof_ring: int, nof_vhost: int) -> str:
    """Return a conf.yml with these numbers of secondaries, ring VMs and vhost VMs, and a chain.

    The chain leads through the first VM of each kind, which are those that ``sppr up`` starts. Raise ConfigError if
    there are too few ids or lcores.
    """
    if nof_sec > MAX_SECONDARIES:
        what = f"-ns {nof_sec}: secondaries and primary need {2 * nof_sec + 2} lcores, and DPDK has {MAX_LCORE}"
        raise ConfigError(what, hint=f"-ns {MAX_SECONDARIES} at most")
    if (total := nof_sec + nof_ring + nof_vhost) > MAX_ID:
        what = f"-ns {nof_sec} -nr {nof_ring} -nv {nof_vhost}: {total} ids, and a lab has {MAX_ID}"
        raise ConfigError(what, hint=f"secondaries and VMs share the ids 1 to {MAX_ID}: ask for fewer")
    ring, vhost = range(nof_sec + 1, nof_sec + nof_ring + 1), range(nof_sec + nof_ring + 1, total + 1)
    masks = [units.mask((2 * n, 2 * n + 1)) for n in range(1, nof_sec + 1)]
    secondaries = [f"{{ id: {n}, coremask: {units.format_mask(mask)} }}" for n, mask in enumerate(masks, 1)]
    path = ["tap:0", *(f"vm_r{n}" for n in ring[:1]), *(f"vm_v{n}" for n in vhost[:1]), "tap:1"]
    sections = _section("secondaries", secondaries) + _section("vms_ring", _vms(ring, "rings"))
    return _HEAD + sections + _section("vms_vhost", _vms(vhost, "vhosts")) + _CHAIN.format(path=", ".join(path))


def _vms(ids: range, key: str) -> list[str]:
    """Return the entries of VMs.

    A chain needs two ports of the first one, by default its id and 100 more. Where that is the id of another VM, its
    entry has other numbers.
    """
    entries = [f"id: {number}" for number in ids]
    if ids and ids[0] + 100 in ids:
        entries[0] = f"{{ id: {ids[0]}, {key}: [{ids[0]}, {ids[0] + 200}] }}"
    return entries


def _section(name: str, entries: list[str]) -> str:
    return "".join([f"\n{name}:\n", *(f"  - {entry}\n" for entry in entries)]) if entries else ""
