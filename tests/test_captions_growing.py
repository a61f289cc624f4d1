"""`tvad caption GROWING --follow` as a whole: a file that is written bit by bit while the command reads it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

PLAZA = Path(__file__).parent.parent / "examples" / "plaza.mp4"
ORDINARY = 200  # frames at the beginning of the example, before anything happens
LENGTH = 3400  # frames: the event, and more than the parts look ahead
STEPS = 60
PACKET = 188  # bytes


def written(path: Path) -> bytes:
    """The example and then its beginning to and fro, as a transport stream."""
    with av.open(str(PLAZA)) as source:
        pictures = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    to_and_fro = [*range(ORDINARY - 1, -1, -1), *range(ORDINARY)]
    order = [*range(len(pictures)), *to_and_fro * (LENGTH // len(to_and_fro))][:LENGTH]
    with av.open(str(path), "w", format="mpegts") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"g": "25", "preset": "ultrafast"}
        for n in order:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pictures[n], format="rgb24")))
        out.mux(stream.encode(None))
    return path.read_bytes()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_events_are_told_while_the_file_grows_and_the_end_is_that_of_the_whole(tmp_path: Path) -> None:
    data = written(tmp_path / "whole")
    camera, early = tmp_path / "cam.ts", tmp_path / "c.events.jsonl"
    camera.write_bytes(data[: len(data) // STEPS])
    how = ["--explain", "report", "--no-cache", "--format", "csv"]
    command = [sys.executable, "-m", "tvad", "caption", str(camera), *how]
    follow = ["--follow", "--settled", "15", "--idle", "5", "--workers", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.Popen([*command, "-o", str(tmp_path / "c.jsonl"), *follow], env=environment)
    told_at, at = None, len(data) // STEPS
    while at < len(data):
        late = at > 0.9 * len(data) and told_at is None  # slowly on, until the event is told
        more = 40 * PACKET if late else len(data) // STEPS
        with camera.open("ab") as file:
            file.write(data[at : at + more])
        at += more
        if told_at is None and lines(early):
            told_at = at
        assert run.poll() is None
        time.sleep(0.5)
    assert run.wait(300) == 0
    assert told_at is not None and told_at < len(data) == camera.stat().st_size
    (event,) = lines(early)
    assert event["event"]["category"] == "bicycle"  # type: ignore[index]
    subprocess.run(
        [*command, "-o", str(tmp_path / "w" / "c.jsonl"), "--workers", "1", "-q"], env=environment, check=True
    )
    for name in ("c.jsonl", "c.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "w" / name).read_bytes()
    (line,) = lines(tmp_path / "c.jsonl")
    assert line["video"]["duration_s"] == LENGTH / 25  # type: ignore[index]
