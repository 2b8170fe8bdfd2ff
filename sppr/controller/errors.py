"""The ways in which a request to the controller can fail. REST answers each with its own status code; the prompt prints
``line()``.
"""

from sppr.errors import ControlError, SpprError

#: The hint for a process that is not connected.
LIST_PROCESSES = "type status to list the connected processes"


class BadValue(ControlError):
    """An argument that no SPP process would understand. Nothing was sent. REST: 400."""


class NotConnected(ControlError):
    """The process is not connected, or disconnected before it answered. REST: 404."""


class NoAnswer(ControlError):
    """The process did not answer in time. Its connection was closed; it may connect again by itself. REST: 504."""


class Refused(ControlError):
    """The process answered with a failure. ``what``: the message of the process. REST: 400 ``command error: ...``."""


def line(error: SpprError) -> str:
    """Return ``error: ring:44 ... (hint)`` as one line, even if the message of the process has several."""
    text = f"error: {error.what}" + (f" ({error.hint})" if error.hint else "")
    return " ".join(text.split())
