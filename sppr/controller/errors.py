"""How a request to the controller can fail. REST gives each kind its own status code, the prompt prints ``line()``."""

from sppr.errors import ControlError, SpprError


class BadValue(ControlError):
    """Something no SPP process would understand: nothing was sent. REST: 400."""


class NotConnected(ControlError):
    """The process asked for is not connected, or went away before it answered. REST: 404."""


class NoAnswer(ControlError):
    """The process did not answer in time; it was dropped, and may come back by itself. REST: 504."""


class Refused(ControlError):
    """The process answered that it failed; ``what`` holds its words. REST: 400 ``command error: ...``."""


def line(error: SpprError) -> str:
    """``error: ring:44 ... (what to do)``: one line, whatever the process said."""
    text = f"error: {error.what}" + (f" ({error.hint})" if error.hint else "")
    return " ".join(text.split())
