"""Files that are read while somebody writes into them: those of MP4, which FFmpeg does not follow by itself."""

import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from tvad.video import VideoReader

COUNT, RATE = 75, 25
FRAGMENTED, HEADED, TRAILING = "frag_keyframe+empty_moov+default_base_moof", "faststart", ""
WAIT_S = 0.5


def made(path: Path, movflags: str) -> bytes:
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = {"g": "15", "preset": "ultrafast"}
        for n in range(COUNT):
            picture = np.full((64, 96, 3), 40 + 2 * n, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path.read_bytes()


def times_of(reader: VideoReader) -> list[float]:
    return [t for clip in reader for t in clip.times_s.tolist()]


@pytest.mark.parametrize("movflags", [FRAGMENTED, HEADED])
def test_an_mp4_that_begins_with_its_contents_is_read_as_it_grows(tmp_path: Path, movflags: str) -> None:
    data = made(tmp_path / "whole.mp4", movflags)
    growing = tmp_path / "growing.mp4"
    growing.write_bytes(data[: len(data) // 3])

    def write() -> None:
        for start in range(len(data) // 3, len(data), len(data) // 8):
            time.sleep(0.1)
            with growing.open("ab") as file:
                file.write(data[start : start + len(data) // 8])

    reader = VideoReader(growing, fps=None, wait_s=WAIT_S)
    writer = threading.Thread(target=write)
    writer.start()
    found = times_of(reader)
    writer.join()
    whole = VideoReader(tmp_path / "whole.mp4", fps=None)
    assert found == times_of(whole) and len(found) == COUNT
    assert reader.warnings == [] and not reader.grew
    assert reader.info.duration_s == whole.info.duration_s == COUNT / RATE


@pytest.mark.parametrize("movflags", [FRAGMENTED, HEADED, TRAILING])
def test_an_mp4_that_grows_no_more_is_read_as_any_other(tmp_path: Path, movflags: str) -> None:
    made(tmp_path / "whole.mp4", movflags)
    wanted = times_of(VideoReader(tmp_path / "whole.mp4", fps=None, start_s=1.6))
    assert times_of(VideoReader(tmp_path / "whole.mp4", fps=None, start_s=1.6, wait_s=WAIT_S)) == wanted
    assert wanted[0] == 1.6
