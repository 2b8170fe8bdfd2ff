"""The ends of other chains during a proof: an unknown counter does not pass."""

import pytest

from sppr.lab.chains.observe import HANGS, Counters, Observed, ProcessStatus
from sppr.lab.chains.proof.watch import _may_have_received
from sppr.lab.chains.wiring import Leg

LEG = Leg("nfv:2", "sec2", "vhost:11", "phy:1", 1)


#: SPP's own spp_nfv.
UNCOUNTED = Observed({"nfv:2": ProcessStatus(ports=frozenset({"vhost:11", "phy:1"}))})


def sent(count: int) -> Observed:
    return Observed({"nfv:2": ProcessStatus(counters={"phy:1": Counters(tx=count)})})


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [
        (sent(5), sent(5), False),
        (sent(5), sent(6), True),
        (sent(5), Observed({}, {"nfv:2": HANGS}), True),
        (Observed({}, {"nfv:2": HANGS}), Observed({}, {"nfv:2": HANGS}), True),
        (Observed({}, {"nfv:2": "is not connected"}), Observed({}, {"nfv:2": "is not connected"}), False),
        (sent(5), Observed({}, {"nfv:2": "is not connected"}), True),
        (UNCOUNTED, UNCOUNTED, True),
    ],
)
def test_end_that_may_have_received_frames_is_reported(before: Observed, after: Observed, may: bool) -> None:
    assert _may_have_received(LEG, before, after) == may
