"""The releases of SPP that conf.yml can name. Without pydantic: programs that read no conf.yml import this too."""

from typing import Literal

#: In the order of release. HEAD: the source after the last release.
SppVersion = Literal[
    "auto", "16.07", "17.02", "17.05", "17.08", "17.11", "18.02", "18.05",
    "18.08.1", "18.08.2", "18.08.3", "18.08.4", "19.08", "19.11", "HEAD",
]  # fmt: skip
