"""Video out: whole or not at all, plays, right times and colours, odd sizes."""

from pathlib import Path

import av
import clips
import numpy as np
import pytest

from tvad import writer
from tvad.video import VideoReader
from tvad.writer import VideoWriter


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    chunks = list(VideoReader(path, fps=None))
    return np.concatenate([c.frames for c in chunks]), np.concatenate([c.times_s for c in chunks])


def write(path: Path, count: int = 10, fps: float = 25.0, size_wh: tuple[int, int] = clips.SIZE_WH) -> Path:
    with VideoWriter(path, fps, size_wh) as out:
        for i in range(count):
            out.write(clips.picture(i, size_wh))
    return path


@pytest.mark.parametrize("fps", [25.0, 8.3333, 30000 / 1001, 7.0, 1.0])
def test_what_was_written_reads_back_at_its_times(tmp_path: Path, fps: float) -> None:
    frames, times = read(write(tmp_path / "a.mp4", 20, fps))
    assert [clips.number(f) for f in frames] == list(range(20))
    assert np.allclose(times, np.arange(20) / fps, atol=1e-3)


def test_given_times_are_kept(tmp_path: Path) -> None:
    truth = [0.0, 0.12, 0.24, 1.5, 1.503, 4.0]
    with VideoWriter(tmp_path / "a.mp4", 8, clips.SIZE_WH) as out:
        for i, t in enumerate(truth):
            out.write(clips.picture(i), t)
    frames, times = read(tmp_path / "a.mp4")
    assert [clips.number(f) for f in frames] == list(range(6))
    assert np.allclose(times, truth, atol=1e-3)


def test_the_first_frame_is_at_zero(tmp_path: Path) -> None:
    """A late start is an empty edit: players show black until then."""
    with av.open(str(write(tmp_path / "a.mp4", 3))) as made:
        assert [frame.time for frame in made.decode(video=0)] == [0.0, 0.04, 0.08]


def test_a_browser_can_play_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    with av.open(str(path)) as made:
        stream = made.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frame = next(made.decode(stream))
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
        assert made.duration / av.time_base == pytest.approx(0.4, abs=0.05)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat"), "the index comes first: it plays while it loads"


def test_colours_come_back(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (255, 255, 255), (0, 0, 0), (200, 200, 30), (90, 90, 90)]
    with VideoWriter(tmp_path / "a.mp4", 5, (64, 48), crf=10) as out:
        for colour in colours:
            out.write(np.full((48, 64, 3), colour, np.uint8))
    frames, _ = read(tmp_path / "a.mp4")
    assert np.abs(frames.mean((1, 2)) - colours).max() < 5


@pytest.mark.parametrize("size_wh", [(97, 65), (96, 65), (97, 64), (1, 1), (3, 5)])
def test_odd_sizes_are_padded_not_stretched(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    picture = clips.picture(170, size_wh)
    with VideoWriter(tmp_path / "a.mp4", 25, size_wh, crf=10) as out:
        out.write(picture)
    frames, _ = read(tmp_path / "a.mp4")
    assert frames.shape[1:3] == (height + height % 2, width + width % 2)
    if width > 3:
        assert np.abs(frames[0, :height, :width].astype(int) - picture).mean() < 8
        if height % 2:
            assert np.abs(frames[0, height].astype(int) - frames[0, height - 1]).mean() < 8


def test_an_error_in_the_block_leaves_nothing_and_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, 25, clips.SIZE_WH) as out:
        out.write(clips.picture(0))
        raise KeyboardInterrupt
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_the_name_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 25, clips.SIZE_WH) as out:
        for i in range(5):
            out.write(clips.picture(i))
            assert not path.exists()
    assert path.exists() and [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.stat().st_mode & 0o044, "others may read it, as they may any file one writes"


def test_no_frame_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 25, clips.SIZE_WH):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("fps", "size_wh"), [(0, clips.SIZE_WH), (float("nan"), clips.SIZE_WH), (25, (0, 4))])
def test_a_rate_or_size_of_nothing_is_refused(tmp_path: Path, fps: float, size_wh: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="positive fps and size"):
        VideoWriter(tmp_path / "a.mp4", fps, size_wh)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_opening_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.av, "open", full)
    with pytest.raises(OSError, match="No space"):
        VideoWriter(tmp_path / "a.mp4", 25, clips.SIZE_WH)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((64, 97, 3), np.uint8), np.zeros((64, 96), np.uint8), np.zeros((64, 96, 3))]
)
def test_a_frame_of_another_kind_is_refused(tmp_path: Path, frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the video is"), VideoWriter(tmp_path / "a.mp4", 25, clips.SIZE_WH) as out:
        out.write(frame)
    assert list(tmp_path.iterdir()) == []


def test_a_path_without_a_folder_is_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("12:30 gate.mp4"), 3)
    assert len(read(Path("12:30 gate.mp4"))[0]) == 3


def test_times_that_do_not_increase_are_moved_by_the_least(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, clips.SIZE_WH) as out:
        for i, t in enumerate((0.0, 0.1, 0.1, 0.3)):
            out.write(clips.picture(i), t)
    frames, times = read(tmp_path / "a.mp4")
    assert [clips.number(f) for f in frames] == [0, 1, 2, 3] and (np.diff(times) > 0).all()
    assert np.allclose(times, (0.0, 0.1, 0.1, 0.3), atol=2e-3)
