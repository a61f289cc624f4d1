"""tvad/outputs.py and tvad/stills.py: files that play, replace each other, and are whole or absent."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tvad import outputs
from tvad.evidence import Analysis, Curves, Event, Evidence, Motion, Track, TrackBox, VideoMeta
from tvad.outputs import Painter, Scene, write_outputs
from tvad.stills import MAX_POINTS, TIMELINE_WH_PX, draw_timeline, draw_trajectory

WIDTH, HEIGHT = 162, 90  # the overlay pads to even sizes
MOTION = Motion("moves slowly from the left to the right", "large", "right", "steady", False, False, 0.1, 0.2)


def level(k: int) -> int:
    return 40 + 4 * (k % 50)


def looks_like(frame: np.ndarray, k: int) -> bool:
    """Whether a drawn frame is frame k of `make_video`, by a part of the scene where nothing is drawn."""
    return abs(float(frame[5:20, 100:150].mean()) - level(k)) < 3


def make_video(path: Path, seconds: float = 4.0, fps: int = 10, size_wh: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A grey video whose frame k has the grey `level(k)`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"preset": "ultrafast", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
        for k in range(round(seconds * fps)):
            frame = np.full((size_wh[1], size_wh[0], 3), level(k), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_analysis(
    events: tuple[tuple[float, float], ...] = ((1.0, 2.0),), seconds: float = 4.0, **settings: Any
) -> Analysis:
    """A thing that walks from left to right over the whole clip; heat sampled five times a second."""
    times, heat_times = np.arange(round(seconds * 10)) / 10, np.arange(round(seconds * 5)) / 5
    boxes = tuple(TrackBox(float(t), (30.0 * t, 40.0, 30.0 * t + 19, 69.0), 0.9) for t in heat_times)
    track = Track(1, "bicycle", 0.8, "dark", boxes, ("left", "right"), MOTION, "left", None)
    heat = np.zeros((len(heat_times), 9, 16), np.float16)
    heat[:, 5, 3] = 0.9
    scores = np.full(len(times), 0.1, np.float32)
    found = []
    for i, (a, b) in enumerate(events, 1):
        found.append(Event(i, a, b, (a + b) / 2, 0.9, "bicycle", (1,)))
        scores[(times >= a) & (times <= b)] = 0.9
    evidence = Evidence(
        VideoMeta("clip.mp4", "0" * 64, seconds, 10.0, WIDTH, HEIGHT),
        "mini",
        {},
        {"start_s": None, "end_s": None, **settings},
        tuple(found),
        (track,),
        bool(found),
        0.9,
        "a bicycle",
    )
    return Analysis(evidence, Curves(times, scores, heat_times, heat, parts={"memory": scores / 2}))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4")


def decoded(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [f.to_ndarray(format="rgb24") for f in frames], [float(f.time) for f in frames]


def files_of(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


ALL_FILES = {"evidence.json", "scores.npz", "overlay.mp4", "timeline.png", "trajectory.png", "events/01.mp4"}


def test_everything_is_written(video: Path, tmp_path: Path) -> None:
    analysis = make_analysis()
    made = write_outputs(analysis, tmp_path / "out", video)
    assert set(made) == set(outputs.OUTPUTS)
    assert files_of(tmp_path / "out") == ALL_FILES
    assert Evidence.load(made["evidence"]) == analysis.evidence
    assert np.array_equal(Curves.load(made["scores"]).scores, analysis.curves.scores)
    assert Image.open(made["timeline"]).size == TIMELINE_WH_PX
    trajectory = np.asarray(Image.open(made["trajectory"]))
    assert trajectory.shape[1] == WIDTH and trajectory.shape[0] > HEIGHT


def test_overlay_plays(video: Path, tmp_path: Path) -> None:
    made = write_outputs(make_analysis(), tmp_path, video, which=["overlay"])
    assert set(made) == {"overlay"} and files_of(tmp_path) == {"overlay.mp4"}
    frames, times = decoded(made["overlay"])
    with av.open(str(made["overlay"])) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(container.duration) / 1e6 == pytest.approx(4.0, abs=0.15)
    assert len(frames) == 40
    assert np.allclose(np.diff(times), 0.1, atol=0.005) and times[0] == 0
    assert frames[0].shape[0] > HEIGHT and all(n % 2 == 0 for n in frames[0].shape[:2])
    assert all(looks_like(frame, k) for k, frame in enumerate(frames))


def test_overlay_of_the_analysed_stretch(video: Path, tmp_path: Path) -> None:
    made = write_outputs(make_analysis(start_s=1.0, end_s=2.95), tmp_path, video, which=["overlay"])
    frames, times = decoded(made["overlay"])
    assert len(frames) == 20 and times[0] == 0
    assert looks_like(frames[0], 10)


def test_fast_video_is_thinned_to_a_whole_share(tmp_path: Path) -> None:
    fast = make_video(tmp_path / "fast.mp4", seconds=2.0, fps=50)
    made = write_outputs(make_analysis(events=(), seconds=2.0), tmp_path / "out", fast, which=["overlay"])
    frames, times = decoded(made["overlay"])
    assert len(frames) == 50
    assert np.allclose(np.diff(times), 0.04, atol=0.002)
    assert looks_like(frames[7], 14)


def test_large_video_is_scaled(tmp_path: Path) -> None:
    large = make_video(tmp_path / "large.mp4", seconds=0.3, size_wh=(1920, 1080))
    analysis = make_analysis(events=(), seconds=0.4)
    meta = replace(analysis.evidence.video, width=1920, height=1080)
    analysis = Analysis(replace(analysis.evidence, video=meta), analysis.curves)
    frames, _ = decoded(write_outputs(analysis, tmp_path / "out", large, which=["overlay"])["overlay"])
    assert frames[0].shape[1] == 960 and len(frames) == 3


def test_event_clips_have_a_margin(video: Path, tmp_path: Path) -> None:
    analysis = make_analysis(events=((0.5, 1.0), (2.5, 3.0)))
    made = write_outputs(analysis, tmp_path, video, which=["events"])
    assert files_of(tmp_path) == {"events/01.mp4", "events/02.mp4"} and made["events"] == tmp_path / "events"
    first, times = decoded(tmp_path / "events/01.mp4")
    second, _ = decoded(tmp_path / "events/02.mp4")
    assert (len(first), len(second)) == (21, 25)  # 0.0 to 2.0 s; 1.5 s to the last frame at 3.9 s
    assert times[0] == 0
    assert looks_like(second[0], 15)


def test_again_replaces_and_removes_stale_clips(video: Path, tmp_path: Path) -> None:
    write_outputs(make_analysis(events=((0.5, 1.0), (2.5, 3.0))), tmp_path, video)
    (tmp_path / "events" / "mine.mp4").write_bytes(b"a person's own file")
    before = (tmp_path / "timeline.png").read_bytes()
    write_outputs(make_analysis(), tmp_path, video)
    assert files_of(tmp_path) == ALL_FILES | {"events/mine.mp4"}
    assert (tmp_path / "timeline.png").read_bytes() != before
    made = write_outputs(make_analysis(events=()), tmp_path, video)
    assert files_of(tmp_path) == ALL_FILES - {"events/01.mp4"} | {"events/mine.mp4"}
    assert Evidence.load(made["evidence"]).events == ()


def test_no_events_no_folder(video: Path, tmp_path: Path) -> None:
    write_outputs(make_analysis(), tmp_path, video, which=["events"])
    made = write_outputs(make_analysis(events=()), tmp_path, video, which=["events", "trajectory"])
    assert set(made) == {"trajectory"} and files_of(tmp_path) == {"trajectory.png"}
    assert not (tmp_path / "events").exists()


class BreakingReader(outputs.VideoReader):
    """Stops as Ctrl-C does, after the first chunk."""

    def __iter__(self) -> Iterator[Any]:
        yield from list(super().__iter__())[:1]
        raise KeyboardInterrupt


def test_interruption_leaves_nothing(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "VideoReader", BreakingReader)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(make_analysis(), tmp_path / "new", video)
    assert list(tmp_path.iterdir()) == []


def test_interruption_keeps_the_earlier_run(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_outputs(make_analysis(), tmp_path, video)
    before = {p: (tmp_path / p).read_bytes() for p in files_of(tmp_path)}
    monkeypatch.setattr(outputs, "VideoReader", BreakingReader)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(make_analysis(events=((2.0, 3.0),)), tmp_path, video)
    assert {p: (tmp_path / p).read_bytes() for p in files_of(tmp_path)} == before
    assert {p.name for p in tmp_path.iterdir()} == {"events", *(p for p in before if "/" not in p)}


def test_unknown_output_is_refused(video: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="overlays"):
        write_outputs(make_analysis(), tmp_path / "out", video, which=["overlays"])
    assert not (tmp_path / "out").exists()


def test_pictures_decode_only_what_they_need(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    paint: Callable[..., None] = outputs._Stills.offer
    monkeypatch.setattr(outputs._Stills, "offer", lambda self, f, t: (read.append(1), paint(self, f, t)))
    write_outputs(make_analysis(), tmp_path, video, which=["timeline", "trajectory"])
    assert 0 < len(read) <= 12


def test_progress_reaches_the_end(video: Path, tmp_path: Path) -> None:
    told: list[tuple[float, float]] = []
    write_outputs(make_analysis(), tmp_path, video, which=["overlay"], progress=lambda a, b: told.append((a, b)))
    done = [a for a, _ in told]
    assert done == sorted(done) and done[-1] == pytest.approx(told[-1][1], abs=0.2)


def test_scene_between_samples() -> None:
    scene = Scene(make_analysis())
    heat = scene.curves.heat.copy()
    heat[1] = 0
    scene.curves = replace(scene.curves, heat=heat)
    between, late = scene.heat(0.15), scene.heat(99.0)
    assert between is not None and between[5, 3] == pytest.approx(0.9 * 0.25, abs=1e-3)
    assert late is not None and late[5, 3] == pytest.approx(0.9, abs=1e-3)
    assert scene.boxes(0.5, (WIDTH, HEIGHT))[0].xyxy == pytest.approx((15.0, 40.0, 34.0, 69.0))
    assert scene.boxes(0.5, (2 * WIDTH, 2 * HEIGHT))[0].xyxy == pytest.approx((30.0, 80.0, 69.0, 139.0))
    assert scene.boxes(-0.2, (WIDTH, HEIGHT)) == [] == scene.boxes(4.5, (WIDTH, HEIGHT))
    assert scene.event(1.5) is not None and scene.event(2.1) is None


def test_track_is_not_drawn_in_a_long_gap() -> None:
    evidence, curves = make_analysis()
    box = evidence.tracks[0].boxes[0]
    track = replace(evidence.tracks[0], boxes=(box, replace(box, t_s=3.5)))
    scene = Scene(Analysis(replace(evidence, tracks=(track,)), curves))
    assert [len(scene.boxes(t, (WIDTH, HEIGHT))) for t in (0.0, 0.05, 1.7, 3.45, 3.5)] == [1, 1, 0, 1, 1]


def test_painted_frame_keeps_the_scene_in_its_corner() -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    picture = Painter(Scene(make_analysis()), (WIDTH, HEIGHT)).paint(frame, 3.5)
    changed = (picture[:HEIGHT, :WIDTH] != 100).any(axis=2)
    assert changed.any() and not changed[:20].any()
    ys, xs = np.nonzero(changed[:, :60])  # the hot cell, away from the box at this time
    assert abs(xs.mean() + 0.5 - 3.5 * WIDTH / 16) < WIDTH / 32
    assert abs(ys.mean() + 0.5 - 5.5 * HEIGHT / 9) < HEIGHT / 18


def test_timeline_of_any_length() -> None:
    analysis = make_analysis()
    frame = np.full((90, 160, 3), 200, np.uint8)
    plain = draw_timeline(analysis)
    assert plain.shape == (TIMELINE_WH_PX[1], TIMELINE_WH_PX[0], 3)
    assert (draw_timeline(analysis, [(1.5, frame)] * 6) != plain).any()
    empty = Curves(np.empty(0), np.empty(0, np.float32), np.empty(0), np.empty((0, 9, 16), np.float16))
    assert draw_timeline(Analysis(make_analysis(events=()).evidence, empty)).shape == plain.shape


def test_thinned_curve_keeps_a_single_peak() -> None:
    from tvad.stills import thinned

    values = np.zeros(10 * MAX_POINTS + 3, np.float32)
    values[12345] = 1
    times, thin = thinned(np.arange(len(values)) / 10, values)
    assert len(times) == len(thin) <= MAX_POINTS and thin.max() == 1
    assert abs(times[thin.argmax()] - 1234.5) < 2


def test_trajectory_shows_the_path_or_says_there_is_none() -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    drawn = draw_trajectory(make_analysis(), frame)
    columns = (drawn[:HEIGHT] != 100).any(axis=(0, 2))
    assert columns[12:130].all() and not columns[140:].any(), "from the first box to the last"
    nothing = draw_trajectory(make_analysis(events=()), frame)
    assert np.array_equal(nothing[:HEIGHT], frame) and (nothing[HEIGHT:] > 100).any()
