"""QEMU option strings. This alone knows that QEMU wants a comma inside a value doubled."""

from os import PathLike

Value = str | int | bool | PathLike[str]


def opts(*words: str, **values: Value | None) -> str:
    """``opts("socket", id="c0", path=p)`` -> ``socket,id=c0,path=…``. True is ``on``, False ``off``, None left out.

    A trailing or doubled ``_`` in a name keeps Python happy: ``if_`` is ``if``, ``memory_backend`` is
    ``memory-backend``.
    """
    parts = [_escape(word) for word in words]
    for name, value in values.items():
        if value is None:
            continue
        text = ("on" if value else "off") if isinstance(value, bool) else str(value)
        parts.append(f"{name.rstrip('_').replace('_', '-')}={_escape(text)}")
    return ",".join(parts)


def _escape(text: str) -> str:
    return text.replace(",", ",,")
