"""`--tower`: heat of a CLIP or SigLIP model in the analysis; tiny random models of the real classes, by the command."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import drawn_camera
import numpy as np
import pytest
from clips import encode
from test_towers import save_tower
from typer.testing import CliRunner

from heatmap.memory import smooth
from tvad import cache
from tvad.cli import app
from tvad.decoder_part import DecodedLevels
from tvad.encoder import Features
from tvad.evidence import Curves, Evidence
from tvad.parts import sigma_frames
from tvad.scene import Scene
from tvad.settings import Settings
from tvad.tower_part import EVERY_S, HeatTower, TowerPart
from tvad.video import Clip, VideoReader
from tvad.weights import MissingWeights

SHA = "0" * 64


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tower(tmp_path_factory.mktemp("tower") / "siglip", "siglip")


@pytest.fixture(scope="module")
def scene(tower: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrated with the tower for the words person and fire, by the command."""
    place = tmp_path_factory.mktemp("scene")
    clips = [str(drawn_camera.write(place / f"{i}.mp4", drawn_camera.frames(1.5, i))) for i in range(4)]
    out = place / "x.scene.safetensors"
    words = ["--tower", str(tower), "--anomaly", "fire", "--normal", "person", "--quiet"]
    found = CliRunner().invoke(app, ["calibrate", *clips, "-o", str(out), *words])
    assert found.exit_code == 0, found.output
    return out


def analysed(words: list[str], out: Path, video: Path) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["analyze", str(video), "-o", str(out), "--no-cache", "--quiet", *words])
    return found.exit_code, " ".join(found.output.replace("│", " ").split())


def test_heat_of_a_tower_goes_into_the_evidence_beside_the_scene(tower: Path, scene: Path, tmp_path: Path) -> None:
    video = drawn_camera.write(tmp_path / "new.mp4", drawn_camera.frames(2.0, 9))
    words = ["--tower", str(tower), "--anomaly", "fire", "--normal", "person", "--scene", str(scene)]
    code, said = analysed(words, tmp_path / "with", video)
    assert code == 0, said
    evidence = Evidence.load(tmp_path / "with" / "evidence.json")
    curves = Curves.load(tmp_path / "with" / "scores.npz")
    assert evidence.settings["parts"] == ["memory", "words", "falls", "decoder"]
    assert evidence.settings["tower"] == str(tower)
    # By hand: frames looked at every EVERY_S, straight lines between, what they mean from the scene.
    alarms = Scene.load(scene).decoder_alarms
    assert alarms is not None
    reader = VideoReader(video, 8.0, max_side=640)
    clips = list(reader)
    frames, times = np.concatenate([c.frames for c in clips]), np.concatenate([c.times_s for c in clips])
    looked = [0]
    for n, t in enumerate(times):
        if t - times[looked[-1]] >= EVERY_S - 1e-6:
            looked.append(n)
    assert len(looked) == 4
    level = HeatTower.load(tower, ("fire",), ("person",)).levels(frames[looked])
    cells = np.sort(level.reshape(len(level), -1), 1)
    top = cells[:, -int(np.ceil(0.01 * cells.shape[1])) :].mean(1)
    rarity = smooth(alarms.frame.rarity(np.interp(times, times[looked], top)), sigma_frames(times))
    x = np.interp(curves.times_s, times, rarity) / 6
    np.testing.assert_allclose(curves.parts["decoder"], 0.5 + 0.5 * x / (1 + np.abs(x)), atol=2e-3)
    code, said = analysed(["--scene", str(scene)], tmp_path / "without", video)
    assert code == 0, said
    assert "decoder" not in Curves.load(tmp_path / "without" / "scores.npz").parts


def test_a_tower_that_raises_an_alarm_heats_the_place(tower: Path, scene: Path, tmp_path: Path) -> None:
    video = drawn_camera.write(tmp_path / "new.mp4", drawn_camera.frames(2.0, 9))
    known = Scene.load(scene)
    assert known.decoder_alarms is not None
    level = known.decoder_alarms
    far = replace(level, frame=replace(level.frame, start=-500.0), heat=replace(level.heat, start=-500.0))
    replace(known, decoder_alarms=far).save(tmp_path / "far.scene.safetensors")
    words = ["--tower", str(tower), "--anomaly", "fire", "--normal", "person"]
    code, said = analysed([*words, "--scene", str(tmp_path / "far.scene.safetensors")], tmp_path / "out", video)
    assert code == 0, said
    evidence = Evidence.load(tmp_path / "out" / "evidence.json")
    curves = Curves.load(tmp_path / "out" / "scores.npz")
    assert evidence.events and "decoder" in evidence.events[0].raised_by
    wanted = HeatTower.load(tower, ("fire",), ("person",)).levels(next(iter(VideoReader(video, 8.0))).frames[:1])[0]
    rows, columns = (int(n) for n in np.unravel_index(wanted.argmax(), wanted.shape))
    heat = curves.heat[0].astype(float)
    h, w = heat.shape[0] / wanted.shape[0], heat.shape[1] / wanted.shape[1]
    inside = heat[int(rows * h) : int((rows + 1) * h), int(columns * w) : int((columns + 1) * w)]
    assert inside.max() == pytest.approx(heat.max(), abs=2e-3) and heat.max() > 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--anomaly", "fire", "--normal", "person"], "nobody has measured what the levels"),
        (["--anomaly", "bicycle", "--normal", "person", "--scene", "SCENE"], "calibrated with the words ['fire']"),
        (["--anomaly", "fire", "--normal", "person", "--scene", "SCENE", "--tower", "OTHER"], "with another model"),
        (["--tower", "nowhere"], "no model in 'nowhere'"),
    ],
)
def test_what_was_not_measured_is_refused_with_the_command(
    tower: Path, scene: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    other = save_tower(tmp_path / "other", "clip", side=40) if "OTHER" in words else tower
    named = {"SCENE": str(scene), "OTHER": str(other)}
    given = [named.get(word, word) for word in words]
    given += [] if "--tower" in words else ["--tower", str(tower)]
    video = encode(tmp_path / "a.mp4", count=12)
    code, told = analysed(given, tmp_path / "out", video)
    assert code == 2 and said in told, told
    assert "tvad calibrate" in told or "nowhere" in words
    assert not (tmp_path / "out").exists()


def test_the_cache_knows_the_tower(tower: Path) -> None:
    assert cache.analysis_key(SHA, Settings(tower=str(tower))) != cache.analysis_key(
        SHA, Settings(parts=("memory", "words", "head", "decoder"))
    )
    with pytest.raises(MissingWeights, match="--tower"):
        HeatTower.load(tower / "nowhere")


def test_a_scene_file_with_a_damaged_note_of_its_tower_is_refused(scene: Path, tmp_path: Path) -> None:
    known = Scene.load(scene)
    assert set(known.about["tower"]) == {"model", "anomaly", "normal"}
    replace(known, about=known.about | {"tower": json.loads("[1]")}).save(tmp_path / "x")
    with pytest.raises(ValueError, match="with which tower"):
        Scene.load(tmp_path / "x")


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_levels_come_in_order_whatever_the_pieces(kind: str, tmp_path: Path) -> None:
    heat = HeatTower.load(save_tower(tmp_path, kind), ("fire",), ("person",))
    rng = np.random.default_rng(0)
    frames, times = rng.integers(0, 255, (20, 48, 64, 3), dtype=np.uint8), np.arange(20) / 8 + 3

    def levels(pieces: list[int]) -> DecodedLevels:
        part, found = TowerPart(heat), []
        bounds = [0, *np.cumsum(pieces)]
        clips = (Clip(frames[a:b], times[a:b], "a.mp4") for a, b in pairwise(bounds))
        for clip in part.watch(clips):
            nothing = np.zeros((len(clip.frames), 6, 8, 0), np.float32)
            plain = np.zeros((len(clip.frames), 6, 8), np.float32)
            features = Features(nothing, nothing, plain, plain, np.zeros((len(clip.frames), 4)), clip.times_s, nothing)
            found += part.push(features)
        found += part.finish()
        return DecodedLevels(*(np.concatenate([getattr(f, k) for f in found]) for k in ("level", "frame", "times_s")))

    whole, pieces = levels([20]), levels([1, 2, 7, 1, 9])
    assert whole.level.shape == (20, 6, 8) and np.array_equal(whole.times_s, times)
    for name in ("level", "frame", "times_s"):
        np.testing.assert_allclose(getattr(whole, name), getattr(pieces, name), atol=1e-4)
