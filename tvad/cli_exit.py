"""How a command ends when it does not end well: one line on stderr and an exit code.

1 something failed, 2 wrong usage (typer's own), 3 the video cannot be read, 4 weights are missing, 130 interrupted.
"""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn, TypeVar

import typer

from tvad import cli_show
from tvad.weights import MissingWeights

T = TypeVar("T")
FAILED, WRONG_USAGE, UNREADABLE, NO_WEIGHTS = 1, 2, 3, 4


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn what a person can mend into one line and an exit code; a bug passes through to `report_bug`."""
    from tvad.scene import SceneError
    from tvad.video import VideoError

    try:
        yield
    except VideoError as error:
        stop(UNREADABLE, str(error))
    except SceneError as error:
        stop(WRONG_USAGE, str(error))
    except MissingWeights as error:
        stop(NO_WEIGHTS, str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        stop(FAILED, f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    except KeyboardInterrupt:
        cli_show.say("interrupted")
        raise


def stop(code: int, line: str) -> NoReturn:
    cli_show.say(f"tvad: {line}")
    raise typer.Exit(code)


def checked(value: Callable[[], T]) -> T:
    """`value()`, where a ValueError is wrong usage."""
    try:
        return value()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The excepthook: one line for what nobody foresaw; the traceback with TVAD_DEBUG=1."""
    if os.environ.get("TVAD_DEBUG"):
        traceback.print_exception(kind, error, trace)
    elif issubclass(kind, KeyboardInterrupt):
        cli_show.say("interrupted")
    else:
        line = " ".join(str(error).split())[:300]
        cli_show.say(f"tvad: a bug: {kind.__name__}: {line} (run with TVAD_DEBUG=1 for the traceback)")


def terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
