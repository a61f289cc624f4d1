"""Damaged files give what can be decoded and a warning; what is no video is refused in one line; folders, images."""

import shutil
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import av
import clips
import cv2
import numpy as np
import pytest
from PIL import Image

from tvad import container, video
from tvad.video import VideoError, VideoReader, probe, sha256_of

Make = Callable[..., Path]
FRONT = {".mp4": {"movflags": "+faststart"}, ".mov": {"movflags": "+faststart"}}


def read(path: Path) -> tuple[list[int], np.ndarray, list[str]]:
    reader = VideoReader(path, fps=None)
    chunks = list(reader)
    numbers = [clips.number(f) for c in chunks for f in c.frames]
    return numbers, np.concatenate([c.times_s for c in chunks]), reader.warnings


def error_of(path: Path) -> str:
    """The one line that a person sees, whether opening or reading fails."""
    with pytest.raises(VideoError) as caught:
        list(VideoReader(path))
    said = str(caught.value)
    assert "\n" not in said and said.startswith(str(path))
    return said


def long_clip(make: Make, suffix: str) -> Path:
    options = {} if suffix in (".gif", ".mjpeg") else {"g": "20", "bf": "0"}
    return make(f"a{suffix}", count=100, options=options, mux=FRONT.get(suffix))


# Damage


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mjpeg"])
def test_a_cut_file_gives_its_first_part_and_a_warning(tiny_video: Make, suffix: str) -> None:
    path = long_clip(tiny_video, suffix)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    numbers, times, warnings = read(path)
    assert 30 <= len(numbers) < 90
    assert numbers[:30] == list(range(30)) and np.allclose(times[:30], np.arange(30) / 25, atol=2e-3)
    assert len(warnings) >= 1
    assert all("\n" not in w for w in warnings)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mjpeg"])
def test_overwritten_bytes_give_the_sound_part_and_a_warning(tiny_video: Make, suffix: str) -> None:
    path = long_clip(tiny_video, suffix)
    data = bytearray(path.read_bytes())
    at, length = int(len(data) * 0.7), len(data) // 8
    data[at : at + length] = np.random.default_rng(0).bytes(length)
    path.write_bytes(bytes(data))
    numbers, times, warnings = read(path)
    assert len(numbers) >= 30 and numbers[:30] == list(range(30))
    assert (np.diff(times) > 0).all() and warnings


def test_the_warning_says_where(tiny_video: Make) -> None:
    path = long_clip(tiny_video, ".mp4")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    _, times, warnings = read(path)
    said = next(w for w in warnings if "promises" in w)
    assert "4.0 s" in said
    assert abs(float(said.split("only ")[1].split(" s")[0]) - times[-1]) < 0.5


def test_warnings_are_of_one_reading(tiny_video: Make) -> None:
    path = long_clip(tiny_video, ".mkv")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    reader = VideoReader(path)
    list(reader)
    first = reader.warnings
    list(reader)
    assert reader.warnings == first


def test_a_cut_avi_keeps_its_rate(tiny_video: Make) -> None:
    path = long_clip(tiny_video, ".avi")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.4)])
    assert probe(path).fps == 25.0


def test_a_header_that_promises_centuries_is_not_believed(tiny_video: Make) -> None:
    path = tiny_video("a.avi", count=50)
    data = bytearray(path.read_bytes())
    scale_at = data.index(b"strh") + 28
    data[scale_at : scale_at + 8] = struct.pack("<II", 2**31 - 1, 1)  # seconds a frame: 3400 years in all
    path.write_bytes(data)
    numbers, times, _ = read(path)
    assert numbers == list(range(50))
    assert probe(path).duration_s == pytest.approx(2.0) and times[-1] < 2.0


def test_an_mp4_cut_before_its_index_is_refused(tiny_video: Make) -> None:
    path = tiny_video()
    path.write_bytes(path.read_bytes()[:2000])
    assert "damaged from its beginning" in error_of(path)


def test_no_frame_at_all(tiny_video: Make) -> None:
    path = tiny_video("a.mp4", mux={"movflags": "+faststart"})
    data = path.read_bytes()
    at = data.index(b"mdat") + 4
    path.write_bytes(data[:at] + bytes(len(data) - at))
    assert "no frame could be decoded" in error_of(path)


# Refusals


def test_a_missing_path(tmp_path: Path) -> None:
    assert "no such file" in error_of(tmp_path / "none.mp4")


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert "empty" in error_of(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.avi", "a.csv", "a"])
@pytest.mark.parametrize(
    "text", ["hello, this is no video\n" * 20, "\0" * 5000, "1\n00:00:01,000 --> 00:00:02,000\nhi\n"]
)
def test_text_and_noise(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert "not a video" in (said := error_of(tmp_path / name)) or "no video stream" in said


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_an_image_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no image")
    assert "not a readable image" in error_of(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n{0}\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n{0}\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile {0}\n"),
        ("a.mp4", "ffconcat version 1.0\nfile {0}\n"),
        (
            "a.mpd",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
            '<Representation id="0"><BaseURL>{0}</BaseURL></Representation></AdaptationSet></Period></MPD>',
        ),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_lists_of_other_files_are_refused_unopened(tiny_video: Make, tmp_path: Path, name: str, text: str) -> None:
    tiny_video("secret.ts")
    (tmp_path / name).write_text(text.format("secret.ts"))
    assert "list of other files" in (said := error_of(tmp_path / name)) or "not a video" in said


def test_sound_alone(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(8000))
    assert "no video stream" in error_of(tmp_path / "a.wav")
    with av.open(str(tmp_path / "a.mp4"), "w") as container_out:
        stream = container_out.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container_out.mux(stream.encode(sound))
        container_out.mux(stream.encode(None))
    assert "no video stream" in error_of(tmp_path / "a.mp4")


def test_a_folder_without_frames(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no frames")
    assert "no frames" in error_of(tmp_path)


def test_permission_denied(tiny_video: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal of the operating system is imitated: a test may run as root, who may read everything."""
    path = tiny_video()

    def refuse(*_: object, **__: object) -> None:
        raise av.error.PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(container.av, "open", refuse)
    assert error_of(path).endswith("permission denied")


def test_permission_denied_for_folders_and_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), clips.picture(0))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert error_of(image).endswith("permission denied")
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert error_of(tmp_path).endswith("permission denied")


@pytest.mark.parametrize("name", ["12:30 gate.mp4", "100%03d.mp4", "concat:a|b.mp4", "später 日本.mp4", "-i.mp4"])
def test_odd_names_are_only_names(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shutil.move(tiny_video(count=5), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert read(Path(name))[0] == list(range(5))


# Folders and images


def save(folder: Path, name: str, number: int, size_wh: tuple[int, int] = clips.SIZE_WH) -> None:
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), clips.picture(number, size_wh)[..., ::-1])


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for i in range(12):
        save(tmp_path / "frames", f"frame{i}.png", i)
    (tmp_path / "frames" / "notes.txt").write_text("left alone")
    (tmp_path / "frames" / ".hidden.png").write_text("left alone")
    numbers, times, warnings = read(tmp_path / "frames")
    assert numbers == list(range(12)) and np.allclose(times, np.arange(12) / 25)
    assert "25 frames/s" in warnings[0] and len(warnings) == 1
    reader = VideoReader(tmp_path / "frames", fps=None, start_s=0.2, end_s=0.28)
    assert [clips.number(f) for c in reader for f in c.frames] == [5, 6, 7]


def test_bad_frames_in_a_folder_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    for i in range(6):
        save(folder, f"{i}.png", i, clips.SIZE_WH if i < 4 else (48, 32))
    (folder / "2.png").write_text("broken")
    (folder / "3.png").unlink()
    (folder / "3.png").mkdir()
    numbers, times, warnings = read(folder)
    assert numbers == [0, 1, 4, 5] and np.allclose(times, np.array([0, 1, 4, 5]) / 25)
    assert len(warnings) == 3 and "2 files (2.png" in warnings[1] and "2 files (4.png" in warnings[2]


def test_the_hash_of_a_folder_depends_on_names_order_and_content(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "a", f"{i}.png", i)
        save(tmp_path / "b", f"{i}.png", i)
        save(tmp_path / "c", f"{i}.png", 2 - i)
    assert sha256_of(tmp_path / "a") == sha256_of(tmp_path / "b") != sha256_of(tmp_path / "c")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tiff", "a.webp", "a.ppm"])
def test_a_single_image_is_one_frame(tmp_path: Path, name: str) -> None:
    save(tmp_path, name, 5)
    numbers, times, warnings = read(tmp_path / name)
    assert numbers == [5] and times.tolist() == [0.0] and not warnings


def test_animated_images(tmp_path: Path) -> None:
    first, *others = [Image.fromarray(clips.picture(i)) for i in range(5)]
    first.save(tmp_path / "a.png", save_all=True, append_images=others, duration=40)
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=40, lossless=True)
    numbers, times, _ = read(tmp_path / "a.png")
    assert numbers == list(range(5)) and np.allclose(times, np.arange(5) / 25, atol=2e-3)
    numbers, _, warnings = read(tmp_path / "a.webp")
    assert numbers == [0] and "convert it" in warnings[0]


@pytest.mark.parametrize("channels", ["grey", "alpha", "16 bit"])
def test_images_of_other_depths(tmp_path: Path, channels: str) -> None:
    picture = clips.picture(9)[..., ::-1]
    if channels == "grey":
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    elif channels == "alpha":
        picture = np.dstack([picture, np.full(picture.shape[:2], 128, np.uint8)])
    else:
        picture = picture.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    reader = VideoReader(tmp_path / "a.png", fps=None)
    frame = next(iter(reader)).frames[0]
    assert clips.number(frame) == 9 and frame.shape == (64, 96, 3) and frame.dtype == np.uint8
    if channels != "grey":
        assert frame[-4, 4].tolist() == pytest.approx([200, 30, 30], abs=2)


def test_natural_order_is_the_same_in_any_directory_order() -> None:
    names = ["1.png", "01.png", "001.png", "a2.png", "a10.png", "10.png"]
    files = [Path(n) for n in names]
    backwards = files[::-1]
    assert sorted(files, key=video._natural) == sorted(backwards, key=video._natural)
    assert [f.name for f in sorted(files, key=video._natural)][-3:] == ["10.png", "a2.png", "a10.png"]


def test_the_start_of_a_video_error_is_the_path(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no such file"):
        probe(tmp_path / "x")


@pytest.mark.parametrize(
    "matrix", [(0, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0), (1, 1, 1, 1), (0, -1, 1, 0)]
)
def test_a_damaged_display_matrix_leaves_pictures_that_fit(tiny_video: Make, matrix: tuple[int, ...]) -> None:
    path = tiny_video("a.mp4", count=5)
    clips.rotate_flag(path, matrix)  # type: ignore[arg-type]
    reader = VideoReader(path)
    assert {c.frames.shape[1:3] for c in reader} == {(reader.info.height, reader.info.width)}


def test_a_count_of_frames_that_lies_is_measured(tiny_video: Make) -> None:
    path = tiny_video("a.mp4", count=24, fps=12)
    data = bytearray(path.read_bytes())
    runs = data.index(b"stts") + 8  # how many runs of frames, then (frames, ticks) of each
    assert int.from_bytes(data[runs + 4 : runs + 8], "big") == 24
    data[runs + 4 : runs + 8] = (0x7FFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    info = probe(path)
    assert info.fps == pytest.approx(12, rel=0.1)
    assert info.n_frames_hint == 24


def test_a_clock_that_leaps_hours_ahead_goes_on_from_where_it_was(tiny_video: Make) -> None:
    path = tiny_video("a.mkv", count=6, times_s=[0.0, 0.1, 0.2, 50_000.0, 50_000.1, 50_000.2])
    numbers, times, warnings = read(path)
    assert numbers == list(range(6))
    assert times[-1] < 1 and (np.diff(times) > 0).all()
    assert any("damaged" in warning for warning in warnings)


def test_a_pause_of_a_recording_stays_a_pause(tiny_video: Make) -> None:
    _, times, _ = read(tiny_video("a.mkv", count=4, times_s=[0.0, 0.1, 600.0, 600.1]))
    assert np.allclose(times, [0.0, 0.1, 600.0, 600.1], atol=2e-3)
