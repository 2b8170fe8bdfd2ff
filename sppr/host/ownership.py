"""Whose a file is that root makes in a user's folder: the user's, who edits it, removes it and goes on without root."""

import os
from pathlib import Path


def as_its_folder(*paths: Path) -> None:
    """Give files that root has just made to the owner of the folder each lies in. After ``sudo wakeup`` the images, the
    ssh key and ssh_config beside conf.yml are still the user's. Anybody but root makes files of their own anyway."""
    if os.geteuid() != 0:
        return
    for path in paths:
        folder = path.parent.stat()
        if folder.st_uid != 0:
            os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)
