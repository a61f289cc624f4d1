"""Events of a file that is still being written: read to its end as it grows, told once, as they are found."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from chat_fakes import one_event

from chat.captions import early
from chat.captions.early import Early, EventLines
from chat.captions.engine import Look
from tvad.batch.inputs import item_of
from tvad.detector import Detector
from tvad.evidence import Evidence
from tvad.settings import Settings
from tvad.video import VideoReader, probe

FRAMES = 60


def write(path: Path, container: str) -> bytes:
    options = {"cluster_time_limit": "500"} if container == "matroska" else {}
    with av.open(str(path), "w", format=container, options=options) as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"g": "10"}
        for n in range(FRAMES):
            picture = np.full((48, 64, 3), 4 * n, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("container", ["mpegts", "matroska"])
def test_a_file_is_read_to_its_end_while_it_grows(tmp_path: Path, container: str) -> None:
    data = write(tmp_path / "whole", container)
    first = len(data) // 3 if container == "mpegts" else len(data) * 3 // 4  # whole clusters
    path = tmp_path / "growing"
    path.write_bytes(data[:first])

    def grow() -> None:
        for start in range(first, len(data), len(data) // 8):
            time.sleep(0.1)
            with path.open("ab") as file:
                file.write(data[start : start + len(data) // 8])

    writer = threading.Thread(target=grow)
    writer.start()
    reader = VideoReader(path, fps=None, wait_s=2.0)
    times = np.concatenate([clip.times_s for clip in reader])
    writer.join()
    assert len(times) == FRAMES and times[-1] == pytest.approx((FRAMES - 1) / 10, abs=0.02)
    assert reader.warnings == []
    assert reader.info == probe(path)  # as of the whole file, not of its beginning
    assert not reader.grew
    with path.open("ab") as file:
        file.write(b"more")
    assert reader.grew  # what was seen is not all of it


def test_what_came_after_the_end_was_reached_makes_it_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cam.ts"
    path.write_bytes(data := write(tmp_path / "whole", "mpegts"))
    detector = Detector.from_settings(Settings(parts=("words",)))
    conclude = Detector.conclude

    def late(self: Detector, reader: VideoReader, scan: object) -> object:
        path.write_bytes(data * 2)
        return conclude(self, reader, scan)  # type: ignore[arg-type]

    item = replace(item_of(str(path)), wait_s=0.3)
    look = Look(detector.settings, use_cache=False)
    assert look._looked(detector, item, Told(), None).key == item.key == item_of(str(path)).key
    monkeypatch.setattr(Detector, "conclude", late)
    assert look._looked(detector, item, Told(), None).key is None != item_of(str(path)).key


class Told:
    def __call__(self, done_s: float, total_s: float) -> None: ...
    def early(self, value: object) -> None: ...


def shown(start_s: float, end_s: float) -> Evidence:
    evidence = one_event()
    event = replace(evidence.events[0], start_s=start_s, peak_s=start_s, end_s=end_s)
    return replace(evidence, events=(event,))


def test_what_was_told_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "EVERY_S", 0.0)
    monkeypatch.setattr(early, "SHARE", 1e9)
    told: list[Evidence] = []
    looks = iter([shown(5, 8), shown(5, 8), shown(7, 9), shown(12, 13), shown(2, 4)])
    look = Early(lambda scan: next(looks), told.append)
    for _ in range(5):
        look(None)
    assert [evidence.events[0].start_s for evidence in told] == [5, 12, 2]


def test_lines_are_whole_and_each_once(tmp_path: Path) -> None:
    path, notes = tmp_path / "c.events.jsonl", list[str]()
    first = EventLines(path, notes.append)
    first(shown(5, 8))
    first(shown(5, 8))
    path.write_bytes(path.read_bytes() + b'{"schema_version": 1, "vid')  # killed here
    again = EventLines(path)
    again(shown(5, 8))
    again(shown(12, 13))
    said = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"]["start_s"] for line in said] == [5, 12] and len(notes) == 1
    assert said[0]["tracks"] and said[0]["schema_version"] == 1
