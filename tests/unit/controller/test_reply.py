"""Replies of every form SPP sends, whole and in pieces."""

import json

import pytest

from sppr.controller.server.reply import MAX_REPLY_SIZE, Reply, ReplyParser

STATUS = {
    "client-id": 1,
    "status": "idling",
    "ports": ["phy:0", "ring:4"],
    "patches": [{"src": "phy:0", "dst": "ring:4"}],
}
JSON = json.dumps(STATUS).encode()


def cut(command: str, *pieces: bytes) -> Reply | None:
    """Feed ``pieces``; only the last one may complete the reply."""
    parser = ReplyParser(command)
    for piece in pieces[:-1]:
        assert parser.feed(piece) is None, piece
    return parser.feed(pieces[-1])


@pytest.mark.parametrize("size", [1000, 2048, 32768])
def test_padded_json_is_complete(size: int) -> None:
    reply = cut("status", JSON.ljust(size, b"\0"))
    assert reply == Reply(JSON.decode(), STATUS)


def test_unpadded_json_is_complete_at_its_closing_brace() -> None:
    assert cut("status", *(JSON[i : i + 1] for i in range(len(JSON)))) == Reply(JSON.decode(), STATUS)


def test_padded_json_in_segments_is_complete() -> None:
    raw = JSON.ljust(32768, b"\0")
    reply = cut("status", raw[:7], raw[7:30], raw[30:])
    assert reply is not None
    assert reply.data == STATUS


def test_nuls_of_the_previous_reply_are_skipped() -> None:
    reply = cut("status", b"\0" * 30000, b"\0" * 5 + JSON)
    assert reply is not None
    assert reply.data == STATUS


def test_echo_of_one_word_is_complete() -> None:
    assert cut("forward", b"forward".ljust(1000, b"\0")) == Reply("forward", echo=True)


def test_echo_of_several_words_is_read_to_its_end() -> None:
    """Otherwise the next reply would start with ``reset``."""
    raw = b"patch\0reset".ljust(32768, b"\0")
    assert cut("patch reset", raw[:6], raw[6:8], raw[8:]) == Reply("patch reset", echo=True)


def test_text_that_starts_with_its_command_is_not_an_echo() -> None:
    """18.05: the reply to ``status`` begins with ``status``."""
    text = b"status: idling\nports: 'phy:0-ring:5'\n"
    assert cut("status", text[:6], text[6:].ljust(994, b"\0")) == Reply(text.decode().strip())


def test_bare_digits_are_complete() -> None:
    assert cut("_get_client_id", b"12".ljust(1000, b"\0")) == Reply("12")


def test_digits_without_nul_are_complete_after_silence() -> None:
    parser = ReplyParser("_get_client_id")
    assert parser.finish() is None
    assert parser.feed(b"12") is None
    assert parser.finish() == Reply("12")


def test_incomplete_json_is_never_complete_after_silence() -> None:
    parser = ReplyParser("status")
    assert parser.feed(JSON[:20]) is None
    assert parser.finish() is None


@pytest.mark.parametrize("raw", [b"{broken\0", b"[1, 2]\0", b"[" * 30000 + b"\0", b'{"a": "\xff"\0'])
def test_invalid_json_has_no_data(raw: bytes) -> None:
    reply = cut("status", raw)
    assert reply is not None
    assert reply.data is None


def test_endless_reply_is_an_error() -> None:
    parser = ReplyParser("status")
    with pytest.raises(ValueError, match="without an end"):
        for _ in range(MAX_REPLY_SIZE // 1000 + 1):
            parser.feed(b"x" * 1000)


@pytest.mark.parametrize(
    ("data", "failed", "words"),
    [
        ({"result": "succeeded", "command": "add"}, False, ""),
        ({"result": "success"}, False, ""),
        ({"result": "failed", "command": "add", "port": "ring:44"}, True, ""),
        ({"result": "error", "message": "no such rule"}, True, "no such rule"),
        ({"results": [{"result": "success"}]}, False, ""),
        (
            {"results": [{"result": "error", "error_details": {"message": "Invalid value (core)"}}]},
            True,
            "Invalid value (core)",
        ),
        (
            {"results": [{"result": "error", "error_details": {"message": "error occur", "reason": "no lcore 9"}}]},
            True,
            "error occur: no lcore 9",
        ),
        ({"results": []}, False, ""),
        ({"results": "x", "result": 3}, False, ""),
        ({"status": "idling"}, False, ""),
    ],
)
def test_reply_is_success_or_failure(data: dict[str, object], failed: bool, words: str) -> None:
    reply = Reply(json.dumps(data), data)
    assert (reply.failed, reply.reason()) == (failed, words)


def test_an_echo_without_nul_is_complete_after_a_silence() -> None:
    parser = ReplyParser("patch reset")
    assert parser.feed(b"patch\0reset") is None
    assert parser.finish() == Reply("patch reset", echo=True)
    parser = ReplyParser("patch reset")
    assert parser.feed(b"patch\0rese") is None
    assert parser.finish() == Reply("patch")


def test_a_list_is_complete_at_its_bracket() -> None:
    parser = ReplyParser("status")
    assert parser.feed(b"[1, 2") is None
    assert parser.finish() is None
    assert parser.feed(b"] \n") is None
    assert parser.feed(b"\0") == Reply("[1, 2]")


def test_json_may_end_with_blanks() -> None:
    assert cut("status", b'{"a": 1} \n') == Reply('{"a": 1}', {"a": 1})


def test_the_longest_reply() -> None:
    parser = ReplyParser("status")
    assert parser.feed(b"x" * MAX_REPLY_SIZE) is None
    with pytest.raises(ValueError):
        parser.feed(b"x")


def test_nul_is_skipped_only_before_the_text() -> None:
    parser = ReplyParser("status")
    assert parser.feed(b"X") is None
    assert parser.feed(b"\0") == Reply("X")
    assert ReplyParser("status").feed(b"\0X\0") == Reply("X")
