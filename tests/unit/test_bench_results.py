"""The verdict of ``make bench`` reports missed goals and figures that were not measured."""

import math

import pytest

from tests.bench_results import GOALS, Figure, table

MET = {name: Figure(goal.limit) for name, goal in GOALS.items()}
AT_MOST, AT_LEAST = "idle, % of a core, the busiest of primary and two nfv", "vhost, 64 bytes / testpmd net_vhost"


def test_figures_at_their_limits_meet_the_goals() -> None:
    lines, good = table(MET, judge=True)
    assert good and len(lines) == 1 + len(GOALS) and all(line.endswith("pass") for line in lines[1:])


@pytest.mark.parametrize(
    "figures",
    [
        {AT_MOST: Figure(1.001)},
        {AT_LEAST: Figure(1.199)},
        {AT_LEAST: Figure(None, "no pair counts")},
        {AT_LEAST: Figure(math.nan)},
        {"a figure without a goal": Figure(None, "it failed")},
    ],
    ids=["too much", "too little", "not measured", "no number", "not measured, without a goal"],
)
def test_one_missed_goal_fails_the_verdict(figures: dict[str, Figure]) -> None:
    lines, good = table(MET | figures, judge=True)
    assert not good
    assert [line.partition("  ")[0] for line in lines if line.endswith("short")] == list(figures)
    assert table(MET | figures, judge=False)[1], "a smoke run judges nothing"


def test_missing_figure_fails_the_verdict() -> None:
    left = {name: figure for name, figure in MET.items() if name != AT_MOST}
    assert not table(left, judge=True)[1]
