"""Beyond ports of one queue: several queues, launch, pipes, memif, telemetry, and why a command failed."""

import pytest

from tests.live.dataplane import Lab, crosses, wait_for

pytestmark = pytest.mark.live


def test_a_failed_command_says_why(lab: Lab) -> None:
    _, primary = lab.start_primary(lcores="0@0")
    _, nfv = lab.start_nfv(1)
    reply = nfv.ask("add ring:44")
    assert reply == {
        "result": "failed",
        "command": "add",
        "port": "ring:44",
        "message": "ring:44: the primary has 10 rings",
    }
    assert nfv.ask("patch ring:7 tap:0")["message"] == "ring:7: no such port here"
    assert "not a port" in nfv.ask("add x")["message"]
    assert "two lcores" in primary.ask("forward")["message"]
    assert "message" not in nfv.ask("add ring:4")


def test_ports_of_several_queues(lab: Lab) -> None:
    """Two processes use two queues of one port; each queue has one user a side."""
    _, primary = lab.start_primary("--port-num", "0", "rxq", "2", "txq", "2")
    _, one = lab.start_nfv(1)
    _, two = lab.start_nfv(2)
    names = ["tap:0 nq 0", "tap:0 nq 1", "tap:1"]
    status = primary.status()
    assert status["forwarder"]["ports"] == names
    assert [port["nof_queues"] for port in status["phy_ports"]] == [{"rx": 2, "tx": 2}, {"rx": 1, "tx": 1}]
    assert one.status()["ports"] == names
    one.failed("patch tap:0 tap:1")  # which queue?
    one.failed("patch tap:0nq2 tap:1")
    one.ok("patch tap:0nq0 tap:1", "patch tap:1 tap:0nq1", "add ring:0", "forward")
    assert one.status()["patches"] == [
        {"src": "tap:0 nq 0", "dst": "tap:1"},
        {"src": "tap:1", "dst": "tap:0 nq 1"},
    ]
    two.failed("patch tap:0nq0 tap:1")
    two.ok("add ring:0", "patch tap:0nq1 ring:0", "forward")
    source, sink = lab.tap_ends()
    crosses(sink, source)  # tx by queue 1
    sink.drain()
    source.drain()
    before = primary.status()

    def both_queues_counted() -> bool:
        """The kernel picks a queue by flow, so it takes either."""
        for number in range(32):
            source.send(number)
        now = primary.status()
        return bool(now["phy_ports"][0]["rx"] >= before["phy_ports"][0]["rx"] + 32)

    wait_for("frames of both queues", both_queues_counted)


def test_more_rx_than_tx_queues_where_the_device_can(lab: Lab) -> None:
    lab.start_primary("--port-num", "0", "rxq", "3", "txq", "1", vdevs=("net_null0", "net_null1"))
    _, nfv = lab.start_nfv(1)
    assert nfv.status()["ports"] == ["nullpmd:0 nq 0", "nullpmd:0 nq 1", "nullpmd:0 nq 2", "nullpmd:1"]
    assert nfv.ask("patch nullpmd:1 nullpmd:0nq1")["message"] == "nullpmd:0nq1 has no tx queue"
    nfv.ok("patch nullpmd:0nq2 nullpmd:1", "patch nullpmd:1 nullpmd:0nq0", "forward")
