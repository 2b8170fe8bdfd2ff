"""Command sequences stay within the limits of a tmux message: 16 KiB, and 1,000 words since tmux 3.7."""

from pathlib import Path

import pytest

from sppr.tmux.commands import MAX_CALL_BYTES, MAX_CALL_WORDS, PaneSpec, WindowSpec, create_commands


@pytest.mark.parametrize("argument", ["x", "x" * 500], ids=["many words", "long words"])
def test_long_sequence_is_split_between_panes(argument: str) -> None:
    panes = tuple(PaneSpec(f"p{n}", Path("/"), ("sh", "-c", *[argument] * 10), None) for n in range(60))
    made = list(create_commands("s", [WindowSpec("w", panes)], (80, 24), {}, "owner"))
    assert len(made) > 1
    for sequence in made:
        assert len(sequence) <= MAX_CALL_WORDS < 1000
        assert sum(len(word) + 1 for word in sequence) <= MAX_CALL_BYTES
        assert sequence[0] in ("new-session", "split-window")
    assert sum(sequence.count("split-window") for sequence in made) == 59
