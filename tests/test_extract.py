"""`tvad extract`: a file of snippet features for each video."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import encode, number
from safetensors.torch import load_file, save_file
from test_towers import CHANNELS, SIDE, WIDTH, save_tower
from typer.testing import CliRunner

from training.datasets.weak import read_videos
from tvad.cli import app
from tvad.temporal.extract import (
    About,
    MiniExtractor,
    TowerExtractor,
    extract,
    is_done,
    load,
    middles,
    save,
    targets,
)
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
    assert CliRunner().invoke(app, none).exit_code == 4
    assert not (tmp_path / "none").exists()


def test_files_of_strangers_are_refused(tmp_path: Path) -> None:
    about = About("v.mp4", "mini", 25.0, 40)
    save(tmp_path / "nan.safetensors", np.array([[1.0, np.nan]]), about)
    save(tmp_path / "flat.safetensors", np.ones(3), about)
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("nan", "flat", "text", "missing"):
        with pytest.raises(ValueError, match=name):
            load(tmp_path / f"{name}.safetensors")


def test_videos_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    found = targets([Path("x/1.mp4"), Path("y/1.mp4"), Path("2.mp4")], tmp_path)
    assert [p.name for p in found] == ["x-1.safetensors", "y-1.safetensors", "2.safetensors"]
    with pytest.raises(ValueError, match="x-1"):
        targets([Path("x/1.mp4"), Path("z/x/1.avi")], tmp_path)


def test_plain_arrays_are_gone_on_with_too(videos: Path, tmp_path: Path) -> None:
    asked: list[Path] = []

    class Rows:
        made_by = "rows"

        def __call__(self, path: Path) -> np.ndarray:
            asked.append(path)
            return np.arange(6.0).reshape(3, 2)

    paths = [videos / "a.mp4", videos / "b.mp4"]
    files = list(extract(paths, tmp_path, Rows(), kind="npy"))
    assert [f.name for f in files] == ["a.npy", "b.npy"]
    np.testing.assert_array_equal(np.load(files[0]), np.arange(6.0).reshape(3, 2))
    features, about = load(files[0])
    assert features.dtype == np.float32 and (about.video, about.frames) == (str(paths[0]), 40)
    # Killed between the numbers and what made them, or while either was written: made again, and only that one.
    for harm in (lambda: files[0].with_suffix(".json").unlink(), lambda: files[0].write_bytes(b"\x93NUMPY")):
        asked.clear()
        harm()
        assert list(extract(paths, tmp_path, Rows(), kind="npy")) == files and asked == paths[:1]
    read = read_videos(_list_of(tmp_path, "a", "b"), tmp_path)
    assert [v.features for v in read] == [(files[0],), (files[1],)]
    with pytest.raises(ValueError, match=r"a\.npy is there already; write \.safetensors files into another folder"):
        list(extract(paths, tmp_path, Rows()))
    with pytest.raises(ValueError, match="format is 'csv'; choose one of safetensors, npy"):
        targets(paths, tmp_path, "csv")


def _list_of(folder: Path, *names: str) -> Path:
    (folder / "list.csv").write_text("video,label\n" + "".join(f"{name}.mp4,fire\n" for name in names))
    return folder / "list.csv"


# Vision models: tiny random ones of the real classes, saved as a person would have them.


def save_image_processor(folder: Path) -> None:
    said = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(said))


def tower(folder: Path, kind: str) -> tuple[Path, int]:
    """A model's folder, and the width of its features."""
    import transformers as hf

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    small |= {"image_size": SIDE, "patch_size": 8}
    if kind in ("clip", "siglip"):
        save_tower(folder, kind)
    elif kind == "dinov2":
        hf.Dinov2Model(hf.Dinov2Config(**small)).save_pretrained(folder)
    elif kind == "vit classifier":
        hf.ViTForImageClassification(hf.ViTConfig(**small)).save_pretrained(folder)
    elif kind == "resnet":
        hf.ResNetModel(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])).save_pretrained(folder)
    else:
        import timm

        timm.models.save_for_hf(timm.create_model("test_vit", num_classes=3), folder, safe_serialization=True)
        return folder, 64
    save_image_processor(folder)
    return folder, {"clip": WIDTH, "siglip": CHANNELS, "resnet": 12}.get(kind, 16)


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit classifier", "resnet", "timm"])
def test_any_vision_model_in_a_folder_makes_features(kind: str, videos: Path, tmp_path: Path) -> None:
    folder, width = tower(tmp_path / "model", kind)
    told = ["extract", str(videos), "-o", str(tmp_path / "out"), "--features", str(folder), "--format", "npy", "-q"]
    run = CliRunner().invoke(app, told)
    assert run.exit_code == 0, run.stderr
    features, about = load(tmp_path / "out" / "a.npy")
    assert features.shape == (3, width) and np.isfinite(features).all() and features.std(0).max() > 0
    assert about.made_by.endswith(" model")
    # Read again, the model says the same: nothing in it was drawn at random.
    again = TowerExtractor(folder)(videos / "a.mp4")
    np.testing.assert_array_equal(features, again.astype(np.float16).astype(np.float32))


def test_clips_features_are_its_image_embeddings(videos: Path, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, CLIPModel

    folder, _ = tower(tmp_path / "model", "clip")
    frames = next(middles(videos / "a.mp4"))
    clip, processor = CLIPModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        found = clip.get_image_features(**processor(images=list(frames), return_tensors="pt"))
    wanted = getattr(found, "pooler_output", found).numpy()
    np.testing.assert_allclose(TowerExtractor(folder)(videos / "a.mp4"), wanted, rtol=1e-4, atol=1e-5)


def test_what_is_no_vision_model_is_one_line(videos: Path, tmp_path: Path) -> None:
    folder, _ = tower(tmp_path / "half", "dinov2")
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layer.0" not in k}, folder / "model.safetensors", {"format": "pt"})
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "config.json").write_text('{"model_type": "bert"}')
    for given, code, said in (("half", 2, "the weights lack"), ("text", 2, "no vision model"), ("none", 4, "no model")):
        told = ["extract", str(videos), "-o", str(tmp_path / "out"), "--features", str(tmp_path / given), "-q"]
        run = CliRunner().invoke(app, told)
        assert run.exit_code == code and said in " ".join(run.stderr.replace("│", " ").split()), run.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("frames", "expected"), [(40, [8, 24, 39]), (16, [8]), (5, [4]), (33, [8, 24, 32])])
def test_middle_frames(tmp_path: Path, frames: int, expected: list[int]) -> None:
    path = encode(tmp_path / "v.mp4", frames)
    found: Iterator[np.ndarray] = middles(path)
    assert [number(f) for piece in found for f in piece] == expected
