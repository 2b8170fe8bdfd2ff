"""Place the parts of a lab that name no host, by free cores and memory, neighbours in a chain together. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations

from sppr.config.chains import is_port
from sppr.config.hosts.model import PARTS
from sppr.config.hosts.segments import local_name, part_name, placed_by_hand
from sppr.config.model import Config, Secondary, Vm
from sppr.errors import ConfigError

Key = tuple[str, int]
_NO_ROOM = "add a host, set cores: or memory: of a host, or make the part smaller"


@dataclass(frozen=True)
class Room:
    """What a host has for parts. ``cores``: number of CPUs. ``memory``: MiB for VMs."""

    cores: int
    memory: int


@dataclass
class _Use:
    """What the parts on a host need. ``lcores``: mask of those of SPP's processes."""

    room: Room
    vms: int = 0
    vm_cores: int = 0
    memory: int = 0
    lcores: int = 0
    ids: set[int] = field(default_factory=set)
    nfvs: int = 0

    @property
    def free_cores(self) -> int:
        return self.room.cores - self.lcores.bit_count() - self.vm_cores


def kept_names(config: Config) -> dict[str, Key]:
    """Return the parts without a host by the names under which their placement is kept: ``vm_v11``, ``vm_v11#2``."""
    found: dict[str, Key] = {}
    for section in PARTS:
        for index, entry in enumerate(getattr(config, section)):
            if entry.host is None:
                name, number = part_name(section, entry.id), 2
                unique = name
                while unique in found:
                    unique, number = f"{name}#{number}", number + 1
                found[unique] = (section, index)
    return found


def place(config: Config, rooms: Mapping[str, Room], kept: Mapping[str, str]) -> dict[Key, str]:
    """Return the host of each part.

    ``rooms``: what each host has. ``kept``: the placement of the last time, by ``kept_names``; it stays while it is
    possible. Raise ConfigError for a part that fits on no host, or not on the host that it names.

    A part that names its host, or is kept, may be running, so the memory that it needs is not free. Only ``memory:`` in
    conf.yml limits such parts.
    """
    placer = _Placer(config, rooms)
    for key, host in placed_by_hand(config).items():
        placer.take(key, host, named=True)
    for name, key in kept_names(config).items():
        if key not in placer.placed and kept.get(name) in rooms and not placer.why_not(key, kept[name], settled=True):
            placer.take(key, kept[name])
    for key in placer.vms_in_order():
        if key not in placer.placed:
            placer.take(key, placer.host_for_vm(key))
    for index in range(len(config.secondaries)):
        if ("secondaries", index) not in placer.placed:
            placer.take(("secondaries", index), placer.host_for_secondary(("secondaries", index)))
    return placer.placed


class _Placer:
    def __init__(self, config: Config, rooms: Mapping[str, Room]) -> None:
        self.config = config
        self.use = {host: _Use(rooms[host], lcores=config.primary.coremask) for host in config.hosts}
        self.placed: dict[Key, str] = {}
        #: Hosts that have a part of this name.
        self._by_name: dict[str, list[str]] = {}
        #: Hosts of the VMs that name a secondary, by its id.
        self._served: dict[int, list[str]] = {}
        self._linked: dict[str, set[str]] = {host: {host} for host in config.hosts}
        for link in config.links:
            for first, second in permutations(link.ends):
                self._linked[first].add(second)
        self._named: dict[str, list[str]] = {}
        self._neighbours: dict[str, list[str]] = {}
        self._order: list[str] = []
        for chain in config.chains.values():
            for place, element in enumerate(chain.path):
                host, name = local_name(element)
                if not is_port(name):
                    if host is not None and host in self.use:
                        self._named.setdefault(name, []).append(host)
                    around = (*chain.path[:place][::-1][:1], *chain.path[place + 1 :][:1])
                    self._neighbours.setdefault(name, []).extend(around)
                    self._order.append(name)

    def entry(self, key: Key) -> Secondary | Vm:
        found: Secondary | Vm = getattr(self.config, key[0])[key[1]]
        return found

    def _memory(self, vm: Vm) -> int:
        return vm.memory or self.config.vm.memory

    def _cores(self, vm: Vm) -> int:
        return vm.cores or self.config.vm.cores

    def vms_in_order(self) -> Iterator[Key]:
        """Yield all VMs: those of chains in the order of the chains, then the others."""
        by_name: dict[str, list[Key]] = {}
        for section in ("vms_ring", "vms_vhost"):
            for index, vm in enumerate(getattr(self.config, section)):
                by_name.setdefault(part_name(section, vm.id), []).append((section, index))
        for name in dict.fromkeys(self._order):
            yield from by_name.pop(name, [])
        for keys in by_name.values():
            yield from keys

    def why_not(self, key: Key, host: str, *, settled: bool = False) -> str:
        """Return why a host cannot take a part, or "" if it can. ``settled``: the part is named there, or kept."""
        entry, use = self.entry(key), self.use[host]
        if entry.id in use.ids:
            return f"{host} already has a part with the id {entry.id}"
        if isinstance(entry, Secondary):
            shared = entry.coremask & use.lcores
            return f"on {host} its cores belong to other processes of SPP" if shared else ""
        if self._cores(entry) > use.room.cores:
            return f"it needs {self._cores(entry)} cores, and {host} has {use.room.cores}"
        memory = self.config.hosts[host].memory if settled else use.room.memory
        if memory is not None and (left := memory - use.memory) < self._memory(entry):
            return f"it needs {self._memory(entry)} MiB, and {host} has {max(left, 0)} MiB left"
        return ""

    def fits(self, key: Key, host: str) -> bool:
        return not self.why_not(key, host)

    def take(self, key: Key, host: str, *, named: bool = False) -> None:
        """Place a part. ``named``: conf.yml names the host; raise ConfigError if it lacks cores or memory.

        The rules of one host report other conflicts of such a part, with their lines.
        """
        entry = self.entry(key)
        if host not in self.use:
            return
        use = self.use[host]
        if (
            named
            and isinstance(entry, Vm)
            and entry.id not in use.ids
            and (why := self.why_not(key, host, settled=True))
        ):
            what = f"{part_name(key[0], entry.id)}: {why}"
            if entry.host is None:
                raise ConfigError(what, hint=_NO_ROOM, key=(*key, "id"))
            raise ConfigError(what, hint="name another host, or leave host: out", key=(*key, "host"))
        self.placed[key] = host
        self._by_name.setdefault(part_name(key[0], entry.id), []).append(host)
        use.ids.add(entry.id)
        if isinstance(entry, Secondary):
            use.lcores |= entry.coremask
            use.nfvs += entry.type == "nfv"
        else:
            use.vms += 1
            use.vm_cores += self._cores(entry)
            use.memory += self._memory(entry)
            if entry.secondary is not None:
                self._served.setdefault(entry.secondary, []).append(host)

    def host_for_vm(self, key: Key) -> str:
        """Return the host for a VM: that of its secondary, else the one that a path names, else that of a neighbour
        in its chains, else the most free one.

        A secondary without a host is placed later, where the VMs are that name it, so these come together.
        If no neighbour's host fits, hosts with a link to one come first.
        """
        vm = self.entry(key)
        assert isinstance(vm, Vm)
        number = vm.secondary or 0
        near: list[str] = [*self._by_name.get(part_name("secondaries", number), ()), *self._served.get(number, ())]
        near += self._near(part_name(key[0], vm.id))
        for host in near:
            if self.fits(key, host):
                return host
        fitting = [host for host in self.use if self.fits(key, host)]
        if not fitting:
            raise self._no_host(key)
        linked = [host for host in fitting if any(host in self._linked[other] for other in near)] or fitting
        return max(
            linked, key=lambda host: (self.use[host].free_cores, self.use[host].room.memory - self.use[host].memory)
        )

    def _near(self, name: str) -> Iterator[str]:
        """Yield the hosts that paths name for a VM, then those of its neighbours in its chains."""
        yield from self._named.get(name, ())
        for element in self._neighbours.get(name, ()):
            host, local = local_name(element)
            if host is not None:
                yield from [host] if host in self.use else []
            elif not is_port(local):
                yield from self._by_name.get(local, ())

    def host_for_secondary(self, key: Key) -> str:
        """Return the host for a secondary: one whose VMs name it, else the one with the most VMs for each nfv."""
        fitting = [host for host in self.use if self.fits(key, host)]
        if not fitting:
            raise self._no_host(key)
        entry = self.entry(key)
        assert isinstance(entry, Secondary)
        wanted = set(self._served.get(entry.id, ())) if entry.type == "nfv" else set()
        return max(fitting, key=lambda host: (host in wanted, self.use[host].vms / (self.use[host].nfvs + 1)))

    def _no_host(self, key: Key) -> ConfigError:
        name = part_name(key[0], self.entry(key).id)
        reasons = "; ".join(self.why_not(key, host) for host in list(self.use)[:4])
        more = f"; and {len(self.use) - 4} more hosts" if len(self.use) > 4 else ""
        return ConfigError(f"{name} fits on no host: {reasons}{more}", hint=_NO_ROOM, key=(*key, "id"))
