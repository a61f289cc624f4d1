"""Looks: what a person wears, and the body in its clothes as solids.

Next: training/datasets/synthetic/actors/people.py
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from training.datasets.synthetic.actors.paint import Model, Rgb, Vec
from training.datasets.synthetic.actors.palette import BAGS, HAIR, LOWER, SKIN, UPPER, choose_colour, shade
from training.datasets.synthetic.actors.skeleton import HIP, SHOULDER, TRUNK, Body, Build, between, minus, plus, times

NO_AXIS = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Look:
    """Clothes and body. upper, lower: colour names, with `_rgb` their shades. top: "shirt", "t-shirt", "jacket",
    "coat", "hoodie"; bottom: "trousers", "shorts", "skirt"; pattern: "plain", "stripes", "block"; hat: "", "cap",
    "hood", "beanie", "helmet"; carried: "", "backpack", "shoulder bag", "handbag"."""

    build: Build
    upper: str
    lower: str
    upper_rgb: Rgb
    lower_rgb: Rgb
    second_rgb: Rgb
    skin: Rgb
    hair: Rgb
    shoes: Rgb
    bag_rgb: Rgb
    top: str
    bottom: str
    pattern: str
    hat: str
    long_hair: bool
    loose: float
    carried: str


def random_look(rng: np.random.Generator, child: bool = False, carries: bool = True) -> Look:
    """Someone from the street."""
    woman = bool(rng.random() < 0.48)
    if child:
        height = float(rng.uniform(1.05, 1.45))
        build = Build(height, float(rng.uniform(0.95, 1.1)), 1.0 + 0.35 * (1.6 - height) / 0.55)
    else:
        height = float(np.clip(rng.normal(1.65 if woman else 1.77, 0.07), 1.48, 1.98))
        build = Build(height, float(np.clip(rng.normal(1.02 if woman else 1.12, 0.1), 0.86, 1.4)))
    upper, lower = choose_colour(rng, UPPER), choose_colour(rng, LOWER)
    top = str(rng.choice(["shirt", "t-shirt", "jacket", "coat", "hoodie"], p=[0.25, 0.3, 0.25, 0.1, 0.1]))
    bottoms = [0.66, 0.14, 0.2] if woman else [0.8, 0.2, 0.0]
    bottom = str(rng.choice(["trousers", "shorts", "skirt"], p=bottoms))
    hat = str(rng.choice(["", "cap", "beanie", "hood"], p=[0.78, 0.12, 0.06, 0.04]))
    bags = ["", "backpack", "shoulder bag", "handbag"]
    return Look(
        build=build, upper=upper, lower=lower, upper_rgb=shade(upper, rng), lower_rgb=shade(lower, rng),
        second_rgb=shade(choose_colour(rng, UPPER), rng), skin=_near(SKIN, rng), hair=_near(HAIR, rng),
        shoes=_near(((25, 25, 28), (60, 45, 35), (190, 190, 190), (70, 72, 80)), rng),
        bag_rgb=shade(choose_colour(rng, BAGS), rng), top=top, bottom=bottom,
        pattern=str(rng.choice(["plain", "stripes", "block"], p=[0.8, 0.1, 0.1])), hat=hat,
        long_hair=bool(rng.random() < (0.7 if woman else 0.06)), loose=float(rng.uniform(0.98, 1.3)),
        carried=str(rng.choice(bags, p=[0.6, 0.2, 0.12, 0.08])) if carries else "",
    )  # fmt: skip


def _near(choices: tuple[Rgb, ...], rng: np.random.Generator) -> Rgb:
    r, g, b = choices[int(rng.integers(len(choices)))]
    light = rng.uniform(0.88, 1.1)
    return tuple(int(min(250, v * light)) for v in (r, g, b))  # type: ignore[return-value]


def dress(m: Model, body: Body, look: Look) -> None:
    """Put a dressed body into a model."""
    for side in (0, 1):
        _leg(m, body, look, side)
        _arm(m, body, look, side)
    _torso(m, body, look)
    _head(m, body, look)
    _bag(m, body, look)


def _leg(m: Model, body: Body, look: Look, side: int) -> None:
    h, w = look.build.height, look.build.wide * look.loose
    hip, knee, ankle, toe = body.hips[side], body.knees[side], body.ankles[side], body.toes[side]
    thigh = look.lower_rgb if look.bottom != "skirt" else look.skin
    shin = look.lower_rgb if look.bottom == "trousers" else look.skin
    wide = 1.0 if look.bottom == "trousers" else 0.85
    cuff = 0.027 if look.bottom == "trousers" else 0.02
    m.chain(
        [(hip, 0.052 * h * w), (knee, 0.036 * h * w), (ankle, cuff * h * w * wide)],
        [thigh, shin],
    )
    heel = plus(ankle, times(minus(ankle, knee), 0.09))
    back = plus(heel, times(minus(heel, toe), 0.22))
    m.chain([(back, 0.02 * h), (toe, 0.017 * h)], look.shoes)


def _arm(m: Model, body: Body, look: Look, side: int) -> None:
    h, w = look.build.height, look.build.wide * (0.4 + 0.6 * look.loose)
    shoulder, elbow, wrist, hand = body.shoulders[side], body.elbows[side], body.wrists[side], body.hands[side]
    sleeve = look.skin if look.top == "t-shirt" else look.upper_rgb
    if look.top == "t-shirt":
        middle = between(shoulder, elbow, 0.62)
        m.chain([(shoulder, 0.031 * h * w), (middle, 0.027 * h * w)], look.upper_rgb, -0.01)
        m.chain([(middle, 0.024 * h * w), (elbow, 0.023 * h * w), (wrist, 0.017 * h)], look.skin)
    else:
        thick = 1.15 if look.top in ("jacket", "coat", "hoodie") else 1.0
        m.chain(
            [(shoulder, 0.034 * h * w), (elbow, 0.027 * h * w * thick), (wrist, 0.021 * h * w * thick)], sleeve, -0.01
        )
    m.chain([(between(wrist, hand, 0.2), 0.018 * h), (hand, 0.015 * h)], look.skin)


def _ring(body: Body, h: float, x: float, z: float, deep: float, broad: float) -> tuple[Vec, Vec, Vec, float]:
    return body.at(x * h, 0.0, z * h), times(body.left, broad * h), times(body.ahead, deep * h), 0.012 * h


def _torso(m: Model, body: Body, look: Look) -> None:
    h, w = look.build.height, look.build.wide
    bulk = w * (1.12 if look.top in ("jacket", "coat", "hoodie") else 1.0)
    hem = {"shirt": -0.02, "t-shirt": -0.03, "jacket": -0.05, "coat": -0.13, "hoodie": -0.04}[look.top]
    shape = [
        (0.0, TRUNK + 0.008, 0.03, 0.05), (0.0, TRUNK - 0.03, 0.052, SHOULDER - 0.01), (0.005, 0.2, 0.066, 0.1),
        (0.0, 0.1, 0.06, 0.084), (0.0, 0.0, 0.062, 0.088), (0.0, hem, 0.064, 0.09),
    ]  # fmt: skip
    rings = [_ring(body, h, x, z, deep * bulk, broad * bulk) for x, z, deep, broad in shape]
    main, other = look.upper_rgb, look.second_rgb
    hips = plus(between(body.hips[0], body.hips[1], 0.5), (0.0, 0.0, 0.0))
    seat = [(body.hips[0], 0.055 * h * w), (body.hips[1], 0.055 * h * w)]
    m.chain(seat, look.lower_rgb, 0.02)
    if look.bottom == "skirt" or look.top == "coat":
        _skirt(m, body, look, hips)
    if look.pattern == "stripes":
        rings, colours = _striped(rings, main, other)
        m.loft(rings, colours)
    else:
        m.loft(rings, main)
        if look.pattern == "block":
            m.loft([_ring(body, h, 0.0, z, 0.061 * bulk, 0.1 * bulk) for z in (0.235, 0.195)], other, -0.005)
    if look.top in ("jacket", "coat") and look.pattern == "plain":
        front = [_ring(body, h, 0.052 * bulk, z, 0.012, 0.022) for z in (TRUNK - 0.01, 0.12)]
        m.loft(front, other, -0.001)
    if look.hat == "hood" or look.top == "hoodie":
        m.chain([(body.at(-0.035 * h, 0.0, TRUNK * h), 0.045 * h)], main, 0.01)


def _striped(
    rings: list[tuple[Vec, Vec, Vec, float]], main: Rgb, other: Rgb
) -> tuple[list[tuple[Vec, Vec, Vec, float]], list[Rgb]]:
    out, colours = [], []
    for i, (a, b) in enumerate(pairwise(rings)):
        for share, colour in ((0.0, main), (0.62, other if i else main)):
            out.append((between(a[0], b[0], share), between(a[1], b[1], share), between(a[2], b[2], share), a[3] * 0.3))
            colours.append(colour)
    return [*out, rings[-1]], colours


def _skirt(m: Model, body: Body, look: Look, hips: Vec) -> None:
    h = look.build.height
    knees = between(body.knees[0], body.knees[1], 0.5)
    apart = minus(body.knees[0], body.knees[1])
    is_coat = look.bottom != "skirt"
    share = 0.45 if is_coat else 1.05
    spread = times(apart, 0.5 * share)
    across = times(body.left, 0.075 * h)
    top = (hips, times(body.left, 0.085 * h * look.build.wide), times(body.ahead, 0.06 * h), 0.012 * h)
    foot = between(hips, knees, share)
    hem = (foot, plus(across, spread), plus(times(body.ahead, 0.07 * h), (spread[0], 0.0, spread[2])), 0.01 * h)
    m.loft([top, hem], look.upper_rgb if is_coat else look.lower_rgb, -0.02)


def _head(m: Model, body: Body, look: Look) -> None:
    h, big = look.build.height, look.build.height * look.build.head
    up = minus(body.head, body.neck)
    length = max(1e-6, sum(v * v for v in up) ** 0.5)
    crown = times(up, 1 / length)
    m.chain([(body.neck, 0.032 * h), (body.head, 0.03 * h)], look.skin, 0.01)
    top = plus(body.head, times(crown, 0.018 * big))
    jaw = plus(plus(body.head, times(crown, -0.026 * big)), times(body.face, 0.012 * big))
    m.chain([(top, 0.046 * big), (jaw, 0.034 * big)], look.skin)
    covered = {"cap": look.second_rgb, "beanie": look.second_rgb, "hood": look.upper_rgb, "helmet": look.second_rgb}
    colour = covered.get(look.hat, look.hair)
    back = plus(plus(top, times(body.face, -0.016 * big)), times(crown, 0.006 * big))
    size = {"helmet": 0.06, "hood": 0.058, "beanie": 0.053}.get(look.hat, 0.051)
    low = plus(back, times(crown, -0.03 * big))
    m.chain([(back, size * big), (low, size * 0.85 * big)], colour, -0.004 if look.hat in ("helmet", "hood") else 0.0)
    cap = plus(plus(top, times(crown, 0.02 * big)), times(body.face, -0.004 * big))
    m.chain([(cap, (0.043 if not look.hat else 0.047) * big)], colour, -0.05)
    if look.hat == "cap":
        m.chain([(cap, 0.03 * big), (plus(cap, times(body.face, 0.065 * big)), 0.016 * big)], colour, -0.04)
    if look.long_hair and look.hat not in ("hood", "helmet"):
        tip = plus(plus(body.neck, times(body.face, -0.035 * big)), times(crown, -0.02 * big))
        m.chain([(low, 0.05 * big), (tip, 0.038 * big)], look.hair)


def _bag(m: Model, body: Body, look: Look) -> None:
    h = look.build.height
    if look.carried == "backpack":
        rings = [_ring(body, h, -0.1, z, deep, 0.072) for z, deep in ((0.27, 0.03), (0.2, 0.05), (0.08, 0.055))]
        m.loft(rings, look.bag_rgb)
    elif look.carried == "shoulder bag":
        strap = [body.at(0.05 * h, 0.03 * h, 0.29 * h), body.at(0.055 * h, -0.06 * h, 0.12 * h)]
        m.line(strap, 0.02, look.bag_rgb, -0.08)
        low = plus(body.at(-0.01 * h, -0.12 * h, -0.04 * h), NO_AXIS)
        m.loft(
            [(plus(low, (0, 0, z * h)), (0.09 * h, 0.0, 0.0), (0.0, 0.03 * h, 0.0), 0.01) for z in (-0.05, 0.05)],
            look.bag_rgb,
        )
    elif look.carried in ("handbag", "suitcase", "bag"):
        big = 1.0 if look.carried != "suitcase" else 1.7
        hand = body.hands[1]
        m.loft(
            [
                (plus(hand, (0, 0, -0.03 * h)), (0.05 * h * big, 0.0, 0.0), (0.0, 0.02 * h * big, 0.0), 0.01),
                (plus(hand, (0, 0, -0.11 * h * big)), (0.07 * h * big, 0.0, 0.0), (0.0, 0.03 * h * big, 0.0), 0.01),
            ],
            look.bag_rgb,
        )


def hip_width(build: Build) -> float:
    """Metres across the hips."""
    return 2 * HIP * build.height * build.wide
