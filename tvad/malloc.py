"""What the C library does with freed memory, where that is glibc; elsewhere nothing happens here.

glibc keeps freed pieces in a heap a thread, and large ones too once such a size was freed before: the memory of a
process that handles arrays of many sizes in several threads creeps up though nothing is held.  Next: tvad/spill.py
"""

import ctypes
from functools import cache
from typing import Any

ARENA_MAX, MMAP_THRESHOLD = -8, -3  # of mallopt (malloc.h)
ARENAS = 2
LARGE = 1 << 20  # bytes; such pieces go back to the system as soon as they are freed


def frugal() -> None:
    """From now on, for a process of our own: few heaps, and large pieces are not kept. Costs some time."""
    if (set_option := _function("mallopt")) is not None:
        set_option(ARENA_MAX, ARENAS)
        set_option(MMAP_THRESHOLD, LARGE)


def trim() -> None:
    """What is free goes back to the system."""
    if (give_back := _function("malloc_trim")) is not None:
        give_back(0)


@cache
def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
