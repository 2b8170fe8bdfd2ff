"""Recognise text on a serial console: a prompt, or an error after which the guest does not boot."""

import re
from pathlib import Path

from sppr.wait import head

#: A login prompt or a shell prompt, with or without a host name.
PROMPT = r"(?m)^(?:[\w.-]+ login: ?$|(?:[\w.-]+@[\w.-]+:\S*|[\w~/.-]*|[~/][\w/.-]* )[#$] )"
#: Errors after which waiting is pointless.
FATAL = (
    r"Kernel panic.*|No bootable device.*|Boot failed.*|BUG: .*|Failed to execute /init.*|"
    r"dracut-initqueue.*timeout.*|Failed to get \"write\" lock.*|can't access tty; job control turned off.*"
)


def has_reached_prompt(log: Path) -> bool:
    """Return whether the guest has shown a login or shell prompt since QEMU started. Each start empties the log."""
    return bool(re.search(PROMPT, head(log)))
