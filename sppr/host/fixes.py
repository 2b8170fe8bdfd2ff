"""A command that mends something, as a value: shown as a line that can be pasted, then run."""

from dataclasses import dataclass

from sppr.run import pasteable


@dataclass(frozen=True)
class Step:
    """``argv``, and ``stdin`` where it is fed something."""

    argv: tuple[str, ...]
    stdin: str | None = None

    def __str__(self) -> str:
        line = pasteable(self.argv)
        return line if self.stdin is None else f"echo {self.stdin.strip()} | {line}"


def write(path: str, text: str) -> Step:
    """Write a number into a file of /sys or /proc."""
    return Step(("tee", path), f"{text}\n")


def remove(*paths: str) -> Step:
    return Step(("rm", "-f", "--", *paths))


def remove_folder(path: str) -> Step:
    return Step(("rm", "-rf", "--", path))
