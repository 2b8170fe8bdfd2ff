"""What a ring VM of SPP 16.07 is given when it starts: the memory of the primary that runs now."""

from pathlib import Path

import psutil

from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.lab.state import state as states
from sppr.parts.part import Part
from sppr.spp import ivshmem
from sppr.tmux.pane import PaneFiles

#: Seconds that a primary may take to write its line; the first of all, it maps its hugepages before.
TIMEOUT = 40.0


def words(part: Part, run: Path) -> list[str]:
    """Further words for its QEMU; none for any other VM. SpprError where no primary runs, NotReady for a stale line."""
    if part.kind != "ivshmem":
        return []
    primary = states.process(PaneFiles(run, "pri"))
    if primary is None or not primary.alive():
        raise SpprError(f"{part.name}: it has the primary's memory, and no primary runs", hint="sppr start pri")
    # of a user's lab this is sudo, which is older than its program by a moment
    return ivshmem.wait_line(psutil.Process(primary.pid).create_time(), Deadline(TIMEOUT))
