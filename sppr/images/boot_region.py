"""The beginning of an image, with the kernel and the initrd. Two images with the same content there boot the same
system, until it reads its root file system.
"""

import hashlib
import json
import tempfile
from pathlib import Path

from sppr.run import run

MIB = 1 << 20
#: The FAT partition of our base image starts at 1 MiB, as usual, and the root partition follows it. 32 MiB hold two
#: kernels.
BOOT_START, BOOT_MIB = 1, 32
ROOT_START = BOOT_START + BOOT_MIB

#: In the initrd of our base image: its guests can be saved, in the way of ``qemu.warm.states``.
_MARKER = b"sppr-initrd 2"


def digest(image: Path, image_format: str) -> str:
    """Return the sha256 of the first 33 MiB of an image. Return "" if its guests cannot be saved.

    The image may be in use. Raise LaunchError if it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="sppr-boot-") as folder:
        raw = Path(folder) / "boot.raw"
        options = (f"bs={MIB}", f"count={ROOT_START}", f"if={image}", f"of={raw}")
        run(["qemu-img", "dd", "-U", "-f", image_format, "-O", "raw", *options])
        content = raw.read_bytes()
    return hashlib.sha256(content).hexdigest() if _MARKER in content else ""


def is_own(instance: Path) -> bool:
    """Return whether an instance, a qcow2, has changed what its template has there: a new kernel, for example.

    It may be in use. Raise LaunchError if it cannot be read.
    """
    size = str(ROOT_START * MIB)
    found = run(["qemu-img", "map", "-U", "-f", "qcow2", "--output=json", f"--max-length={size}", str(instance)])
    return any(entry["depth"] == 0 and entry["present"] for entry in json.loads(found.stdout))
