"""`tvad extract`: a file of snippet features for each video."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from clips import encode, number
from typer.testing import CliRunner

from tvad.cli import app
from tvad.temporal.extract import About, MiniExtractor, extract, file_names, is_done, load, middles, save
from tvad.temporal.snippets import DIM


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in (("a", 40), ("b", 16)):
        encode(folder / f"{name}.mp4", frames)
    return folder


def test_features_are_kept_and_not_made_again(videos: Path, tmp_path: Path) -> None:
    asked: list[Path] = []
    mini = MiniExtractor(1)

    class Counted:
        made_by = mini.made_by

        def __call__(self, path: Path) -> np.ndarray:
            asked.append(path)
            return mini(path)

    paths = [videos / "a.mp4", videos / "b.mp4"]
    files = list(extract(paths, tmp_path, Counted()))
    assert [f.name for f in files] == ["a.safetensors", "b.safetensors"] and asked == paths
    features, about = load(files[0])
    assert features.shape == (3, DIM) and features.dtype == np.float32
    assert (about.video, about.frames, about.snippet) == (str(paths[0]), 40, 16)
    np.testing.assert_array_equal(features, mini(paths[0]).astype(np.float16).astype(np.float32))
    files[1].write_bytes(files[1].read_bytes()[:-10])  # cut short: made again
    assert list(extract(paths, tmp_path, Counted())) == files and asked == [*paths, paths[1]]
    assert not is_done(files[0], "another way")


def test_what_cannot_be_read_is_left_out(videos: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    run = CliRunner().invoke(app, ["extract", str(broken), str(videos), "-o", str(tmp_path / "out"), "-q"])
    assert run.exit_code == 3 and "broken.mp4" in run.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.safetensors", "b.safetensors"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert CliRunner().invoke(app, ["extract", str(empty), "-o", str(tmp_path / "out")]).exit_code == 2
    none = ["extract", str(videos), "-o", str(tmp_path / "none"), "--features", str(empty)]
    assert CliRunner().invoke(app, none).exit_code != 0
    assert not (tmp_path / "none").exists()


def test_files_of_strangers_are_refused(tmp_path: Path) -> None:
    about = About("v.mp4", "mini", 25.0, 40)
    save(tmp_path / "nan.safetensors", np.array([[1.0, np.nan]]), about)
    save(tmp_path / "flat.safetensors", np.ones(3), about)
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("nan", "flat", "text", "missing"):
        with pytest.raises(ValueError, match=name):
            load(tmp_path / f"{name}.safetensors")


def test_videos_of_one_name_are_told_apart_by_their_folders() -> None:
    assert file_names([Path("x/1.mp4"), Path("y/1.mp4"), Path("2.mp4")]) == ["x-1", "y-1", "2"]
    with pytest.raises(ValueError, match="x-1"):
        file_names([Path("x/1.mp4"), Path("z/x/1.avi")])


@pytest.mark.parametrize(("frames", "expected"), [(40, [8, 24, 39]), (16, [8]), (5, [4]), (33, [8, 24, 32])])
def test_middle_frames(tmp_path: Path, frames: int, expected: list[int]) -> None:
    path = encode(tmp_path / "v.mp4", frames)
    found: Iterator[np.ndarray] = middles(path)
    assert [number(f) for piece in found for f in piece] == expected
