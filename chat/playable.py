"""A video that a browser plays: the file itself where browsers can, else a copy in H.264.

The copy keeps every frame and its time, so that a second of the page is a second of the analysis.
Next: chat/board.py
"""

from collections.abc import Callable
from pathlib import Path

from tvad.video import VideoReader, probe
from tvad.writer import VideoWriter

# Suffix -> codecs that browsers play in it.
PLAYED: dict[str, frozenset[str]] = {
    ".mp4": frozenset({"h264", "av1", "vp9"}),
    ".m4v": frozenset({"h264"}),
    ".webm": frozenset({"vp8", "vp9", "av1"}),
}
MAX_SIDE_PX = 1280
# Matroska's Duration (RFC 9559, 5.1.2.10), eight or four bytes long; a browser's own recordings have none, and are hard
# to seek in.
DURATION = (b"\x44\x89\x88", b"\x44\x89\x84")
HEAD_BYTES = 4096


def is_playable(path: Path) -> bool:
    """Whether browsers play this file, and seek in it. VideoError when it cannot be read."""
    if probe(path).codec not in PLAYED.get(path.suffix.lower(), frozenset()):
        return False
    if path.suffix.lower() != ".webm":
        return True
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return any(mark in head for mark in DURATION)


def copy_playable(
    path: Path,
    out: Path,
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[float], object] = lambda share: None,
) -> None:
    """Write `out`, an mp4 that browsers play, at most 1280 px. tell: the share done, in [0, 1]. VideoError, OSError;
    Stopped leaves nothing."""
    reader = VideoReader(path, fps=None, max_side=MAX_SIDE_PX)
    with VideoWriter(out, reader.info.fps, reader.size_wh) as writer:
        first_s = None
        for clip in reader:
            for frame, t_s in zip(clip.frames, clip.times_s.tolist(), strict=True):
                first_s = t_s if first_s is None else first_s
                writer.write(frame, t_s - first_s)
            if stopped():
                raise Stopped("stopped")
            if reader.info.duration_s > 0 and first_s is not None:
                tell(min((clip.times_s[-1].item() - first_s) / reader.info.duration_s, 1.0))


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """The person who asked for it does not want it any more."""
