"""What completion knows: gathered from the controller after each command."""

from sppr.controller.prompt.completion import Known
from sppr.controller.prompt.formatting import ports_of
from sppr.controller.prompt.hosts import Host, Seen
from sppr.controller.settings import Settings
from sppr.errors import ControlError

_PLACES = ("/cpu_layout", "/cpu_usage")


async def gather(host: Host, settings: Settings) -> Known:
    """ControlError if the controller is of another host and gone."""
    seen = await host.seen()
    secondaries = [process for process in seen if process.kind != "primary"]
    ids = {"sec": [process.client_id for process in secondaries]}
    for kind in ("nfv", "vf", "mirror", "pcap"):
        ids[kind] = [p.client_id for p in secondaries if p.kind == kind or (kind, p.kind) == ("nfv", "vm")]
    return Known(
        ids,
        {process.client_id: ports_of(process.status) for process in secondaries},
        [port for process in seen if process.kind == "primary" for port in ports_of(process.status)],
        {process.client_id: _components(process) for process in secondaries},
        await _launches(host, settings, ids["sec"]) if len(seen) > len(secondaries) else {},
    )


def _components(process: Seen) -> list[str]:
    found = process.status.get("components")
    return [str(c["name"]) for c in found if isinstance(c, dict) and "name" in c] if isinstance(found, list) else []


async def _launches(host: Host, settings: Settings, taken: list[int]) -> dict[str, list[str]]:
    """``1 -l 2,3 -m 512 -- -n 1 -s ...`` for the lowest free id, of each kind; nothing where lcores are not told."""
    try:
        layout, usage = [await host.call("GET", place) for place in _PLACES]
        every = [lcore for socket in layout for core in socket["cores"] for lcore in core["lcores"]]
        used = {lcore for process in usage for lcore in process["lcores"]}
    except (ControlError, TypeError, KeyError):
        return {}
    free = sorted(set(every) - used - {int(settings.values["sec_m_lcore"])})
    number = next(n for n in range(1, 129) if n not in taken)
    sec = getattr(host, "sec_address", f"{host.address.partition(':')[0]}:6666")
    return {k: [f"{number} {settings.launch(k, str(number), free, sec)}"] for k in ("nfv", "vf", "mirror", "pcap")}
