"""A sample of the lab as metrics of Prometheus, in its text format or in OpenMetrics. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

_PORT_LABELS = ("process", "port")
_COUNTERS = (
    ("sppr_port_received_frames", "rx", "Frames received from the port since it was created."),
    ("sppr_port_received_bytes", "rx_bytes", "Bytes received from the port since it was created."),
    ("sppr_port_sent_frames", "tx", "Frames sent to the port since it was created."),
    ("sppr_port_sent_bytes", "tx_bytes", "Bytes sent to the port since it was created."),
    ("sppr_port_receive_dropped_frames", "rx_drop", "Frames received from the port and dropped."),
    ("sppr_port_send_dropped_frames", "tx_drop", "Frames that the port did not take, and that were dropped."),
)
#: promtool accepts the label ``quantile`` only in summaries.
_PERCENTILES = (("p50_ns", "50"), ("p99_ns", "99"), ("max_ns", "100"))


class _Sample:
    """The form in which prometheus_client takes metrics."""

    def __init__(self, live: Mapping[str, Any], version: str) -> None:
        self._live, self._version = live, version

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        yield InfoMetricFamily("sppr_build", "The version of sppr.", value={"version": self._version})
        yield from _processes(self._live["processes"])
        yield from _parts(self._live.get("parts", []))
        yield from _chains(self._live.get("chains", []))


def render(live: Mapping[str, Any], version: str, accept: str) -> tuple[bytes, str]:
    """Return the metrics of a sample and their content type. ``accept``: the Accept header of the request."""
    encoder, content_type = choose_encoder(accept)
    return encoder(_Sample(live, version)), content_type


def _processes(processes: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    processes = list(processes)
    forwarding = GaugeMetricFamily("sppr_process_forwarding", "1 if the process forwards.", labels=["process"])
    connected = GaugeMetricFamily("sppr_process_connected", "1 if the process answers.", labels=["process"])
    patches = GaugeMetricFamily("sppr_patch", "1 for each patch.", labels=["process", "source", "destination"])
    linked = GaugeMetricFamily("sppr_port_linked", "0 if the peer of the port is not connected.", labels=_PORT_LABELS)
    for process in processes:
        alive = process["state"] in ("running", "idling")
        forwarding.add_metric([process["name"]], float(process["state"] == "running"))
        connected.add_metric([process["name"]], float(alive))
        # Two components of a vf can have the same pair of ports, but a series must not occur twice.
        for src, dst in dict.fromkeys((patch[0], patch[1]) for patch in process["patches"]) if alive else ():
            patches.add_metric([process["name"], src, dst], 1.0)
        for uid, row in process["ports"].items() if alive else ():
            linked.add_metric([process["name"], uid], float(row["linked"]))
    yield from (connected, forwarding, patches, linked)
    for name, key, text in _COUNTERS:
        family = CounterMetricFamily(name, text, labels=_PORT_LABELS)
        for process in processes:
            for uid, row in process["ports"].items():
                if row.get(key) is not None:
                    family.add_metric([process["name"], uid], row[key])
        yield family


def _parts(parts: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    up = GaugeMetricFamily("sppr_part_up", "1 if the part is ready.", labels=["part", "role"])
    restarts = CounterMetricFamily("sppr_part_restarts", "Restarts by the restart policy.", labels=["part"])
    cpu = CounterMetricFamily("sppr_part_cpu_seconds", "CPU time of the part's processes.", labels=["part"])
    memory = GaugeMetricFamily(
        "sppr_part_memory_bytes", "Resident memory of the part, without hugepages.", labels=["part"]
    )
    for part in parts:
        up.add_metric([part["name"], part["role"]], float(part["state"] == "ready"))
        restarts.add_metric([part["name"]], part["restarts"])
        if part["cpu_seconds"] is not None:
            cpu.add_metric([part["name"]], part["cpu_seconds"])
            memory.add_metric([part["name"]], part["memory"])
    yield from (up, restarts, cpu, memory)


def _chains(chains: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    up = GaugeMetricFamily("sppr_chain_up", "1 if the chain is up; 0 if it is degraded or down.", labels=["chain"])
    dropped = CounterMetricFamily(
        "sppr_chain_dropped_frames", "Frames dropped at the ports of the chain.", labels=["chain"]
    )
    proved = GaugeMetricFamily("sppr_chain_proof_passed", "1 if the last proof passed.", labels=["chain"])
    when = GaugeMetricFamily("sppr_chain_proof_timestamp_seconds", "Time of the last proof.", labels=["chain"])
    sent = GaugeMetricFamily("sppr_chain_proof_sent_frames", "Frames sent in the last proof.", labels=["chain"])
    lost = GaugeMetricFamily("sppr_chain_proof_lost_frames", "Frames lost in the last proof.", labels=["chain"])
    latency = GaugeMetricFamily(
        "sppr_chain_proof_latency_seconds",
        "Latency in the last proof; percentile 100 is the maximum.",
        labels=["chain", "percentile"],
    )
    for chain in chains:
        name = chain["name"]
        up.add_metric([name], float(chain["state"] == "up"))
        if chain["dropped"] is not None:
            dropped.add_metric([name], chain["dropped"])
        proof = chain["proof"]
        if not proof:
            continue
        proved.add_metric([name], float(proof.get("verdict") == "pass"))
        when.add_metric([name], proof["time"])
        for family, key in ((sent, "sent"), (lost, "lost")):
            if isinstance(proof.get(key), int):
                family.add_metric([name], proof[key])
        for key, percentile in _PERCENTILES:
            if isinstance(proof.get(key), (int, float)):
                latency.add_metric([name, percentile], proof[key] / 1e9)
    yield from (up, dropped, proved, when, sent, lost, latency)
