"""Run a playbook over the hosts of a lab with Ansible, an optional extra, and collect what each host answered."""

import importlib
import json
import os
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sppr.config.peek import PROJECT
from sppr.errors import HostError
from sppr.hosts import scratch
from sppr.hosts.inventory import ALIVE, CONNECT_SECONDS

PLAYBOOKS = Path(__file__).parent / "playbooks"
#: ssh keeps a shared connection for 5 s after its last use.
_SSH_ARGS = " ".join(("-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=5s", *ALIVE))
#: What the archive of the program has, below the folder of the project.
_PROGRAM = ("bin", "sppr", "runscripts", "conf.yml", "setup.py", "pyproject.toml", "Makefile", "README.md", "LICENSE")
#: What it leaves out of these: what is built, images, and the ssh key of the guests.
_LEFT_OUT = ("build", "__pycache__", "img", "lab_key", "lab_key.pub", "ssh_config")
_LEFT_OUT_ENDS = (".qcow2", ".pyc", ".json")


@dataclass
class HostResult:
    """What a host answered. ``error``: why it failed, or ""; ``unreachable``: ssh could not connect.

    ``changed``: number of changed tasks. ``results``: by the name of a task, the result of its last run. ``ignored``:
    why tasks failed whose failure the playbook ignores.
    """

    error: str = ""
    unreachable: bool = False
    changed: int = 0
    results: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Return whether every task succeeded."""
        return not self.error


@dataclass(frozen=True)
class TaskEvent:
    """An event of a task on a host. ``kind``: ``start``, ``ok``, ``failed``, ``unreachable`` or ``retry``."""

    host: str
    task: str
    kind: str
    result: Mapping[str, Any] = field(default_factory=dict)


def require() -> Any:
    """Return the module ansible_runner. Raise HostError if it is not installed."""
    try:
        return importlib.import_module("ansible_runner")
    except ImportError:
        pip = Path(sys.executable).with_name("pip")
        hint = (
            f"{pip} install '{PROJECT}[hosts]'"
            if (PROJECT / "pyproject.toml").exists()
            else "pip install 'sppr[hosts]'"
        )
        raise HostError("a lab over several hosts needs Ansible, which is not installed", hint=hint) from None


def run_playbook(
    name: str, inventory: Mapping[str, Any], hosts: Sequence[str], report: Callable[[TaskEvent], None] = lambda _: None,
    *, variables: Mapping[str, Any] | None = None, words: Sequence[str] = (),
) -> dict[str, HostResult]:  # fmt: skip
    """Run a playbook of this package on these hosts, and return the result of each.

    ``report``: called for each event, in this thread. ``words``: more words of ansible-playbook. Raise HostError if
    Ansible is not installed, or does not start.
    """
    runner = require()
    results = {host: HostResult() for host in hosts}
    with scratch.folder() as folder:
        source = folder / "inventory.json"
        source.write_text(json.dumps(inventory))
        found = runner.run(
            private_data_dir=str(folder),
            playbook=str(PLAYBOOKS / f"{name}.yml"),
            inventory=str(source),
            limit=",".join(hosts),
            cmdline=" ".join(words) or None,
            extravars=dict(variables or {}),
            envvars=_environment(len(hosts), folder),
            event_handler=lambda event: _handle(event, results, report),
            quiet=True,
        )
        if found.status == "failed" and not any(result.results or result.error for result in results.values()):
            text = found.stdout.read().strip() if found.stdout else ""
            raise HostError(
                f"ansible-playbook failed: {text[-400:] or found.status}", hint="ansible-playbook --version"
            )
        if found.status == "canceled":
            raise KeyboardInterrupt
    return results


def _environment(forks: int, folder: Path) -> dict[str, str]:
    """Return the variables of Ansible's environment that differ from the user's.

    Each run has connections of its own in ``folder``: a shared connection to a host that was restarted would hang.
    """
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    wanted = {
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"), "ANSIBLE_SSH_ARGS": _SSH_ARGS,
        "ANSIBLE_TIMEOUT": str(CONNECT_SECONDS), "ANSIBLE_FORKS": str(min(max(forks, 5), 50)),
        "ANSIBLE_PIPELINING": "true", "ANSIBLE_RETRY_FILES_ENABLED": "false",
        "ANSIBLE_PYTHON_INTERPRETER": "auto_silent", "ANSIBLE_STRATEGY": "free",
    }  # fmt: skip
    return {"PATH": path} | {key: value for key, value in wanted.items() if key not in os.environ}


_KINDS = {
    "runner_on_start": "start", "runner_on_ok": "ok", "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable", "runner_retry": "retry", "runner_item_on_failed": "failed",
}  # fmt: skip


def _handle(event: Mapping[str, Any], results: dict[str, HostResult], report: Callable[[TaskEvent], None]) -> bool:
    """Take an event of ansible-runner. Return False: it is not written to a file."""
    kind, data = _KINDS.get(str(event.get("event"))), event.get("event_data") or {}
    host = data.get("host")
    if kind is None or host not in results:
        return False
    task, result = str(data.get("task", "")), data.get("res") or {}
    mine = results[host]
    if kind in ("ok", "failed"):
        mine.results[task] = result
        mine.changed += bool(result.get("changed")) and kind == "ok"
    if kind == "unreachable" or (kind == "failed" and not data.get("ignore_errors")):
        mine.unreachable = kind == "unreachable"
        mine.error = mine.error or _why(task, result)
    elif kind == "failed":
        mine.ignored.append(_why(task, result))
    report(TaskEvent(host, task, kind, result))
    return False


def _why(task: str, result: Mapping[str, Any]) -> str:
    """Return why a task failed, in the words of the program that failed."""
    output = str(result.get("stderr") or result.get("stdout") or "").strip()
    message = str(result.get("msg", "")).strip()
    if output and ("non-zero return code" in message or not message):
        return f"{task}: {output}"
    return message or f"{task}: failed"


def archive(folder: Path) -> Path | None:
    """Write the program as an archive into ``folder``, without what is built, and return its path.

    Return None if this program runs without its project, installed by pip.
    """
    if not (PROJECT / "pyproject.toml").is_file():
        return None

    def wanted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = Path(info.name).parts
        left_out = any(part in _LEFT_OUT for part in parts) or info.name.endswith(_LEFT_OUT_ENDS)
        return None if left_out else info

    path = folder / "sppr.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in _PROGRAM:
            tar.add(PROJECT / name, arcname=name, filter=wanted)
    return path
