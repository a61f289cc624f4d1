"""Drawn actors: every noun in every action, at every scale; colours as they are called."""

import math

import numpy as np
import pytest

from heatmap.appearance import NAMES, name_pixels
from training.datasets.synthetic.actors import NOUNS, Cast
from training.datasets.synthetic.actors.people import Person
from training.datasets.synthetic.actors.poses import POSES
from training.datasets.synthetic.stage import Actor, Pose, Sprite

ACTIONS = (
    "stand", "walk", "run", "sit", "lie", "fall", "fight", "crouch", "climb", "throw", "kick", "reach", "wave", "ride",
    "skate", "push", "drive", "burn",
)  # fmt: skip
RISEN = ("car", "van", "truck", "bus", "train", "golf cart", "cyclist", "skater", "scooter rider", "wheelchair user",
         "motorcyclist", "suitcase", "box", "bin", "bicycle", "ball", "dog", "person", "child", "backpack")  # fmt: skip


def make(noun: str, seed: int = 0) -> Actor:
    return Cast().make(noun, np.random.default_rng(seed))


def extent(sprite: Sprite) -> tuple[int, int]:
    """Width and height of what can be seen, px."""
    rows, columns = np.nonzero(sprite.rgba[..., 3] > 100)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def test_poses_cover_the_actions_of_the_stage() -> None:
    assert set(ACTIONS) == set(POSES)
    with pytest.raises(ValueError, match="juggle"):
        make("person").draw(40, Pose("juggle", 0, 0, 0, 0.3))
    with pytest.raises(KeyError, match="choose one of"):
        make("unicorn")


@pytest.mark.parametrize("noun", sorted(NOUNS))
def test_every_noun_draws_in_every_action_at_every_scale(noun: str) -> None:
    actor = make(noun, 3)
    assert actor.colours and all(size > 0 for size in actor.size_m) and actor.stride > 0 and actor.pace >= 0
    for k, action in enumerate(ACTIONS):
        for scale in (3, 40) if k else (1, 3, 17, 60, 200, 300):
            sprite = actor.draw(scale, Pose(action, 0.3 + k, 0.5, k * 0.7, 0.1 * (k % 8)))
            height, width, channels = sprite.rgba.shape
            assert channels == 4 and sprite.rgba.dtype == np.uint8
            least = 20 if min(actor.size_m) * scale > 1.5 else 0
            assert sprite.rgba[..., 3].max() > least, (action, scale)
            assert -2 <= sprite.foot[0] <= width + 2 and -2 <= sprite.foot[1] <= height + 2, (action, scale)


@pytest.mark.parametrize("noun", RISEN)
@pytest.mark.parametrize("scale", [12, 45, 150])
def test_height_is_that_of_the_size(noun: str, scale: float) -> None:
    for seed in range(3):
        actor = make(noun, seed)
        _, height = extent(actor.draw(scale, Pose("stand", 0, 0, 0, 0)))
        assert height == pytest.approx(actor.size_m[2] * scale, rel=0.14, abs=2.5)


def test_the_foot_is_at_the_bottom_of_who_stands() -> None:
    for seed in range(8):
        sprite = make("person", seed).draw(60, Pose("walk", 0.1 * seed, 0, seed, 0))
        rows = np.nonzero(sprite.rgba[..., 3].max(axis=1) > 100)[0]
        assert abs(rows[-1] + 1 - sprite.foot[1]) <= 3


@pytest.mark.parametrize("noun", sorted(NOUNS))
def test_the_same_seed_draws_the_same(noun: str) -> None:
    pose = Pose("walk", 1.3, 0.4, 0.8, 0.3)
    a, b = make(noun, 5), make(noun, 5)
    b.draw(40, Pose("stand", 0.1, 0, 2.0, 0.3))
    first, second, again = a.draw(35, pose), b.draw(35, pose), a.draw(35, pose)
    assert np.array_equal(first.rgba, second.rgba) and np.array_equal(first.rgba, again.rgba)
    assert first.foot == second.foot
    other = make(noun, 6).draw(35, pose)
    assert first.rgba.shape != other.rgba.shape or not np.array_equal(first.rgba, other.rgba)


@pytest.mark.parametrize(
    ("noun", "action"),
    [("person", "walk"), ("person", "run"), ("person", "fight"), ("person", "stand"), ("cyclist", "ride"),
     ("wheelchair user", "ride"), ("person with a pram", "push"), ("dog", "walk"), ("bird", "walk"), ("fire", "burn"),
     ("smoke", "burn")],
)  # fmt: skip
def test_the_gait_changes_pixels(noun: str, action: str) -> None:
    actor = make(noun, 1)
    sprites = [actor.draw(40, Pose(action, phase, 0, 0.2, 0.3)) for phase in (0.0, 0.25, 0.5, 0.8)]
    for i, a in enumerate(sprites):
        for b in sprites[i + 1 :]:
            assert a.rgba.shape != b.rgba.shape or np.abs(a.rgba.astype(int) - b.rgba).max() > 40


def test_walking_is_smooth_and_periodic() -> None:
    actor = make("person", 2)

    def seen(phase: float) -> np.ndarray:
        sprite = actor.draw(50, Pose("walk", phase, 0, 0, 0.2))
        page = np.zeros((220, 220))
        y, x = 180 - round(sprite.foot[1]), 110 - round(sprite.foot[0])
        page[y : y + sprite.rgba.shape[0], x : x + sprite.rgba.shape[1]] = sprite.rgba[..., 3]
        return page > 127

    assert np.array_equal(seen(0.25), seen(7.25))
    for k in range(16):
        both = seen(k / 16) & seen((k + 1) / 16)
        assert both.sum() > 0.6 * seen(k / 16).sum()


def test_who_has_fallen_is_wider_than_high() -> None:
    for seed in range(12):
        actor = make("person", seed)
        for heading in (0.0, math.pi):
            wide, high = extent(actor.draw(60, Pose("fall", 0, 1.0, heading, 0.25)))
            assert wide > 1.3 * high
        wide, high = extent(actor.draw(60, Pose("fall", 0, 0.0, 0.0, 0.25)))
        assert high > 1.5 * wide
    heights = [extent(make("person", 1).draw(60, Pose("fall", 0, u, 0, 0.2)))[1] for u in np.linspace(0, 1, 7)]
    assert heights[-1] < 0.5 * heights[0] and max(np.diff(heights)) < 0.2 * heights[0]


def test_headings_show_another_side() -> None:
    actor = make("person", 4)
    side, front = (extent(actor.draw(60, Pose("walk", 0.0, 0, h, 0.2)))[0] for h in (0.0, -math.pi / 2))
    assert side > front  # legs apart are seen from the side only
    car = make("car", 4)
    assert (
        extent(car.draw(30, Pose("drive", 0, 0, 0, 0.2)))[0]
        > 2 * extent(car.draw(30, Pose("drive", 0, 0, 1.57, 0.2)))[0]
    )


def test_scales_outside_are_refused() -> None:
    for noun in ("person", "fire"):
        for scale in (0.5, 301):
            with pytest.raises(ValueError, match="1 to 300"):
                make(noun).draw(scale, Pose("stand", 0, 0, 0, 0))


def family(pixels: np.ndarray) -> str:
    """Commonest colour word of (n, 3) pixels, dark grey counted as the black, light grey as the white it stands for."""
    words = [NAMES[i] for i in name_pixels(pixels).tolist()]
    words = [{"dark grey": "black", "light grey": "white"}.get(w, w.split()[-1]) for w in words]
    return max(sorted(set(words)), key=words.count)


def same(named: str, seen: str) -> bool:
    return named == seen or (named == "grey" and seen in ("black", "white"))


@pytest.mark.parametrize("part", ["upper", "lower"])
@pytest.mark.parametrize("noun", ["person", "cyclist"])
def test_clothes_have_the_colours_that_are_named(noun: str, part: str) -> None:
    right = 0
    for seed in range(60):
        actor = make(noun, seed)
        assert isinstance(actor.draw(40, Pose("stand", 0, 0, 0, 0)), Sprite)
        # The same actor in two colours: what changes is the part.
        other = make(noun, seed)
        object.__setattr__(other.look, f"{part}_rgb", (1, 254, 1))  # type: ignore[attr-defined]
        pose = Pose("walk" if noun == "person" else "ride", 0.1, 0, 0.4, 0.3)
        a, b = actor.draw(40, pose).rgba, other.draw(40, pose).rgba
        mask = (np.abs(a.astype(int) - b).sum(axis=2) > 30) & (a[..., 3] > 200)
        right += same(actor.colours[part], family(a[mask][:, :3]))
    assert right >= 0.85 * 60


@pytest.mark.parametrize("noun", ["car", "van", "bus", "bag", "suitcase", "box", "ball", "dog", "bird", "golf cart"])
def test_things_have_the_colour_that_is_named(noun: str) -> None:
    right = 0
    for seed in range(40):
        actor = make(noun, seed)
        other = make(noun, seed)
        for name in ("paint", "fur", "plumage"):
            if hasattr(other, name):
                setattr(other, name, (1, 254, 1))
        pose = Pose("drive", 0.1, 0, 0.4, 0.3)
        scale = 60 / max(actor.size_m[2], 0.2)
        a, b = actor.draw(scale, pose).rgba, other.draw(scale, pose).rgba
        mask = (np.abs(a.astype(int) - b).sum(axis=2) > 30) & (a[..., 3] > 200)
        right += same(actor.colours["whole"], family(a[mask][:, :3]))
    assert right >= 0.85 * 40


def test_children_are_smaller_and_people_differ() -> None:
    people = [Person(np.random.default_rng(seed)) for seed in range(60)]
    assert len({p.colours["upper"] for p in people}) >= 7 and len({p.carried for p in people}) >= 3
    assert 1.5 < float(np.mean([p.size_m[2] for p in people])) < 1.85
    assert all(make("child", seed).size_m[2] < 1.5 for seed in range(8))
