"""The wiring of chains compared with the status of the processes."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sppr.errors import ControlError
from sppr.lab.chains import reconcile
from sppr.lab.chains.observe import Counters, Observed, ProcessStatus, chain_state, drift, processes
from sppr.lab.chains.reconcile import Step, execute, steps
from sppr.lab.chains.wiring import Wiring, ports_of
from sppr.spp.control import ProcessNotConnected
from tests.unit.lab import test_chain_planner
from tests.unit.lab.test_chain_planner import planned

TWO = test_chain_planner.TWO.replace("{id: 12}", "{id: 12, secondary: 1}")

PLAN = planned(TWO + "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}, b: {path: [nullpmd:0, vm_v12]}}")
WIRING = PLAN.wiring
WEB = WIRING.chain("web")


def fresh() -> Observed:
    """The parts have just become ready: guests with their ports, secondaries with those of the primary and of VMs."""
    shared = {"tap:0", "tap:1"}
    found = {
        "primary": shared,
        "nfv:1": shared | {"ivshmem:6", "ivshmem:106", "vhost:12"},
        "nfv:2": shared | {"vhost:11", "vhost:111"},
        "nfv:6": {"ring:0", "ring:1"},
        "nfv:11": {"phy:0", "phy:1"},
    }
    return Observed({name: ProcessStatus(frozenset(ports)) for name, ports in found.items()})


def after(observed: Observed, changes: list[Step]) -> Observed:
    """Return the status of the processes after these steps."""
    seen = dict(observed.statuses)
    for step in changes:
        one = seen[step.process]
        match step.verb, step.args:
            case "add", (port,):
                assert port not in one.ports
                one = replace(one, ports=one.ports | {port})
            case "del", (port,):
                assert port not in (*one.patches, *one.patches.values())
                one = replace(one, ports=one.ports - {port})
            case "patch", (src, dst):
                assert {src, dst} <= one.ports, step
                one = replace(one, patches={**one.patches, src: dst})
            case "disconnect", (src,):
                one = replace(one, patches={s: d for s, d in one.patches.items() if s != src})
            case "forward", ():
                one = replace(one, running=True)
        seen[step.process] = one
    return replace(observed, statuses=seen)


def applied() -> Observed:
    return after(fresh(), steps(WIRING, fresh()))


def changed(observed: Observed, process: str, **values: object) -> Observed:
    return replace(observed, statuses={**observed.statuses, process: replace(observed.statuses[process], **values)})  # type: ignore[arg-type]


def test_chain_is_wired_completely_and_a_second_run_sends_nothing() -> None:
    observed = applied()
    assert [chain_state(chain, WIRING, observed) for chain in WIRING.chains] == [("up", []), ("up", [])]
    assert steps(WIRING, observed) == []


def test_no_frame_enters_a_partial_chain() -> None:
    """The patch at which frames enter a direction is made after everything behind it is patched and forwards."""
    observed, changes = fresh(), steps(WIRING, fresh())
    for number, step in enumerate(changes):
        for chain in WIRING.chains:
            for _, legs in chain.directions:
                if step.verb == "patch" and (step.process, step.args) == (legs[0].process, (legs[0].src, legs[0].dst)):
                    now = after(observed, changes[:number])
                    assert all(now.patch(leg.process, leg.src) == leg.dst for leg in legs[1:])
                    assert all(now.statuses[leg.process].running for leg in legs)
    order = [step.verb for step in changes]
    assert order.index("patch") > max(n for n, verb in enumerate(order) if verb == "add")


def test_only_differences_are_sent() -> None:
    observed = changed(applied(), "nfv:2", running=False)
    assert steps(WIRING, observed) == [Step("nfv:2", "forward")]
    assert chain_state(WEB, WIRING, observed) == ("degraded", ["nfv:2 is not forwarding"])


def test_manual_patch_in_place_of_a_chain_patch_is_replaced() -> None:
    patches = {**applied().statuses["nfv:1"].patches, "tap:0": "ivshmem:106"}
    observed = changed(applied(), "nfv:1", patches=patches)
    assert chain_state(WEB, WIRING, observed) == (
        "degraded", ["nfv:1: tap:0 goes to ivshmem:106, not to ivshmem:6"]
    )  # fmt: skip
    assert steps(WIRING, observed) == [Step("nfv:1", "patch", ("tap:0", "ivshmem:6"))]


@pytest.mark.parametrize(
    ("process", "src", "dst"),
    [
        ("nfv:1", "ring:5", "ivshmem:6"),  # a second source
        ("nfv:2", "tap:0", "tap:1"),  # the chain's tap, by another process
        ("nfv:2", "ring:7", "ring:0"),  # to a ring of the chain
        ("nfv:1", "vhost:12", "tap:0"),  # from another chain's port
        ("primary", "tap:1", "tap:0"),
    ],
)
def test_manual_patch_on_a_chain_port_is_drift_and_removed(process: str, src: str, dst: str) -> None:
    observed = changed(applied(), process, patches={**applied().statuses[process].patches, src: dst})
    state, why = chain_state(WEB, WIRING, observed)
    assert state == "degraded" and why == [f"{process}: {src} -> {dst} belongs to no chain"]
    first, *others = steps(WIRING, observed)
    assert first == Step(process, "disconnect", (src,))
    assert others == ([Step("nfv:1", "patch", ("vhost:12", "nullpmd:0"))] if src == "vhost:12" else [])


def test_ports_and_patches_outside_chains_are_unchanged() -> None:
    seen = applied().statuses["nfv:1"]
    observed = changed(
        applied(),
        "nfv:1",
        ports=seen.ports | {"nullpmd:8", "nullpmd:9"},
        patches={**seen.patches, "nullpmd:8": "nullpmd:9"},
    )
    assert drift(WEB, WIRING, observed) == [] and steps(WIRING, observed) == []


def test_guest_ring_is_not_a_host_ring() -> None:
    """ring:0 in VM 6 and ring:0 of the primary have the same name."""
    observed = changed(applied(), "nfv:6", patches={"ring:0": "ring:1", "ring:1": "ring:0"})
    assert chain_state(WEB, WIRING, observed) == ("up", [])


def test_chains_over_a_stopped_part_are_down_and_unchanged() -> None:
    observed = replace(changed(applied(), "nfv:2", running=False), stopped=frozenset({"vm_r6"}))
    assert chain_state(WEB, WIRING, observed) == ("down", ["vm_r6 does not run"])
    assert steps(WIRING, observed) == []
    assert chain_state(WIRING.chain("b"), WIRING, observed) == ("up", [])


@pytest.mark.parametrize(
    ("process", "why"),
    [("nfv:6", "vm_r6: its spp_vm is not connected"), ("nfv:2", "sec2 is not connected")],
)
def test_chain_over_a_disconnected_process_is_down(process: str, why: str) -> None:
    seen = {name: one for name, one in applied().statuses.items() if name != process}
    observed = Observed(seen, {process: "is not connected"})
    assert chain_state(WEB, WIRING, observed) == ("down", [why])
    assert chain_state(WIRING.chain("b"), WIRING, observed) == ("up", [])


def test_removed_chain_is_taken_down_from_its_near_end() -> None:
    without = replace(WIRING, chains=WIRING.chains[1:]).replacing(WIRING)
    changes = steps(without, applied())
    assert changes[0] == Step("nfv:1", "disconnect", ("tap:0",))
    assert sum(step.verb == "disconnect" for step in changes) == len(WEB.legs)
    assert [str(step) for step in changes if step.verb == "del"] == [
        "nfv:1; del ring:0", "nfv:2; del ring:0", "nfv:2; del ring:1", "nfv:1; del ring:1"
    ]  # fmt: skip
    observed = after(applied(), changes)
    assert chain_state(WIRING.chain("b"), without, observed) == ("up", []) and steps(without, observed) == []


def test_retired_port_with_a_new_manual_patch_is_kept() -> None:
    without = replace(WIRING, chains=WIRING.chains[1:]).replacing(WIRING)
    seen = applied().statuses["nfv:1"]
    observed = changed(
        applied(), "nfv:1", ports=seen.ports | {"nullpmd:9"}, patches={**seen.patches, "nullpmd:9": "ring:0"}
    )
    assert Step("nfv:1", "del", ("ring:0",)) not in steps(without, observed)


def test_moved_chain_retires_only_its_former_patches() -> None:
    moved = planned(TWO + "chains: {web: {path: [tap:0, vm_v11, tap:1]}, b: {path: [nullpmd:0, vm_v12]}}").wiring
    assert "nfv:2 vhost:111 tap:1" not in {
        f"{leg.process} {leg.src} {leg.dst}" for leg in moved.replacing(WIRING).retired
    }
    observed = applied()
    changes = steps(moved.replacing(WIRING), observed)
    done = after(observed, changes)
    assert [chain_state(chain, moved, done)[0] for chain in moved.chains] == ["up", "up"]


def test_retired_patches_are_kept_until_take_down() -> None:
    none = Wiring()
    assert none.replacing(none.replacing(WIRING)).retired == WIRING.legs


def test_one_way_chain_has_no_reverse_patch() -> None:
    one = planned(TWO + "chains: {b: {path: [nullpmd:0, vm_v12, nullpmd:1], direction: forward}}").wiring
    ports = {"nfv:1": {"vhost:12", "vhost:112"}, "nfv:12": {"phy:0", "phy:1"}}
    seen = {name: ProcessStatus(frozenset(found)) for name, found in ports.items()}
    done = after(Observed(seen), steps(one, Observed(seen)))
    back = changed(done, "nfv:1", patches={**done.statuses["nfv:1"].patches, "nullpmd:1": "vhost:112"})
    assert chain_state(one.chain("b"), one, back)[1] == ["nfv:1: nullpmd:1 -> vhost:112 belongs to no chain"]


def test_only_processes_of_the_chains_are_queried() -> None:
    assert processes(PLAN.parts, WIRING) == ["primary", "nfv:1", "nfv:2", "nfv:6", "nfv:11"]
    assert ("nfv:6", "ring:0") in set(ports_of(WIRING.legs))


def test_port_without_a_connected_peer_is_named() -> None:
    """QEMU exited, or has not reconnected yet."""
    observed = changed(applied(), "nfv:2", counters={"vhost:11": Counters(linked=False), "vhost:111": Counters()})
    assert chain_state(WEB, WIRING, observed) == ("degraded", ["nfv:2: nothing is connected to vhost:11"])
    assert steps(WIRING, observed) == [], "nothing can be sent that would help"


def test_no_frame_enters_while_a_path_is_rebuilt() -> None:
    """The patches of a guest are lost while frames still arrive."""
    observed = changed(applied(), "nfv:11", patches={}, running=False)
    order = [str(step) for step in steps(WIRING, observed)]
    assert order == [
        "nfv:1; patch reset tap:0", "nfv:2; patch reset tap:1",
        "nfv:11; patch phy:0 phy:1", "nfv:11; patch phy:1 phy:0", "nfv:11; forward",
        "nfv:1; patch tap:0 ivshmem:6", "nfv:2; patch tap:1 vhost:111",
    ]  # fmt: skip


def test_patches_of_a_silent_process_stay_retired() -> None:
    """The controller restores its patches when it reconnects."""
    without = replace(WIRING, chains=WIRING.chains[1:]).replacing(WIRING)
    plan = replace(PLAN, wiring=without)
    seen = {name: one for name, one in applied().statuses.items() if name != "nfv:2"}
    observed = after(Observed(seen, {"nfv:2": "is not connected"}), steps(without, Observed(seen)))
    left = plan.prune_retired(observed).wiring.retired
    assert left and {leg.process for leg in left} == {"nfv:2"}


class Refusing:
    """A client that refuses each command."""

    def __init__(self, error: ControlError) -> None:
        self.error = error

    def __getattr__(self, verb: str) -> Callable[..., None]:
        def send(*_: str) -> None:
            raise type(self.error)(self.error.what, hint=self.error.hint)

        return send


@pytest.mark.parametrize("kind", [ControlError, ProcessNotConnected])
def test_lost_connection_is_distinguished_from_a_refusal(kind: type[ControlError]) -> None:
    with pytest.raises(ControlError) as caught:
        execute(Refusing(kind("sec_id 12 not found", hint="see it")), steps(PLAN.wiring, fresh()))  # type: ignore[arg-type]
    assert type(caught.value) is kind and caught.value.hint == "see it"


def test_chains_are_applied_again_when_a_process_is_connected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def apply(*_: object) -> tuple[list[Step], Observed]:
        calls.append("apply")
        if "wait" not in calls:
            raise ProcessNotConnected("sec_id 12 not found", hint="")
        return [], fresh()

    monkeypatch.setattr(reconcile, "apply", apply)
    assert reconcile.apply_with_retry(PLAN, (), lambda: calls.append("wait")) == ([], fresh())
    assert calls == ["apply", "wait", "apply"]


def test_refused_chain_does_not_block_the_other_chains() -> None:
    """Without a NIC, phy:7 does not exist. No frame enters the partial chain either."""

    class Client:
        def __init__(self) -> None:
            self.sent: list[str] = []

        def __getattr__(self, verb: str) -> Callable[..., None]:
            def send(process: str, *args: str) -> None:
                if "phy:7" in args:
                    raise ControlError("phy:7: no such port in this process")
                self.sent.append(f"{process} {verb} {' '.join(args)}")

            return send

    text = TWO + "chains: {bad: {path: [tap:3, vm_v12, phy:7]}, good: {path: [tap:0, vm_v11, tap:1]}}"
    plan = planned(text)
    seen = {"nfv:1": {"vhost:12", "vhost:112"}, "nfv:2": {"tap:0", "tap:1", "vhost:11", "vhost:111"}}
    seen |= {"nfv:11": {"phy:0", "phy:1"}, "nfv:12": {"phy:0", "phy:1"}}
    observed = Observed({name: ProcessStatus(frozenset(ports)) for name, ports in seen.items()})
    client = Client()
    with pytest.raises(
        ControlError, match="chain bad: nfv:1; patch vhost:112 phy:7: phy:7: no such port in this process"
    ):
        execute(client, steps(plan.wiring, observed))  # type: ignore[arg-type]
    assert "nfv:2 patch tap:0 vhost:11" in client.sent and "nfv:2 forward " in client.sent
    assert not [line for line in client.sent if "patch tap:3" in line]
