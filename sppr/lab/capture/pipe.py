"""Run ``spp_capture`` as a child: with a decoder behind it, or while this process serves the ports of guests."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sppr.run import find_program

#: Seconds that the decoder may take for the last frames.
DECODER_TIMEOUT = 10.0


def run(argv: Sequence[str], decode: Sequence[str] = ()) -> int:
    """Run ``argv`` until it ends or a signal arrives, and return its exit status. ``decode``: reads its output.

    Signals are passed on, once each, to the capture only; the decoder prints what is left. Both end if this process is
    killed.
    """
    words = [find_program("setpriv"), "--pdeathsig", "TERM", "--", *argv]
    output = subprocess.PIPE if decode else None
    with _in_group_of_its_own(words, output) as capture, _signals_to(capture):
        decoder = _start(decode, capture) if decode else None
        status = capture.wait()
        if decoder is not None:
            _finish(decoder)
    return status


def _in_group_of_its_own(words: Sequence[str], output: int | None) -> subprocess.Popen[bytes]:
    """Start a program that Ctrl-C does not reach by itself: a second SIGINT would end it before it has read all."""
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, process_group=0)


def _start(decode: Sequence[str], capture: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    decoder = subprocess.Popen(list(decode), stdin=capture.stdout, stderr=subprocess.DEVNULL, process_group=0)
    assert capture.stdout is not None
    capture.stdout.close()  # if the decoder ends, the capture does
    return decoder


def _finish(decoder: subprocess.Popen[bytes]) -> None:
    try:
        decoder.wait(DECODER_TIMEOUT)
    except subprocess.TimeoutExpired:
        decoder.kill()
        decoder.wait()


@contextmanager
def _signals_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass signals on to the child."""

    def pass_on(number: int, _frame: object) -> None:
        child.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, pass_on)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
