"""What a serial console says: a prompt, or text after which no guest comes up."""

import re
from pathlib import Path

from sppr.wait import head

#: A login prompt, or a shell's: with a host name before it, or bare.
PROMPT = re.compile(r"^(?:[\w.-]+ login: ?$|(?:[\w.-]+@[\w.-]+:\S*|[\w~/.-]*|[~/][\w/.-]* )[#$] )", re.MULTILINE)
#: Text that ends any wait at once.
DEATH = re.compile(
    r"Kernel panic.*|No bootable device.*|Boot failed.*|BUG: .*|Failed to execute /init.*|"
    r"dracut-initqueue.*timeout.*|Failed to get \"write\" lock.*|can't access tty; job control turned off.*"
)


def has_come_to_prompt(log: Path) -> bool:
    """Whether the guest has been at a login or shell prompt since this start (its log begins anew with each)."""
    return bool(PROMPT.search(head(log)))
