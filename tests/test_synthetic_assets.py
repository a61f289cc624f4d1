"""Cut-outs: outlines of what moves in a made clip, playing them, and who may be played by them."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.datasets.synthetic import assets as building
from training.datasets.synthetic.actors import Cast
from training.datasets.synthetic.actors.cutouts import Cutout, CutoutActor, away_from, recast
from training.datasets.synthetic.actors.cutting import Detector, Followed, Found, add, cut, frames_of
from training.datasets.synthetic.assets import Assets, build_assets, commonest, has_people, is_clean, is_steady
from training.datasets.synthetic.stage import Life, Play, Pose, State


def walker(seed: int = 0, heading: float = 0.0) -> Cutout:
    """A cut-out made of a drawn person."""
    actor = Cast().make("person", np.random.default_rng(seed))
    page = np.zeros((12, 130, 90, 4), np.uint8)
    for i in range(12):
        sprite = actor.draw(60, Pose("walk", i / 12, 0, heading, 0.2))
        y, x = 122 - round(sprite.foot[1]), 45 - round(sprite.foot[0])
        page[i, y : y + sprite.rgba.shape[0], x : x + sprite.rgba.shape[1]] = sprite.rgba
    return Cutout("person", page, (45, 122), 60, heading, 1.0, actor.colours, (0.4, 0.55, 1.72), "made", "CC0")


def life(heading: float, action: str = "walk", noun: str = "person", seed: int = 3) -> Life:
    actor = Cast().make(noun, np.random.default_rng(seed))
    actor.carried = ""
    return Life(actor, lambda t: State(t * math.cos(heading), 5 + t * math.sin(heading), 0, heading, action, 0.5, t))


def test_an_outline_is_found_and_the_ground_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    ground = np.clip(rng.normal(150, 5, (130, 90, 3)), 0, 255).astype(np.uint8)
    truth = walker(4).frames[3]
    share = truth[..., 3:] / 255
    crop = (ground * (1 - share) + truth[..., 2::-1] * share + rng.normal(0, 3, ground.shape)).clip(0, 255)
    solid = truth[..., 3] > 127
    rows, columns = np.nonzero(solid)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    found = cut(crop.astype(np.uint8), ground, tuple(float(v) for v in box))  # type: ignore[arg-type]
    assert found is not None
    own = found[..., 3] > 127
    assert (own & solid).sum() / (own | solid).sum() > 0.8
    assert is_clean(found[..., 3], tuple(float(v) for v in box), True)  # type: ignore[arg-type]
    assert cut(ground, ground, (20, 20, 60, 110)) is None


def test_rules_refuse_what_is_no_body() -> None:
    box = (10.0, 10.0, 40.0, 90.0)
    full = np.zeros((100, 50), np.uint8)
    full[10:90, 10:40] = 255
    assert not is_clean(full, box, True)  # a block
    assert not is_clean(np.zeros_like(full), box, True)
    half = full.copy()
    half[50:] = 0
    assert not is_clean(half, box, True)  # legs are missing
    alpha = walker().frames[..., 3]
    assert is_steady(alpha)
    torn = alpha.copy()
    torn[5] = 0
    assert not is_steady(torn)


def test_a_played_cutout_has_its_size_colours_and_both_directions() -> None:
    cutout = walker(1)
    actor = CutoutActor(cutout, np.random.default_rng(0))
    assert actor.noun == "person" and set(actor.colours) == {"upper", "lower"}
    for scale in (2, 20, 60, 200):
        sprite = actor.draw(scale, Pose("walk", 0.3, 0, 0.2, 0.3))
        rows = np.nonzero(sprite.rgba[..., 3].max(axis=1) > 100)[0]
        assert np.ptp(rows) + 1 == pytest.approx(actor.size_m[2] * scale, rel=0.15, abs=2)
        assert abs(rows[-1] - sprite.foot[1]) < 0.1 * scale + 2
    there = actor.draw(60, Pose("walk", 0.3, 0, 0.1, 0.3)).rgba
    back = actor.draw(60, Pose("walk", 0.3, 0, math.pi - 0.1, 0.3)).rgba
    assert np.array_equal(there, back[:, ::-1])
    frames = {actor.draw(60, Pose("walk", phase, 0, 0, 0.3)).rgba.tobytes() for phase in np.linspace(0, 0.95, 12)}
    assert len(frames) >= 8
    a, b = (actor.draw(60, Pose("stand", phase, 0, 0, 0.3)).rgba for phase in (0, 0.4))
    assert np.array_equal(a, b)
    with pytest.raises(ValueError, match="1 to 300"):
        actor.draw(0.1, Pose("walk", 0, 0, 0, 0))


def test_only_lives_that_a_cutout_can_play_are_recast() -> None:
    cutouts = [walker(0, 0.0)]

    def played(one: Life) -> bool:
        new = recast(Play((one,)), 4, cutouts, np.random.default_rng(0), share=1.0).lives[0]
        assert new.path is one.path and new.anomaly == one.anomaly
        return isinstance(new.actor, CutoutActor)

    assert played(life(0.3)) and played(life(math.pi - 0.3)) and played(life(0.0, "stand"))
    assert not played(life(math.pi / 2)) and not played(life(-math.pi / 2))
    assert not played(life(0.0, "run")) and not played(life(0.0, "fall")) and not played(life(0.0, "walk", "cyclist"))
    laden = life(0.0)
    laden.actor.carried = "backpack"
    assert not played(laden)
    turned = recast(Play((life(1.5),)), 4, cutouts, np.random.default_rng(0), 1.0, lambda x, y, h: h - 1.5)
    assert isinstance(turned.lives[0].actor, CutoutActor)


def test_a_cast_recasts_a_share_and_nothing_without_assets() -> None:
    play = Play(tuple(life(0.1, seed=k) for k in range(100)))
    assert Cast().recast(play, 4, np.random.default_rng(0)) is play
    cast = Cast(Assets((), (walker(),), ()))
    real = sum(isinstance(x.actor, CutoutActor) for x in cast.recast(play, 4, np.random.default_rng(0)).lives)
    assert 25 <= real <= 55


def test_backgrounds_with_people_are_told() -> None:
    assert has_people([Found("person", 0.3, (0, 0, 20, 60))], 400)
    assert has_people([Found("person", 0.7, (0, 0, 5, 10))], 400)
    assert not has_people([Found("person", 0.3, (0, 0, 5, 10)), Found("car", 0.9, (0, 0, 99, 99))], 400)


def test_headings_differ_around_the_circle() -> None:
    assert away_from(0.1, 2 * math.pi - 0.1) == pytest.approx(0.2)
    assert away_from(-math.pi, math.pi) == pytest.approx(0.0, abs=1e-9)


def test_the_commonest_colour_is_read_from_a_band() -> None:
    frames = np.zeros((2, 100, 20, 4), np.uint8)
    frames[:, :50] = (190, 30, 30, 255)
    frames[:, 50:] = (20, 20, 20, 255)
    assert commonest(frames, 0.1, 0.4) == "red" and commonest(frames, 0.6, 0.9) == "black"


def test_a_walk_across_a_made_clip_becomes_a_cutout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way from a clip to a folder and back; a stub tells where the walker is in place of the detector."""
    actor, rng = Cast().make("person", np.random.default_rng(12)), np.random.default_rng(1)
    ground = np.clip(rng.normal(140, 6, (120, 320, 3)), 0, 255).astype(np.uint8)
    folder = tmp_path / "data" / "street"
    folder.mkdir(parents=True)
    clip = cv2.VideoWriter(str(folder / "vtest.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 120))
    boxes: list[tuple[float, float, float, float]] = []
    for t in range(40):
        sprite, frame = actor.draw(42, Pose("walk", t / 11, 0, 0, 0.2)), ground.copy()
        y, x = 108 - round(sprite.foot[1]), 40 + 6 * t - round(sprite.foot[0])
        h, w = sprite.rgba.shape[:2]
        share = sprite.rgba[..., 3:] / 255
        frame[y : y + h, x : x + w] = frame[y : y + h, x : x + w] * (1 - share) + sprite.rgba[..., 2::-1] * share
        rows, columns = np.nonzero(sprite.rgba[..., 3] > 100)
        boxes.append((x + columns.min(), y + rows.min(), x + columns.max() + 1.0, y + rows.max() + 1.0))
        clip.write(frame)
    clip.release()

    def told(path: Path, background: np.ndarray, *rest: object) -> list[Followed]:
        found = Followed("person")
        for frame, box in zip(frames_of(path), boxes, strict=True):
            add(found, box, frame, background)
        return [found]

    class NoDetector:
        def __init__(self, onnx: Path) -> None:
            pass

        def __call__(self, frame: np.ndarray, least: float = 0.4) -> list[object]:
            return []

    monkeypatch.setattr(building, "follow", told)
    monkeypatch.setattr(building, "Detector", NoDetector)
    built = build_assets(tmp_path / "data", tmp_path / "out")
    known = json.loads((tmp_path / "out" / "assets.json").read_text())
    assert len(built.backgrounds) == 1 and built.backgrounds[0].rgb.shape == (120, 320, 3)
    assert np.abs(built.backgrounds[0].rgb[..., ::-1].astype(int) - ground).mean() < 8
    assert built.people and all(c["licence"] == "Apache-2.0" and "vtest" in c["source"] for c in known["cutouts"])
    one = built.people[0]
    assert away_from(one.heading, 0.0) < 0.2 and len(one.frames) >= 8 and one.cycles >= 1
    assert one.px_per_m * 1.72 == pytest.approx(42 * actor.size_m[2], rel=0.08)


def test_folders_without_clips_weights_or_assets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="yolox"):
        build_assets(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"synthetic\.assets"):
        Assets.load(tmp_path)


def test_only_clips_whose_licence_allows_it_are_sources() -> None:
    for source in building.SOURCES:
        assert "ped2" not in source.pattern and "ucf" not in source.pattern
        assert source.licence in ("Apache-2.0", "MIT", "CC BY 4.0", "CC0") and source.credit


@pytest.mark.data
def test_the_detector_finds_people_in_real_footage() -> None:
    data = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (data / "weights" / "yolox_nano.onnx").is_file():
        pytest.skip("../shared/data is not there")
    clip = cv2.VideoCapture(str(data / "street" / "vtest.avi"))
    found = Detector(data / "weights" / "yolox_nano.onnx")(clip.read()[1])
    assert sum(f.label == "person" for f in found) >= 2
