"""``sppr chain bench``: rates and latency of chains, as text, JSON, SVG and JUnit."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sppr.lab.chains.chart import frames, measured


def lines(result: Any) -> list[str]:
    """Return the result of one direction: a line per goal, then a line per load for latency."""
    size = f"{result.size}{' B' * result.size.isdecimal()}"
    head = f"{', '.join(result.chains)}  {result.topology}  {size}  {result.direction}"
    found = []
    for rate in result.rates:
        gbits = rate.gbits(result.bytes)
        text = frames(rate.frames, limited=rate.limited)
        text += f"  {gbits:.3g} Gbit/s" if gbits is not None else ""
        if rate.lower and rate.upper:
            text += f"  (offered between {rate.lower:,.0f} and {rate.upper:,.0f})"
        found.append(f"{head}  {rate.goal}  {text}")
    for one in result.latency:
        load = f"{one.share:.0%}" if one.share else "no load"
        times = "  ".join(f"{name} {_us(getattr(one, key))}" for name, key in _PERCENTILES)
        found.append(f"    {load:>7}  {times}  variation {_us(one.variation)}  ({one.samples:,} frames)")
    found.append(f"    {result.trials} trials in {result.seconds:.0f} s")
    return found


_PERCENTILES = (("min", "min"), ("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))


def _us(ns: int) -> str:
    return f"{ns / 1000:,.1f} µs"


def matrix(results: Sequence[Any]) -> list[str]:
    """Return a table of the rate of one chain against the number of chains at once."""
    found = []
    kinds = dict.fromkeys((r.size, r.direction, rate.goal) for r in results for rate in r.rates)
    counts = sorted({len(result.chains) for result in results})
    found.append("  ".join([f"{'chains at once':24}", *(f"{count:>16}" for count in counts)]))
    for size, direction, goal in kinds:
        cells = []
        for count in counts:
            rates = [
                rate.frames
                for result in results
                if (len(result.chains), result.size, result.direction) == (count, size, direction)
                for rate in result.rates
                if rate.goal == goal
            ]
            cells.append(f"{frames(rates[0]) if rates else '':>16}")
        found.append("  ".join([f"{size} {direction} {goal}".ljust(24), *cells]))
    return found


def write(results: Sequence[Any], json_file: Path | None, svg: Path | None, junit: Path | None, session: str) -> None:
    """Write the files whose paths are given."""
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    if svg is not None:
        svg.write_text(measured(results))
    if junit is not None:
        _write_junit(results, junit, session)


def _write_junit(results: Sequence[Any], path: Path, session: str) -> None:
    """Write a test case for each rate, with its figures as properties. A rate that was not found is a failure."""
    from xml.etree import ElementTree as Xml

    suite = Xml.Element("testsuite", name=f"sppr chain bench ({session})", errors="0")
    tests = failures = 0
    for result in results:
        for rate in result.rates:
            tests += 1
            name = f"{result.size} {result.direction} {rate.goal}"
            case = Xml.SubElement(suite, "testcase", classname=f"chain.{'+'.join(result.chains)}", name=name)
            case.set("time", f"{result.seconds:.1f}")
            properties = Xml.SubElement(case, "properties")
            for key in ("frames", "lower", "upper", "limited"):
                Xml.SubElement(properties, "property", name=key, value=str(getattr(rate, key)))
            if rate.frames is None:
                failures += 1
                Xml.SubElement(case, "failure", message="no rate was found at which the goal is met")
    suite.set("tests", str(tests))
    suite.set("failures", str(failures))
    Xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def run(state: Any, chains: Sequence[Any], sizes: Sequence[str], goals: Sequence[str], density: int) -> list[Any]:
    """Measure each chain alone, or with ``density`` 1, 2, 4, … of them at once. Print each result as it comes."""
    from sppr.lab.chains import bench

    counts = [1 << n for n in range(density.bit_length()) if 1 << n <= density] if density else []
    groups = [list(chains[:count]) for count in counts] if counts else [[chain] for chain in chains]
    found: list[Any] = []
    for group in groups:
        found += bench.measure(state, group, sizes, goals, lambda result: click.echo("\n".join(lines(result))))
    if counts:
        click.echo("\n".join(matrix(found)))
    return found
