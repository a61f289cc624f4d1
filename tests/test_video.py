"""Video in: any container, true times, the picture as displayed, damage, refusals, bounded memory."""

import gc
from collections.abc import Callable
from pathlib import Path

import av
import clips
import cv2
import numpy as np
import pytest

from tvad import video
from tvad.video import VideoError, VideoReader, probe, sha256_of

Make = Callable[..., Path]
KEYS = {"g": "12", "bf": "2"}  # several key frames and reordered frames


def read(path: Path, **settings: object) -> tuple[list[int], np.ndarray, np.ndarray, list[str]]:
    """Numbers shown, times, frames and warnings."""
    settings.setdefault("fps", None)
    reader = VideoReader(path, **settings)
    chunks = list(reader)
    frames = np.concatenate([c.frames for c in chunks])
    return [clips.number(f) for f in frames], np.concatenate([c.times_s for c in chunks]), frames, reader.warnings


# Containers and pixels


@pytest.mark.parametrize("suffix", clips.CODECS)
def test_every_container_gives_every_frame_at_its_time(tiny_video: Make, suffix: str) -> None:
    path = tiny_video(f"a{suffix}")
    numbers, times, frames, warnings = read(path)
    assert numbers == list(range(30)) and not warnings
    assert np.allclose(times, np.arange(30) / 25, atol=1e-3)
    info = probe(path)
    assert (info.fps, info.width, info.height) == (25.0, 96, 64)
    assert info.duration_s == pytest.approx(1.2, abs=0.01)
    assert np.abs(frames[0].astype(int) - clips.picture(0)).mean() < (30 if suffix == ".gif" else 6)  # 256 colours


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [
        (".mkv", "ffv1", "gray"),
        (".mkv", "ffv1", "gray10le"),
        (".mkv", "ffv1", "yuv420p10le"),
        (".mkv", "ffv1", "yuv444p16le"),
        (".mkv", "ffv1", "bgra"),
        (".mkv", "libx265", "yuv420p10le"),
        (".webm", "libvpx-vp9", "yuva420p"),
        (".gif", "gif", "gray"),
        (".mov", "png", "rgba"),
        (".mov", "prores_ks", "yuva444p10le"),
    ],
)
def test_pixel_formats(tiny_video: Make, suffix: str, codec: str, pix_fmt: str) -> None:
    numbers, _, frames, _ = read(tiny_video(f"a{suffix}", count=4, codec=codec, pix_fmt=pix_fmt))
    assert numbers == [0, 1, 2, 3] and frames.dtype == np.uint8
    red, blue = frames[0][-8:, :16].mean((0, 1)), frames[0][-8:, -16:].mean((0, 1))
    if "gray" in pix_fmt:
        assert np.ptp(red) < 4 and np.ptp(blue) < 4
    else:
        assert red[0] > red[2] + 80 and blue[2] > blue[0] + 80


@pytest.mark.parametrize("size_wh", [(97, 65), (33, 99)])
def test_odd_sizes(tiny_video: Make, size_wh: tuple[int, int]) -> None:
    path = tiny_video("a.mkv", count=3, codec="ffv1", pix_fmt="yuv444p", size_wh=size_wh)
    numbers, _, frames, _ = read(path)
    assert numbers == [0, 1, 2] and frames.shape[1:3] == size_wh[::-1]
    assert read(path, max_side=49)[2].shape[1:3] == VideoReader(path, max_side=49).size_wh[::-1]


def test_larger_pictures_are_scaled_down_and_smaller_ones_never_up(tiny_video: Make) -> None:
    path = tiny_video(count=2)
    assert read(path, max_side=48)[2].shape == (2, 32, 48, 3)
    assert read(path, max_side=500)[2].shape == (2, 64, 96, 3)


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "mpeg2video"), (".mp4", "libx264")])
def test_interlaced_frames_are_blended_and_none_is_lost(tiny_video: Make, suffix: str, codec: str) -> None:
    options = {"flags": "+ildct+ilme"} if codec == "mpeg2video" else {"x264opts": "tff=1"}
    path = tiny_video(f"a{suffix}", codec=codec, options=options)
    with av.open(str(path)) as given:
        assert next(given.decode(video=0)).interlaced_frame
    numbers, times, _, warnings = read(path)
    assert numbers == list(range(30)) and not warnings
    assert np.allclose(times, np.arange(30) / 25, atol=1e-3)
    assert read(path, start_s=0.8)[0] == list(range(20, 30))


# (a, b, c, d): pixel (x, y) is shown at (a x + c y, b x + d y)
MATRICES = {
    "upright": (1, 0, 0, 1),
    "quarter right": (0, 1, -1, 0),
    "half": (-1, 0, 0, -1),
    "quarter left": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed the other way": (0, -1, -1, 0),
}


@pytest.mark.parametrize("name", MATRICES)
def test_the_picture_turns_as_the_file_says(tiny_video: Make, name: str) -> None:
    a, b, c, d = MATRICES[name]
    path = tiny_video(count=2)
    clips.rotate_flag(path, MATRICES[name])
    shown = clips.picture(1)
    y, x = np.mgrid[: shown.shape[0], : shown.shape[1]]
    at_y, at_x = b * x + d * y, a * x + c * y
    expected = np.zeros((np.ptp(at_y) + 1, np.ptp(at_x) + 1, 3), np.uint8)
    expected[at_y - at_y.min(), at_x - at_x.min()] = shown
    frame = read(path)[2][1]
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 6
    info = probe(path)
    assert (info.width, info.height) == (frame.shape[1], frame.shape[0])
    small = read(path, max_side=48)[2][1]
    assert np.abs(small.astype(int) - cv2.resize(expected, small.shape[1::-1], interpolation=cv2.INTER_AREA)).mean() < 9


def test_rotation_in_degrees_is_counter_clockwise(tiny_video: Make) -> None:
    path = tiny_video(count=2)
    clips.rotate_flag(path, MATRICES["quarter right"])
    assert probe(path).rotation == 270


# Times


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts", ".mov"])
def test_the_first_frame_is_at_zero_wherever_the_clock_starts(tiny_video: Make, suffix: str) -> None:
    path = tiny_video(f"a{suffix}", times_s=[5 + i * 0.04 for i in range(30)])
    numbers, times, _, warnings = read(path)
    assert numbers == list(range(30)) and not warnings
    assert np.allclose(times, np.arange(30) / 25, atol=2e-3)
    assert probe(path).duration_s == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate_keeps_the_true_times(tiny_video: Make, suffix: str) -> None:
    truth = [0, 0.04, 0.08, 0.5, 0.54, 1.9, 2.0, 2.04, 2.5, 4.0]
    path = tiny_video(f"a{suffix}", count=10, times_s=truth, options={"bf": "0"})
    numbers, times, _, warnings = read(path)
    assert numbers == list(range(10)) and not warnings
    assert np.allclose(times, truth, atol=2e-3)


def test_a_burst_in_a_slow_video_is_sampled_no_faster(tiny_video: Make) -> None:
    truth = [i * 0.25 for i in range(20)] + [5 + i * 0.01 for i in range(30)] + [5.5 + i * 0.25 for i in range(20)]
    path = tiny_video("a.mp4", count=70, times_s=truth, options={"bf": "0"})
    reader = VideoReader(path, fps=8)
    times = np.concatenate([c.times_s for c in reader])
    assert reader.rate_hz < 10
    assert ((times >= 5) & (times < 5.3)).sum() <= 4
    assert (times < 5).sum() >= 19


@pytest.mark.parametrize(
    ("source_fps", "fps", "step"),
    [(25, 8, 3), (10, 8, 1), (7, 8, 1), (25, None, 1), (24, 8, 3), (29.97, 8, 4), (30, 30, 1), (25, 1, 25)],
)
def test_sampling_takes_every_kth_frame(tiny_video: Make, source_fps: float, fps: float | None, step: int) -> None:
    path = tiny_video("a.mkv", count=60, fps=source_fps, options={"bf": "0"})
    numbers, times, _, _ = read(path, fps=fps)
    assert numbers == list(range(0, 60, step))
    assert np.allclose(times, np.arange(0, 60, step) / source_fps, atol=2e-3)
    assert VideoReader(path, fps=fps).rate_hz == pytest.approx(source_fps / step, rel=1e-3)


class Fake:
    """A source of numbered pictures at given times; nothing is decoded."""

    def __init__(self, times_s: np.ndarray, fps: float) -> None:
        self.info = video.VideoInfo("fake", float(times_s[-1]), fps, 8, 8, "none", 0, len(times_s))
        self.times_s = times_s
        self.warnings: list[str] = []

    def frames(self, start_s: float) -> object:
        return ((float(t), i) for i, t in enumerate(self.times_s))

    def picture(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray:
        return np.full((8, 8, 3), int(frame) % 251, np.uint8)


@pytest.mark.parametrize("rate", [25.0, 30000 / 1001, 50.0])
def test_sampling_does_not_drift_over_hours(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    count = 150_000
    times = np.round(np.arange(count) / rate, 3)  # a clock of milliseconds, as Matroska has
    monkeypatch.setattr(video, "_open", lambda path, wait_s: Fake(times, rate))
    reader = VideoReader("fake", fps=8, chunk=512, prefetch=False)
    sampled = np.concatenate([c.times_s for c in reader])
    assert np.array_equal(sampled, times[:: reader.step])


def test_memory_holds_a_few_clips_however_long_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.arange(20_000) / 25
    monkeypatch.setattr(video, "_open", lambda path, wait_s: Fake(times, 25.0))
    alive = []
    gc.collect()
    for i, _ in enumerate(VideoReader("fake", fps=25, chunk=16)):
        if i % 100 == 0:
            alive.append(sum(isinstance(o, video.Clip) for o in gc.get_objects()))
    assert i == 1249 and max(alive) <= 3


def test_source_times_are_those_of_all_frames_in_the_stretch(tiny_video: Make) -> None:
    reader = VideoReader(tiny_video(), fps=5, start_s=0.4, end_s=0.8)
    list(reader)
    assert np.allclose(reader.source_times_s, np.arange(10, 21) / 25)


def test_prefetching_changes_nothing(tiny_video: Make) -> None:
    path = tiny_video(count=50)
    ahead, plain = read(path, chunk=7), read(path, chunk=7, prefetch=False)
    assert ahead[0] == plain[0] and np.array_equal(ahead[1], plain[1]) and np.array_equal(ahead[2], plain[2])
    assert [len(c.times_s) for c in VideoReader(path, fps=None, chunk=20)] == [20, 20, 10]


# Start and end


@pytest.mark.parametrize("suffix", clips.CODECS)
def test_a_stretch_equals_that_part_of_the_whole(tiny_video: Make, suffix: str) -> None:
    options = {} if suffix in (".gif", ".mjpeg") else KEYS
    path = tiny_video(f"a{suffix}", count=80, options=options)
    numbers, times, frames, _ = read(path)
    inside = (times >= 2.13) & (times <= 2.8)
    part = read(path, start_s=2.13, end_s=2.8)
    assert part[0] == list(np.array(numbers)[inside]) and len(part[0]) == 17
    assert np.allclose(part[1], times[inside], atol=1e-9)
    assert np.array_equal(part[2], frames[inside])


@pytest.mark.parametrize(
    ("name", "mux"),
    [("a.mp4", {"movflags": "frag_keyframe+empty_moov"}), ("b.mkv", {"cues_to_front": "0"}), ("c.h264", {})],
)
def test_a_stretch_of_files_that_are_hard_to_seek(tmp_path: Path, name: str, mux: dict[str, str]) -> None:
    path = clips.encode(tmp_path / ("c.ts" if name == "c.h264" else name), count=80, options=KEYS, mux=mux)
    if name == "c.h264":  # no container at all: frames without times
        raw = tmp_path / name
        with av.open(str(path)) as given:
            raw.write_bytes(b"".join(bytes(p) for p in given.demux(video=0)))
        path = raw
    assert read(path)[0] == list(range(80))
    numbers, times, _, _ = read(path, start_s=2.2)
    assert numbers == list(range(55, 80)) and np.allclose(times, np.arange(55, 80) / 25, atol=2e-3)


def test_a_start_offset_and_a_stretch(tiny_video: Make) -> None:
    path = tiny_video("a.mkv", count=80, times_s=[7 + i * 0.04 for i in range(80)], options=KEYS)
    numbers, times, _, _ = read(path, start_s=2.0, end_s=2.2)
    assert numbers == [50, 51, 52, 53, 54, 55] and times[0] == pytest.approx(2.0, abs=2e-3)


def test_joined_streams_whose_clock_starts_anew_go_on(tiny_video: Make, tmp_path: Path) -> None:
    whole = tiny_video("a.ts", count=50).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(whole + whole)
    numbers, times, _, _ = read(path)
    assert (np.diff(times) > 0).all() and times[-1] == pytest.approx(100 / 25, abs=0.2)
    assert numbers[:50] == list(range(50)) and numbers[-1] == 49
    assert np.array_equal(read(path, start_s=3.0)[1], times[times >= 3.0])


def test_a_stretch_outside_the_video_is_an_error(tiny_video: Make) -> None:
    path = tiny_video()
    with pytest.raises(VideoError, match=r"ends before 9 s \(--start\)"):
        list(VideoReader(path, start_s=9))
    with pytest.raises(VideoError, match="before it starts"):
        VideoReader(path, start_s=1.0, end_s=0.5)


def test_real_clips_tell_equal_times_and_stretches(real_data: Path) -> None:
    path = real_data / "street" / "people_intel.mp4"
    reader = VideoReader(path, fps=4, start_s=20.0, end_s=21.0, max_side=96)
    times = np.concatenate([c.times_s for c in reader])
    assert not reader.warnings and 4 <= len(times) <= 6
    assert times[0] == pytest.approx(20.0, abs=0.1) and times[-1] <= 21.0


def test_hash_depends_on_content_only(tiny_video: Make, tmp_path: Path) -> None:
    path = tiny_video()
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    assert sha256_of(path) == sha256_of(copy)
    with pytest.raises(VideoError, match="cannot be read"):
        sha256_of(tmp_path / "none.mp4")
