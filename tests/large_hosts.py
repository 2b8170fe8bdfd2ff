"""The conf.yml of a large lab over several hosts, for the unit tests and ``make bench``."""

HOSTS, VMS, CHAINS = 100, 2_000, 1_000
#: Ids of the VMs that name no host: 100 ring VMs, which chains may use because each name occurs once, and vhost VMs.
FREE_IDS = range(21, 121)


def conf(hosts: int = HOSTS, vms: int = VMS, chains: int = CHAINS) -> str:
    """Return a conf.yml. Half of the VMs name their host. The hosts are linked in a ring.

    Of ten chains, six stay on a host, three cross a link, and one goes through a VM that names no host.
    """
    names = [f"h{n:03}" for n in range(hosts)]
    lines = ["primary: {coremask: 0x03, rings: 98}", "hosts:"]
    lines += [f"  {h}: {{address: 192.0.2.{n + 1}, cores: 64, memory: 64G}}" for n, h in enumerate(names)]
    lines += ["links:", *(f"  - {{between: [{h}, {names[(n + 1) % hosts]}]}}" for n, h in enumerate(names))]
    masks = ((1, "0x0C"), (2, "0x30"))
    lines += ["secondaries:", *(f"  - {{id: {i}, coremask: {m}, host: {h}}}" for h in names for i, m in masks)]
    lines += ["vms_ring:", *(f"  - {{id: {i}, memory: 128}}" for i in FREE_IDS)]
    lines += ["vms_vhost:"]
    named = vms // 2
    lines += [f"  - {{id: {11 + n // hosts}, memory: 1G, host: {names[n % hosts]}}}" for n in range(named)]
    free = vms - named - len(FREE_IDS)
    lines += [f"  - {{id: {FREE_IDS[n % len(FREE_IDS)]}, memory: 512}}" for n in range(free)]
    lines += ["chains:", *(_chain(n, names) for n in range(chains))]
    return "\n".join(lines) + "\n"


def _chain(number: int, names: list[str]) -> str:
    turn, place = divmod(number, len(names))
    here, there = names[place], names[(place + 1) % len(names)]
    vm = f"vm_v{11 + turn}"
    if turn == 9:
        path = [f"{here}/nullpmd:90", f"vm_r{FREE_IDS[place % len(FREE_IDS)]}", f"{here}/nullpmd:91"]
    elif turn >= 6:
        path = [f"{here}/nullpmd:{10 * turn}", f"{here}/{vm}", f"{there}/{vm}", f"{there}/nullpmd:{10 * turn + 1}"]
    else:
        path = [f"{here}/nullpmd:{10 * turn}", f"{here}/{vm}", f"{here}/nullpmd:{10 * turn + 1}"]
    return f"  c{number}: {{path: [{', '.join(path)}]}}"
