"""Get samples of a lab for a live view: from its controller, or without one from the run directory."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from sppr.lab.state.state import State
from sppr.live.lab_view import LabView
from sppr.spp import http_call

#: Seconds for the controller's answer. A process that does not answer delays it by half a second.
TIMEOUT = 2.0


@dataclass
class Source:
    """The samples of the lab of ``state``. A sample has the form of ``controller.monitor``."""

    state: State
    _view: LabView = field(init=False)

    def __post_init__(self) -> None:
        self._view = LabView(self.state.folder)

    def sample(self) -> dict[str, Any]:
        """Return a sample. ``controller`` in it is False if the controller does not answer."""
        try:
            status, raw = http_call.call(str(self.state.plan.api), TIMEOUT, "GET", "/v1/live")
            if status != 200:
                return self._from_upstream()
            found = msgspec.json.decode(raw, type=dict[str, Any])
        except (OSError, ValueError):
            return self._without_controller()
        return self._with_lab({**found, "controller": True})

    def _with_lab(self, live: dict[str, Any]) -> dict[str, Any]:
        """Return the sample with parts and chains. A controller that was started without a lab sends none."""
        return live if "parts" in live else live | self._view.describe(live)

    def _without_controller(self) -> dict[str, Any]:
        return {"processes": [], "controller": False, **self._view.describe({"processes": None})}

    def _from_upstream(self) -> dict[str, Any]:
        """Return a sample of a lab whose controller is one of SPP: each process is asked, and has no rates."""
        from sppr.lab.chains.observe import observe_processes, processes

        plan = self.state.plan
        observed = observe_processes(plan.api, processes(plan.parts, plan.wiring))
        entries: list[dict[str, Any]] = []
        for name, status in observed.statuses.items():
            kind, _, number = name.partition(":")
            unknown = dict.fromkeys(("rx", "rx_drop", "tx", "tx_drop", "rx_rate", "tx_rate", "drop_rate"))
            entries.append(
                {
                    "name": name,
                    "kind": kind,
                    "id": int(number or 0),
                    "state": "running" if status.running else "idling",
                    "reason": "",
                    "guest": False,
                    "ports": {port: {**unknown, "linked": True} for port in sorted(status.ports)},
                    "patches": [list(patch) for patch in status.patches.items()],
                }
            )
        return self._with_lab({"processes": entries, "controller": True})
