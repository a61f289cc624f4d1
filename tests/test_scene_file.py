"""Scene files: lossless, and every damage one clear line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from heatmap.levels import AlarmLevel
from heatmap.memory import PARTS, Patches, SceneMemory
from tvad.classifier import N_CLASSES
from tvad.scene import MAX_BYTES, Looks, Scene, SceneError

ABOUT = {"preset": "größer", "clips": 2, "seconds": 12.5, "frames": 100, "fps": 8.0, "aspect": 16 / 9}


def stretch(seed: int) -> Patches:
    rng = np.random.default_rng(seed)
    count = 150
    return Patches(
        rng.normal(size=(count, 10)).astype(np.float32),
        rng.normal(size=(count, 4)).astype(np.float32),
        np.stack([np.arange(count), np.zeros(count), np.zeros(count)], 1).astype(np.int32),
    )


def make_scene(looks: int = 3) -> Scene:
    memory, _ = SceneMemory.fit([stretch(0), stretch(1)], [0, 1])
    alarm = AlarmLevel.of_peaks(np.random.default_rng(2).exponential(size=50))
    logits = np.random.default_rng(3).normal(size=(looks, N_CLASSES)).astype(np.float16)
    thing = np.minimum(np.arange(looks), 1)
    return Scene(
        memory, alarm, replace(alarm, start=-1 / 3), Looks(logits, thing, np.arange(looks) / 8.0, 12.5), dict(ABOUT)
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("scene") / "gate.scene.safetensors"
    make_scene().save(path)
    return path.read_bytes()


def header_of(data: bytes) -> dict[str, str]:
    return dict(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"])


def refused(tmp_path: Path, data: bytes) -> str:
    """The one line with which the file is refused."""
    path = tmp_path / "bad.scene.safetensors"
    path.write_bytes(data)
    with pytest.raises(SceneError) as error:
        Scene.load(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_loaded_scene_equals_the_saved_one(tmp_path: Path) -> None:
    scene, path = make_scene(), tmp_path / "new" / "gate.scene.safetensors"
    scene.save(path)
    back = Scene.load(path)
    assert back.about == ABOUT
    assert (back.frame_alarm, back.heat_alarm) == (scene.frame_alarm, scene.heat_alarm)
    assert back.looks.seconds == scene.looks.seconds
    for name in ("logits", "thing", "times_s"):
        assert np.array_equal(getattr(back.looks, name), getattr(scene.looks, name))
    assert np.array_equal(back.memory.appearance, scene.memory.appearance)
    assert np.array_equal(back.memory.motion, scene.memory.motion)


def test_loaded_scene_judges_as_the_saved_one_did(tmp_path: Path) -> None:
    scene, path = make_scene(), tmp_path / "gate.scene.safetensors"
    scene.save(path)
    for now, before in zip(
        Scene.load(path).memory.surprises(stretch(9)), scene.memory.surprises(stretch(9)), strict=True
    ):
        assert now == pytest.approx(before, abs=1e-3)


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "a").write_bytes(whole)
    Scene.load(tmp_path / "a").save(tmp_path / "b")
    assert (tmp_path / "b").stat().st_size == len(whole)
    again, first = load((tmp_path / "b").read_bytes()), load(whole)
    assert all(np.array_equal(again[name], first[name]) for name in first)
    assert header_of((tmp_path / "b").read_bytes()) == header_of(whole)


def test_scene_without_looks_comes_back(tmp_path: Path) -> None:
    make_scene(looks=0).save(tmp_path / "a")
    assert Scene.load(tmp_path / "a").looks.logits.shape == (0, N_CLASSES)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.99])
def test_truncated_file_is_refused(tmp_path: Path, whole: bytes, share: float) -> None:
    assert "not a scene file" in refused(tmp_path, whole[: int(share * len(whole))])


def test_file_with_something_appended_is_refused(tmp_path: Path, whole: bytes) -> None:
    assert "not a scene file" in refused(tmp_path, whole + b"more")


@pytest.mark.parametrize("data", [b"\0" * 64, b"\xff" * 64, b"%PDF-1.7\nhello\n" * 9], ids=["zeros", "ones", "pdf"])
def test_file_of_another_kind_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "tvad calibrate" in refused(tmp_path, data)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"kind": "other", "version": "1"}])
def test_other_safetensors_are_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    assert "'tvad-scene' version 1" in refused(tmp_path, save({"weight": np.zeros(3, np.float32)}, metadata))


def test_header_without_metadata_object_is_refused(tmp_path: Path) -> None:
    header = b'{"__metadata__":null}'
    assert "tvad calibrate" in refused(tmp_path, len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize("version", ["2", "0", "", "1.0"])
def test_other_versions_are_refused(tmp_path: Path, whole: bytes, version: str) -> None:
    text = refused(tmp_path, save(load(whole), header_of(whole) | {"version": version}))
    assert f"version {version!r}; this tvad reads" in text


@pytest.mark.parametrize("field", ["frame_alarm", "heat_alarm", "looks_s", "about"])
@pytest.mark.parametrize("value", [None, "", "{", "null", "[1, 2]", '{"start": 1}', "NaN", '"x"', "[" * 50_000])
def test_damaged_header_fields_are_refused(tmp_path: Path, whole: bytes, field: str, value: str | None) -> None:
    header = {k: v for k, v in header_of(whole).items() if k != field} | ({field: value} if value is not None else {})
    assert "damaged scene file" in refused(tmp_path, save(load(whole), header))


@pytest.mark.parametrize(
    "change",
    [{"scale": 0}, {"scale": -1}, {"scale": "1"}, {"rate_per_hour": float("inf")}, {"hours": "long"}, {"extra": 1}],
    ids=str,
)
def test_impossible_alarm_levels_are_refused(tmp_path: Path, whole: bytes, change: dict[str, Any]) -> None:
    header = header_of(whole)
    header["heat_alarm"] = json.dumps(json.loads(header["heat_alarm"]) | change)
    assert "damaged scene file" in refused(tmp_path, save(load(whole), header))


@pytest.mark.parametrize("change", [{"seconds": 0}, {"fps": "8"}, {"aspect": -1.0}, {"aspect": float("nan")}], ids=str)
def test_impossible_sources_are_refused(tmp_path: Path, whole: bytes, change: dict[str, Any]) -> None:
    about = json.dumps(ABOUT | change)
    assert "damaged scene file" in refused(tmp_path, save(load(whole), header_of(whole) | {"about": about}))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "name", ["projection.mean", "projection.axes", "appearance.bank", "tail.scales", "looks.logits"]
)
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, whole: bytes, name: str, value: float) -> None:
    tensors = load(whole)
    tensors[name] = tensors[name].copy()
    tensors[name].flat[0] = value
    assert "damaged scene file" in refused(tmp_path, save(tensors, header_of(whole)))


SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "projection.mean": lambda v: v[:-1],
    "projection.axes": lambda v: v[0],
    "appearance.bank": lambda v: v[: PARTS - 1],
    "motion.bank": lambda v: v[:, :, :3],
    "appearance.quantiles": lambda v: v[:-1],
    "motion.quantiles": lambda v: v[None],
    "tail.scales": lambda v: v[:1],
    "looks.logits": lambda v: v[:, :-1],
    "looks.thing": lambda v: v[:-1],
    "looks.times_s": lambda v: v[:-1],
}


@pytest.mark.parametrize("name", SHAPES)
def test_wrong_shapes_are_refused(tmp_path: Path, whole: bytes, name: str) -> None:
    tensors = load(whole)
    tensors[name] = np.ascontiguousarray(SHAPES[name](tensors[name]))
    assert "damaged scene file" in refused(tmp_path, save(tensors, header_of(whole)))


@pytest.mark.parametrize("name", SHAPES)
def test_flat_and_empty_and_single_tensors_are_refused(tmp_path: Path, whole: bytes, name: str) -> None:
    for value in (np.zeros((), np.float32), np.zeros(7, np.float32), np.zeros((0, 0, 0), np.float32)):
        assert "damaged scene file" in refused(tmp_path, save(load(whole) | {name: value}, header_of(whole)))


@pytest.mark.parametrize("name", ["appearance.bank", "motion.bank"])
def test_bank_without_patches_is_refused(tmp_path: Path, whole: bytes, name: str) -> None:
    tensors = load(whole)
    tensors[name] = np.ascontiguousarray(tensors[name][:, :0])
    assert "damaged scene file" in refused(tmp_path, save(tensors, header_of(whole)))


@pytest.mark.parametrize("name", SHAPES)
def test_missing_tensors_are_named(tmp_path: Path, whole: bytes, name: str) -> None:
    tensors = load(whole)
    del tensors[name]
    assert name in refused(tmp_path, save(tensors, header_of(whole)))


@pytest.mark.parametrize("name", ["appearance.bank", "looks.logits"])
def test_other_number_formats_are_refused(tmp_path: Path, whole: bytes, name: str) -> None:
    tensors = load(whole)
    tensors[name] = tensors[name].astype(np.float64)
    assert "damaged scene file" in refused(tmp_path, save(tensors, header_of(whole)))


def test_number_format_unknown_to_numpy_is_refused(tmp_path: Path, whole: bytes) -> None:
    tensors = load(whole)
    tensors["motion.bank"] = tensors["motion.bank"].astype(np.float16)
    data = save(tensors, header_of(whole))
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["motion.bank"]["dtype"] = "BF16"
    text = json.dumps(header).encode()
    assert "tvad calibrate" in refused(tmp_path, len(text).to_bytes(8, "little") + text + data[8 + size :])


@pytest.mark.parametrize(("name", "value"), [("tail.scales", 0), ("tail.scales", -1), ("appearance.quantiles", 1e6)])
def test_impossible_distributions_are_refused(tmp_path: Path, whole: bytes, name: str, value: float) -> None:
    tensors = load(whole)
    tensors[name] = tensors[name].copy()
    tensors[name][0] = value
    assert "the distance distribution is not one" in refused(tmp_path, save(tensors, header_of(whole)))


def test_too_large_a_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.scene.safetensors"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse: takes no room
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("was read"))
    with pytest.raises(SceneError, match="too large"):
        Scene.load(path)


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Scene.load(tmp_path / "none.scene.safetensors")


def test_failed_saving_leaves_the_old_file_and_nothing_else(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "gate.scene.safetensors"
    path.write_bytes(whole)
    with pytest.raises(TypeError):
        replace(make_scene(), about={"clips": {1, 2}}).save(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        make_scene().save(tmp_path / "folder")
    assert path.read_bytes() == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "gate.scene.safetensors"]
