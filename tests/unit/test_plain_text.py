"""Terminal output converted to plain lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sppr.cli.terminal.plain_text import PlainText

#: Recorded from a controller's pane: its prompt, three keys and Enter, as prompt_toolkit writes them.
PROMPT = (
    b"\x1b[?2004h\x1b[?1l\x1b[?25l\x1b[0m\x1b[?7l\x1b[0m\x1b[J\x1b[0mspp >\x1b[5D\x1b[6C\x1b[?7h\x1b[0m\x1b[?12l"
    b"\x1b[?25h\x1b[6D\x1b[J\x1b[0m\x1b[?7h\x1b[?2004l\x1b[?7hprimary connected\r\n"
    b"\x1b[?2004h\x1b[?25l\x1b[0mspp >\x1b[5D\x1b[6C\x1b[?12l\x1b[?25h\x1b[?25l\x1b[?7l\x1b[6D\x1b[0m\x1b[J\x1b[0m"
    b"spp > status"
    b"\x1b[12D\x1b[0m\r\r\n\x1b[J\x1b[?7h\x1b[0m\x1b[?2004l- controller:\r\n"
)


def plain(raw: bytes, size: int = 1 << 16) -> bytes:
    text = PlainText()
    out = b"".join(text.feed(raw[i : i + size]) for i in range(0, len(raw), size))
    return out + text.end()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"plain\r\nlines\n", b"plain\nlines\n"),
        (b"\x1b[1m$ run\x1b[0m\r\n", b"$ run\n"),
        (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\n", b"ab\n"),
        (b"\x1b(B\x1b)0text\x1b#8\x1b7\x1b8\x1b=\n", b"text\n"),
        (b"10%\r50%\r100%\r\n", b"100%\n"),
        (b"long line\rshort\x1b[K\n", b"short\n"),
        (b"long line\rshort\n", b"shortline\n"),
        (b"typo\x08\x08os\n", b"tyos\n"),
        (b"ab\x1b[3Cc\n", b"ab   c\n"),
        (b"first\x1b[2;1Hsecond\n", b"first\nsecond\n"),
        (b"\x1b[2J\x1b[1;1HPort 0\n", b"Port 0\n"),
        (b"tab\there \xc3\xa4 \xff\n", b"tab\there \xc3\xa4 \xff\n"),
        (b"no end \x1b[1mof line", b"no end of line"),
        (b"\x1b[999999999C\n", b"\n"),
        (b"half an escape \x1b[", b"half an escape ["),
        (PROMPT, b"primary connected\nspp > status\n- controller:\n"),
    ],
)
def test_line_has_its_final_text_without_escapes(raw: bytes, message: bytes) -> None:
    assert plain(raw) == message
    assert plain(raw, 1) == message, "split anywhere"


def test_line_is_returned_when_it_is_complete() -> None:
    text = PlainText()
    assert text.feed(b"spp > \x1b[") == b"" and text.feed(b"31mx\r\ny") == b"spp > x\n" and text.end() == b"y"


def test_endless_line_is_returned_in_pieces() -> None:
    text = PlainText()
    out = b"".join(text.feed(b"x" * 65536) for _ in range(40))
    assert len(out) > 1 << 20 and len(out + text.end()) == 40 * 65536


WORDS = [b"\x1b", b"[", b"]", b"0", b"9" * 30, b";", *(bytes([c]) for c in b"CDGJKHPX@(\\\x07\r\n\x08\x00\xc3a")]


@given(st.lists(st.sampled_from(WORDS)))
def test_random_output_gives_plain_text(words: list[bytes]) -> None:
    raw = b"".join(words)
    out = plain(raw)
    assert out == plain(raw, 1) and b"\r" not in out and b"\x1b" not in out and b"\x08" not in out
