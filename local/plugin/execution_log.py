"""What TestInvokeMethod tells about a request; for others nobody keeps it."""

import time
from contextlib import contextmanager
from contextvars import ContextVar

_lines = ContextVar("the log of the request being tested", default=None)


@contextmanager
def kept():
    """The lines that are noted meanwhile."""
    lines = []
    token = _lines.set(lines)
    try:
        yield lines
    finally:
        _lines.reset(token)


def note(line):
    lines = _lines.get()
    if lines is not None:
        lines.append(f"{time.strftime('%a %b %d %H:%M:%S UTC %Y', time.gmtime())} : {line}")
