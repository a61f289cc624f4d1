"""The world and the renderer of the synthetic footage: cameras, places, masks, occlusion, determinism, files."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.datasets.synthetic import scripts
from training.datasets.synthetic.assets import Assets, Background
from training.datasets.synthetic.backdrop import Sun, paint
from training.datasets.synthetic.backdrop_materials import MATERIALS
from training.datasets.synthetic.backdrop_real import real_backdrop, real_place
from training.datasets.synthetic.backdrop_surfaces import Canvas, Face
from training.datasets.synthetic.camera import Camera, clipped
from training.datasets.synthetic.clip import MIN_PIXELS, SyntheticClip, make_clip, visible_spans, write_clip
from training.datasets.synthetic.conditions import Light, sample
from training.datasets.synthetic.layouts import LAYOUTS, SPLIT_LAYOUTS, split_of
from training.datasets.synthetic.layouts_place import Place
from training.datasets.synthetic.picture import Picture
from training.datasets.synthetic.stage import Life, Play, Pose, Sprite, State
from training.datasets.truth import ANOMALIES, ClipTruth

SMALL_WH = (320, 180)


def made(seed: int = 3, **wanted: object) -> SyntheticClip:
    return make_clip(seed, **({"seconds": 3.0, "size_wh": SMALL_WH} | wanted))  # type: ignore[arg-type]


@dataclass
class Post:
    """A plain red post of a person's size."""

    noun: str = "person"
    colours: dict[str, str] = field(default_factory=lambda: {"upper": "red", "lower": "red"})
    carried: str = ""
    size_m: tuple[float, float, float] = (0.5, 0.5, 1.8)
    pace: float = 1.3
    stride: float = 1.4

    def draw(self, px_per_m: float, pose: Pose) -> Sprite:
        h, w = max(1, round(1.8 * px_per_m)), max(1, round(0.5 * px_per_m))
        rgba = np.zeros((h, w, 4), np.uint8)
        rgba[...] = (220, 20, 20, 255)
        return Sprite(rgba, (w / 2, h))


def standing(x: float, y: float, z: float = 0.0, **more: object) -> Life:
    return Life(Post(), lambda t_s: State(x, y, z, 0.0, "stand", 0.0, 0.0), **more)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def bare() -> tuple[Place, Camera]:
    """A plaza with nothing on it, and a level-headed camera over it."""
    rng = np.random.default_rng(1)
    place = replace(LAYOUTS["plaza"](rng), faces=(), things=(), grounds=(), obstacles=(), lanes=(), slopes=())
    return place, Camera(SMALL_WH, 300.0, 0.0, -15.0, 6.0, 0.0, 0.35)


def pictured(place: Place, camera: Camera) -> Picture:
    rng = np.random.default_rng(0)
    backdrop = paint(place, camera, Sun(1.0, 0.8, 0.0, 1.0), rng)
    clear = replace(sample(rng, False), time="day", haze_m=math.inf, rain=False, infrared=False)
    return Picture(place, camera, backdrop, Light(clear, place, camera, rng))


cameras = st.builds(
    Camera,
    st.just((640, 360)),
    st.floats(250, 1500),
    st.floats(-20, 20),
    st.floats(-30, 0),
    st.floats(2.5, 9),
    st.floats(-0.9, 0.9),
    st.floats(0.1, 0.9),
    st.floats(-0.05, 0.05),
)


@settings(max_examples=40, deadline=None)
@given(cameras, st.floats(20, 620), st.floats(200, 355))
def test_ground_and_pixels_are_each_other_s_inverse(camera: Camera, x: float, y: float) -> None:
    (point,) = camera.ground(np.array([[x, y]]))
    if np.isfinite(point).all() and np.hypot(*(point - camera.centre[:2])) < 200:
        assert camera.pixel(*point) == pytest.approx((x, y), abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(cameras, st.floats(-0.3, 0.3), st.floats(4, 60))
def test_scale_is_that_of_a_metre_across_the_view(camera: Camera, aside: float, away: float) -> None:
    at = camera.centre[:2] + away * np.array([-math.sin(camera.yaw + aside), math.cos(camera.yaw + aside)])
    right = camera.axes[0]
    (a, b), depth = camera.project(np.array([[*at, 0.0], np.array([*at, 0.0]) + right]))
    if depth.min() > 0.5:
        assert np.hypot(*(b - a)) == pytest.approx(camera.px_per_m(*at), rel=0.05)


def test_what_is_twice_as_deep_is_half_as_large() -> None:
    camera = Camera((640, 360), 500.0, 0, 0, 5.0, 0.0, 0.3)
    near, far = (camera.centre + depth * camera.axes[2] for depth in (8.0, 16.0))
    assert camera.px_per_m(*near) == pytest.approx(2 * camera.px_per_m(*far))


@settings(max_examples=40, deadline=None)
@given(cameras, st.floats(-30, 30), st.floats(1, 40), st.floats(-3, 3))
def test_seen_headings(camera: Camera, x: float, y: float, heading: float) -> None:
    away = math.atan2(y - camera.y, x - camera.x)
    assert camera.seen_heading(x, y, away) == pytest.approx(math.pi / 2)
    turned = camera.seen_heading(x, y, heading + 0.5) - camera.seen_heading(x, y, heading)
    assert turned == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(cameras)
def test_the_seen_ground_is_in_the_picture_and_the_rest_is_not(camera: Camera) -> None:
    seen = camera.view(40.0)
    assume(np.hypot(*(camera.ground(np.array([[320.0, 360.0]]))[0] - camera.centre[:2])) < 30)
    middle = seen.mean(0)
    for corner in seen:
        inner, outer = middle + 0.97 * (corner - middle), middle + 1.1 * (corner - middle)
        x, y = camera.pixel(*inner)
        assert -1 <= x <= 641 and -1 <= y <= 361
        if camera.distance(*outer) > 1 and np.hypot(*(outer - camera.centre[:2])) < 39:
            x, y = camera.pixel(*outer)
            assert not (1 < x < 639 and 1 < y < 359)


def test_clipping_keeps_what_is_inside() -> None:
    window = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
    assert clipped(np.array([[-1, 0.5], [3, 0.5], [3, 1.5], [-1, 1.5]]), window)[:, 0].tolist() == pytest.approx(
        [0, 2, 2, 0]
    )
    assert not len(clipped(np.array([[3, 3], [4, 3], [4, 4]], float), window))


def test_splits_share_no_layout_and_cover_all() -> None:
    names = [name for split in SPLIT_LAYOUTS.values() for name in split]
    assert len(names) == len(set(names)) and set(names) == set(LAYOUTS)
    assert len(LAYOUTS) >= 14 and len(SPLIT_LAYOUTS["test"]) >= 3 and len(SPLIT_LAYOUTS["validation"]) >= 2
    assert {split_of(name) for name in SPLIT_LAYOUTS["test"]} == {"test"}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_can_be_walked_entered_and_painted(name: str) -> None:
    place = LAYOUTS[name](np.random.default_rng(4))
    camera = Camera.aimed(place.view, SMALL_WH, np.random.default_rng(5))
    assert 2.5 <= camera.height <= 9
    layout = place.layout(camera)
    assert layout.walkable and layout.entrances and layout.name == name
    x0, y0, x1, y1 = layout.extent
    assert x1 - x0 > 2 and y1 - y0 > 2
    backdrop = paint(place, camera, Sun(1.0, 0.8, 0.7, 1.5), np.random.default_rng(6))
    assert backdrop.rgb.shape == (180, 320, 3) and backdrop.rgb.std() > 8
    assert backdrop.is_ground.mean() > 0.1 and np.isfinite(backdrop.place).all()


def test_people_are_small_in_some_places_and_large_in_others() -> None:
    tall = []
    for name, layout in LAYOUTS.items():
        place = layout(np.random.default_rng(len(name)))
        camera = Camera.aimed(place.view, (640, 360), np.random.default_rng(7))
        middle = camera.ground(np.array([[320.0, 250.0]]))[0]
        tall.append(1.7 * camera.px_per_m(*middle))
    assert 15 < min(tall) < 60 and max(tall) > 100


def test_a_mirrored_place_is_the_same_place_seen_in_a_mirror() -> None:
    place = LAYOUTS["office"](np.random.default_rng(2))
    again = place.mirrored().mirrored()
    assert again.walkable == place.walkable and again.spots == place.spots
    for face, back in zip(place.faces, again.faces, strict=True):
        assert np.allclose(face.corners, back.corners) and np.allclose(face.normal, back.normal)
    for face, turned in zip(place.faces, place.mirrored().faces, strict=True):
        assert np.allclose(face.corners * (-1, 1, 1), turned.corners)
        assert np.allclose(face.normal * (-1, 1, 1), turned.normal)


def test_the_nearer_surface_hides_the_farther_one_in_either_order() -> None:
    camera = Camera(SMALL_WH, 300.0, 0, 0, 3.0, 0.0, 0.1)

    def wall(y: float, name: str) -> Face:
        plain = replace(
            MATERIALS["white wall"], rgb=(200, 0, 0) if name == "near" else (0, 0, 200), grain=0, blotches=0
        )
        return Face((-2, y, 0), (1, 0, 0), (0, 0, 1), ((0, 0), (4, 0), (4, 4), (0, 4)), plain)

    for order in (("near", "far"), ("far", "near")):
        canvas = Canvas(camera)
        for name in order:
            canvas.paint(wall(8.0 if name == "near" else 12.0, name), 1.0, np.random.default_rng(0))
        assert canvas.rgb[90, 160].tolist() == [200, 0, 0]
        assert canvas.depth[90, 160] == pytest.approx(8.0)


def test_an_actor_behind_an_obstacle_loses_pixels_and_one_before_it_none() -> None:
    place, camera = bare()
    post = replace(MATERIALS["dark"], cell=None)
    screen = Face((-1.5, 3.0, 0.0), (1, 0, 0), (0, 0, 1), ((0, 0), (3, 0), (3, 1.0), (0, 1.0)), post)
    picture = pictured(replace(place, faces=(screen,)), camera)
    free = pictured(place, camera)
    for y, hidden in ((3.8, True), (1.0, False)):
        lives = [standing(0.0, y)]
        behind, alone = (np.count_nonzero(p.draw(lives, 0.0)[1]) for p in (picture, free))
        assert alone > 50
        assert (0 < behind < 0.8 * alone) if hidden else behind == alone


def test_the_nearer_actor_hides_the_farther_one() -> None:
    place, camera = bare()
    picture = pictured(place, camera)
    _, alone, _ = picture.draw([standing(0.0, 6.0)], 0.0)
    _, ids, shown = picture.draw([standing(0.0, 6.0), standing(0.1, 4.5)], 0.0)
    assert shown[1].pixels == np.count_nonzero(alone)
    assert 0 < np.count_nonzero(ids == 1) < np.count_nonzero(alone)
    _, swapped, _ = picture.draw([standing(0.1, 4.5), standing(0.0, 6.0)], 0.0)
    assert np.array_equal(np.where(ids == 0, 0, 3 - ids), swapped)


def test_shadows_are_no_part_of_the_mask() -> None:
    place, camera = bare()
    rng = np.random.default_rng(0)
    sunny = replace(sample(rng, False), time="day", rain=False, haze_m=math.inf, sun=Sun(0.0, 0.6, 1.0, 1.0))
    backdrop = paint(place, camera, sunny.sun, rng)
    picture = Picture(place, camera, backdrop, Light(sunny, place, camera, rng))
    frame, ids, _ = picture.draw([standing(0.0, 2.0)], 0.0)
    darker = frame.sum(2).astype(int) < picture.base.sum(2).astype(int) - 30
    assert np.count_nonzero(darker & (ids == 0)) > 30
    assert np.all(frame[ids == 1][:, 0] > 100)


def test_who_is_up_on_something_is_drawn_higher() -> None:
    place, camera = bare()
    picture = pictured(place, camera)
    rows = [np.flatnonzero(picture.draw([standing(0.0, 4.0, z)], 0.0)[1].any(1)).max() for z in (0.0, 1.0)]
    assert rows[1] < rows[0]


def frames_of(clip: SyntheticClip) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(clip.frames())


def test_the_same_seed_gives_the_same_clip() -> None:
    clip, twin = made(5), made(5)
    first, again = frames_of(clip), frames_of(twin)
    assert all(np.array_equal(a, b) and np.array_equal(i, j) for (a, i), (b, j) in zip(first, again, strict=True))
    assert clip.truth == twin.truth
    # Drawing a second time changes nothing.
    assert np.array_equal(next(clip.frames())[0], first[0][0])
    assert not np.array_equal(next(made(4).frames())[0], first[0][0])


def clips() -> Iterator[SyntheticClip]:
    yield made(14, layout="side street", anomaly="jaywalking", split="test")
    yield made(12, layout="walkway", anomaly="cycling")
    yield made(13, layout="office", anomaly=None)


@pytest.mark.parametrize("number", range(3))
def test_boxes_and_spans_agree_with_the_ids(number: int) -> None:
    clip = list(clips())[number]
    drawn = frames_of(clip)
    truth = clip.truth
    at = {round(t, 6): ids for t, (_, ids) in zip(clip.times_s, drawn, strict=True)}
    assert truth.targets
    known = {target.id for target in truth.targets}
    for target in truth.targets:
        assert set(target.times_s) <= set(at)
        for t_s, box, seen in zip(target.times_s, target.boxes, target.seen, strict=True):
            own = at[t_s] == target.id
            assert np.count_nonzero(own) >= MIN_PIXELS
            rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
            assert box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            assert 0 < seen <= 1
        for t_s, ids in at.items():
            if t_s not in target.times_s:
                assert np.count_nonzero(ids == target.id) < MIN_PIXELS
        assert all(0 <= a <= b <= clip.seconds for a, b in target.anomalous_s)
        assert (target.anomaly is None) == (not target.anomalous_s)
    for t_s, ids in at.items():
        assert {i for i in np.unique(ids).tolist() if i and np.count_nonzero(ids == i) >= MIN_PIXELS} <= known
        inside = any(a - 1e-5 <= t_s <= b + 1e-5 for target in truth.anomalous for a, b in target.anomalous_s)
        assert inside or not truth.mask(ids, t_s).any()
    if number == 2:
        assert not truth.has_anomaly
    else:
        assert truth.has_anomaly and any(truth.mask(ids, t).any() for t, ids in at.items())


def test_anomalous_stretches_end_where_nothing_is_seen_any_more() -> None:
    assert visible_spans(((0.0, 9.0),), [2.0, 2.1, 5.0]) == ((2.0, 5.0),)
    assert visible_spans(((0.0, 1.0),), [2.0]) == ()


def test_some_clips_are_ordinary_and_some_are_not() -> None:
    share = np.mean([any(life.anomaly for life in made(s).play.lives) for s in range(100, 109)])
    assert 0.2 <= share <= 0.8


@pytest.mark.parametrize("anomaly", ANOMALIES)
def test_every_anomaly_can_happen_somewhere_for_training_and_somewhere_for_the_test(anomaly: str) -> None:
    for split in ("train", "test"):
        found = False
        for name in SPLIT_LAYOUTS[split]:
            place = LAYOUTS[name](np.random.default_rng(1))
            camera = Camera.aimed(place.view, SMALL_WH, np.random.default_rng(1))
            layout = place.layout(camera)
            found = found or scripts.can_happen(anomaly, layout)
            if anomaly in place.normal:
                assert not scripts.can_happen(anomaly, layout)
        assert found


def test_a_normal_clip_has_no_anomalous_target() -> None:
    assert not any(life.anomaly for s in range(3) for life in made(s, anomaly=None).play.lives)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"layout": "moon"}, "no layout 'moon'"),
        ({"layout": "park"}, "not of the train split"),
        ({"anomaly": "yawning"}, "no anomaly 'yawning'"),
        ({"split": "best"}, "no split 'best'"),
        ({"layout": "gate", "anomaly": "driving"}, "ordinary there"),
        ({"size_wh": (8, 8)}, "pixels"),
        ({"seconds": 0.0}, "positive"),
    ],
)
def test_wrong_wishes_are_refused(wanted: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(0, **wanted)


def test_conditions_are_varied() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample(rng, False) for _ in range(400)]
    assert 0.18 < np.mean([c.grey for c in drawn]) < 0.4
    assert {c.time for c in drawn} == {"day", "dusk", "night"}
    assert any(c.rain for c in drawn) and any(c.jpeg for c in drawn) and any(c.infrared for c in drawn)


def test_an_explosion_lights_the_picture_up() -> None:
    clip = made(13, layout="office", anomaly=None)
    clip.conditions = replace(clip.conditions, drift=0.0, trail=0.0, noise=0.0)
    plain = [frame.mean() for frame, _ in clip.frames()]
    clip.play = Play(clip.play.lives, flash_s=(2.0,))
    flash = [frame.mean() for frame, _ in clip.frames()]
    assert flash[20] > plain[20] + 20 and flash[19] == plain[19]


def test_a_real_picture_becomes_a_place_at_the_scale_of_its_people() -> None:
    rgb = np.random.default_rng(0).integers(60, 200, (240, 320, 3), np.uint8)
    seen = Background(rgb, horizon_px=20.0, gain=0.4, source="street/vtest.avi", licence="Apache-2.0")
    place, camera, photo = real_place(seen, SMALL_WH, np.random.default_rng(1))
    layout = place.layout(camera)
    assert layout.walkable and layout.entrances and not layout.indoor
    backdrop = real_backdrop(photo, camera)
    assert np.array_equal(backdrop.rgb, photo) and backdrop.is_ground[-1].all()
    for row in (100.0, 150.0):
        ((x, y),) = camera.ground(np.array([[160.0, row]]))
        tall = row - camera.pixel(x, y, 1.72)[1]
        assert tall == pytest.approx(0.4 * (row - 20.0 * 180 / 240), rel=0.12)
    unknown = replace(seen, horizon_px=None, gain=None)
    assets = Assets((unknown,), (), ())
    assert made(5, assets=assets).photo is None


@pytest.mark.parametrize("seed", [0, 1])
def test_files_hold_what_was_drawn(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "clips"
    clip = made(seed, seconds=3.0, size_wh=(640, 360) if seed == 0 else SMALL_WH)
    truth = write_clip(clip, folder)
    assert sorted(p.name for p in folder.iterdir()) == [f"{seed:04d}.{e}" for e in ("ids.npz", "mp4", "truth.json")]
    assert ClipTruth.load(folder / f"{seed:04d}.truth.json") == truth
    with np.load(folder / f"{seed:04d}.ids.npz") as file:
        ids, times_s = file["ids"], file["times_s"]
    assert ids.shape == (30, 180, 320) and ids.dtype == np.uint8
    assert np.array_equal(times_s, clip.times_s)
    from tvad.video import probe

    assert probe(folder / f"{seed:04d}.mp4").duration_s == pytest.approx(3.0, abs=0.11)
