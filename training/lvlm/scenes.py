"""Scenes without pictures: who moves where in a clip, drawn at random, as a ClipTruth.

A curriculum's first stage: the truth of thousands of clips in seconds. Paths live in the picture, not on the ground, so
that starts, ends, directions and speeds come out evenly; people are as tall as their place in the picture says.

Next: training/lvlm/simulate.py
"""

from dataclasses import dataclass

import numpy as np

from heatmap.appearance import TERMS
from training.datasets.truth import ClipTruth, Target

STEP_S = 0.2  # between the truth's boxes
SHORTEST_S = 2.0
LONGER, LONGEST_S = 0.25, 150.0  # share of the clips that are longer than 16 s
FALL_S = 0.6  # from upright to the ground
LYING = (0.3, 0.55), (0.55, 1.1)  # height and width of who lies, in heights of who stood there: as seen from where
LEAST_SEEN = 0.25  # share of a box inside the picture, below which it counts as gone
SIZES = ((640, 360), (640, 480), (768, 432), (854, 480), (360, 240), (320, 240), (768, 576), (1280, 720))
LAYOUTS = ("plaza", "street", "campus", "station", "park", "shop", "corridor", "car park")
BASE_COLOURS = TERMS
CARRIED = ("backpack", "handbag", "umbrella", "suitcase", "shopping bag")


@dataclass(frozen=True)
class Deed:
    """How an anomaly shows. nouns: who does it; action: a phrase for the truth; pace: least and highest speed in
    diagonals per second, 0 for what stays; share: of the time it is there, from when it is anomalous; weight: how often
    it is drawn."""

    nouns: tuple[str, ...]
    action: str
    pace: tuple[float, float]
    late: bool = False
    weight: float = 1.0


DEEDS: dict[str, Deed] = {
    "cycling": Deed(("cyclist",), "rides a bicycle", (0.06, 0.35), weight=3.0),
    "skating": Deed(("skater",), "rides a skateboard", (0.06, 0.3), weight=2.0),
    "driving": Deed(
        ("car", "van", "truck", "bus", "motorcyclist", "golf cart"), "drives where people walk", (0.06, 0.4), weight=3.0
    ),
    "running": Deed(("person", "person", "child"), "runs", (0.12, 0.4), weight=2.0),
    "fighting": Deed(("person",), "fights", (0.0, 0.02), late=True, weight=5.0),
    "falling": Deed(("person",), "falls down", (0.02, 0.1), late=True, weight=4.0),
    "loitering": Deed(("person", "person", "child"), "stands around", (0.0, 0.015), weight=1.5),
    "abandoned object": Deed(("bag", "suitcase", "backpack", "box"), "was left behind", (0.0, 0.0), weight=1.5),
    "theft": Deed(("person",), "takes something and leaves", (0.05, 0.2), late=True, weight=0.5),
    "wrong way": Deed(("car", "cyclist", "person"), "goes against the traffic", (0.05, 0.3)),
    "jaywalking": Deed(("person",), "crosses the road", (0.04, 0.1)),
    "crowd panic": Deed(("person",), "runs away", (0.15, 0.4), weight=0.5),
    "climbing": Deed(("person",), "climbs over a fence", (0.02, 0.06), weight=0.5),
    "throwing": Deed(("person",), "throws an object", (0.0, 0.05), late=True, weight=0.5),
    "vandalism": Deed(("person",), "damages property", (0.0, 0.02), late=True, weight=0.5),
    "fire": Deed(("fire",), "burns", (0.0, 0.0), weight=2.5),
    "explosion": Deed(("explosion",), "explodes", (0.0, 0.0), late=True),
    "traffic accident": Deed(("car",), "collides", (0.05, 0.25), late=True, weight=0.5),
}
ORDINARY = (
    ("person", "walks", (0.02, 0.09), 6.0),
    ("person", "stands", (0.0, 0.01), 1.5),
    ("dog", "walks", (0.02, 0.1), 0.5),
)
# Height of a noun in heights of a person, and its width over its height.
SHAPES = {
    "person": (1.0, 0.4), "cyclist": (1.05, 0.75), "skater": (1.05, 0.45), "child": (0.65, 0.42), "bus": (1.8, 2.2),
    "golf cart": (1.0, 1.4), "car": (0.95, 2.0), "van": (1.3, 1.7),
    "truck": (1.9, 1.8), "motorcyclist": (0.95, 0.9), "dog": (0.45, 1.4), "bag": (0.3, 1.1), "suitcase": (0.4, 0.7),
    "backpack": (0.32, 0.8), "box": (0.35, 1.2), "fire": (1.2, 1.0), "explosion": (2.0, 1.2),
}  # fmt: skip
DRESSED = ("person", "child", "cyclist", "skater", "motorcyclist")


def draw_truth(rng: np.random.Generator, number: int, anomalous: bool, split: str = "train") -> ClipTruth:
    """One clip: a size, a length, ordinary things, and what is anomalous if it is to be."""
    size = SIZES[rng.integers(len(SIZES))]
    # Most clips are short, as those that are looked at are; the others let times be read that do not begin at 0.
    least_s, most_s = (SHORTEST_S, 16.0) if rng.random() >= LONGER else (16.0, LONGEST_S)
    duration_s = least_s * (most_s / least_s) ** rng.random()
    duration_s = float(np.round(duration_s, 1))
    tall = float(rng.uniform(0.14, 0.42))  # height of a person at the bottom, in heights of the picture
    scene = _Scene(size, duration_s, tall, rng)
    targets: list[Target] = []
    if anomalous:
        while not targets:
            for _ in range(1 + int(rng.random() < 0.2)):
                targets += scene.deed(len(targets) + 1)
    weights = np.array([o[3] for o in ORDINARY])
    for _ in range(int(rng.integers(0, 4))):
        noun, action, pace, _ = ORDINARY[rng.choice(len(ORDINARY), p=weights / weights.sum())]
        targets += scene.target(len(targets) + 1, noun, action, pace)
    return ClipTruth(
        f"simulated-{number}", f"simulated-{number}", split, LAYOUTS[rng.integers(len(LAYOUTS))], (), 25.0, size,
        duration_s, tuple(targets),
    )  # fmt: skip


@dataclass(frozen=True)
class _Scene:
    size_wh: tuple[int, int]
    duration_s: float
    tall: float
    rng: np.random.Generator

    def deed(self, first_id: int) -> list[Target]:
        """The targets of one anomaly, none when they never come into the picture."""
        rng = self.rng
        names = list(DEEDS)
        weights = np.array([DEEDS[n].weight for n in names])
        name = names[rng.choice(len(names), p=weights / weights.sum())]
        deed = DEEDS[name]
        noun = deed.nouns[rng.integers(len(deed.nouns))]
        if name not in ("fighting", "crowd panic", "traffic accident"):
            return self.target(first_id, noun, deed.action, deed.pace, name, deed.late)
        many = int(rng.integers(3, 5)) if name == "crowd panic" else 2
        place = rng.uniform(0.2, 0.8, 2)
        found: list[Target] = []
        for n in range(many):
            near = place + rng.normal(0, 0.04, 2)
            found += self.target(first_id + n, noun, deed.action, deed.pace, name, deed.late, near)
        return found

    def target(
        self,
        number: int,
        noun: str,
        action: str,
        pace: tuple[float, float],
        anomaly: str | None = None,
        late: bool = False,
        meet: np.ndarray | None = None,
    ) -> list[Target]:
        """One thing on a random path, or nothing where it stays outside. meet: (x, y) shares where it starts."""
        rng = self.rng
        speed = rng.uniform(*pace)
        times, centre = self._path(speed, meet)
        boxes, seen = self._boxes(noun, centre)
        there = seen >= LEAST_SEEN
        if there.sum() < 4:
            return []
        first, last = int(np.flatnonzero(there)[0]), int(np.flatnonzero(there)[-1])
        keep = slice(first, last + 1)
        times, boxes, seen = times[keep], boxes[keep], np.clip(seen[keep], 0.01, 1.0)
        spans: tuple[tuple[float, float], ...] = ()
        if anomaly is not None:
            start = times[0] + (rng.uniform(0.0, 0.6) * (times[-1] - times[0]) if late else 0.0)
            if anomaly == "falling":
                times, boxes, seen = self._fallen(times, boxes, seen, float(start))
            spans = ((round(float(start), 2), round(float(times[-1]), 2)),)
        colours = {p: _colour(rng) for p in (("upper", "lower") if noun in DRESSED else ("whole",))}
        carried = CARRIED[rng.integers(len(CARRIED))] if noun == "person" and rng.random() < 0.2 else ""
        return [
            Target(
                number, noun, anomaly, spans, action, colours, carried, tuple(times.round(3).tolist()),
                tuple(map(tuple, boxes.round(1).tolist())), tuple(seen.round(2).tolist()),
            )
        ]  # fmt: skip

    def _path(self, speed: float, meet: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Times (n,) and centres (n, 2) as shares of the picture: a quadratic curve run through at some pace."""
        rng = self.rng
        aspect = np.array(self.size_wh) / np.hypot(*self.size_wh)
        start = _point(rng, inside=0.45) if meet is None else meet
        if speed <= 0.02:
            start = np.clip(start, 0.06, 0.94)
            sway = rng.normal(0, 1, 2) * speed * self.duration_s * 0.3
            ends = start, start + np.clip(sway, -0.05, 0.05)
            travel_s = self.duration_s * rng.uniform(0.4, 1.4)
        else:
            end = _point(rng, inside=0.45)
            while np.hypot(*((end - start) * aspect)) < 0.12:
                end = _point(rng, inside=0.45)
            ends = start, end
            travel_s = float(np.hypot(*((end - start) * aspect))) / speed
        bend = rng.normal(0, 0.35, 2) * np.abs(ends[1] - ends[0])[::-1] * (rng.random() < 0.35)
        middle = (ends[0] + ends[1]) / 2 + bend
        # It may come before the clip begins and be there when it ends.
        travel_s = min(travel_s, 2.5 * self.duration_s)
        begin_s = rng.uniform(-0.3 * travel_s, max(0.1, self.duration_s - 0.4 * travel_s))
        times = np.arange(max(0.0, begin_s), min(self.duration_s, begin_s + travel_s) + 1e-6, STEP_S)
        u = _pace(rng, np.clip((times - begin_s) / travel_s, 0, 1))[:, None]
        return times, (1 - u) ** 2 * ends[0] + 2 * u * (1 - u) * middle + u**2 * ends[1]

    def _boxes(self, noun: str, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Visible boxes (n, 4) px and the share of each that is inside (n,)."""
        tall, wide = SHAPES[noun]
        size = np.array(self.size_wh, float)
        height = self.tall * tall * size[1] * (0.35 + 0.65 * np.clip(centre[:, 1], 0, 1)) * self.rng.uniform(0.85, 1.15)
        half = np.stack([height * wide, height], 1) / 2
        whole = np.concatenate([centre * size - half, centre * size + half], 1)
        inside = np.clip(whole, 0, np.tile(size - 1, 2))
        area = (inside[:, 2:] - inside[:, :2]).clip(0).prod(1)
        return inside, area / (whole[:, 2:] - whole[:, :2]).prod(1)

    def _fallen(
        self, times: np.ndarray, boxes: np.ndarray, seen: np.ndarray, start_s: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same until a moment of these times (s); from then on the feet keep their place, the box gets low and wide
        to one side, and who lies there mostly lies there until the clip ends."""
        rng = self.rng
        upright = int(np.searchsorted(times, start_s, "right"))
        end_s = self.duration_s if rng.random() < 0.7 else float(times[-1])
        times = np.concatenate([times, np.arange(times[-1] + STEP_S, end_s + 1e-6, STEP_S)])
        down = np.clip((times[upright:] - start_s) / FALL_S, 0, 1)
        x0, y0, x1, y1 = boxes[upright - 1]
        low, long = (rng.uniform(*limits) for limits in LYING)
        height = (y1 - y0) * (1 + (low - 1) * down)
        width = (x1 - x0) + ((y1 - y0) * long - (x1 - x0)) * down
        middle = (x0 + x1) / 2 + rng.uniform(-0.5, 0.5) * (width - (x1 - x0))
        # Feet are not the lowest of who lies towards the camera.
        foot = y1 + rng.uniform(0.0, 0.15) * (y1 - y0) * down
        lying = np.stack([middle - width / 2, foot - height, middle + width / 2, foot], 1)
        inside = np.clip(lying, 0, np.tile(np.array(self.size_wh) - 1, 2))
        share = (inside[:, 2:] - inside[:, :2]).clip(0).prod(1) / (lying[:, 2:] - lying[:, :2]).prod(1)
        boxes = np.concatenate([boxes[:upright], inside])
        return times, boxes, np.concatenate([seen[:upright], np.clip(seen[upright - 1] * share, 0.01, 1.0)])


def _point(rng: np.random.Generator, inside: float) -> np.ndarray:
    """A place (x, y): with probability `inside` in the picture, else just beyond one of its borders."""
    if rng.random() < inside:
        return rng.uniform(0.06, 0.94, 2)
    along, side = rng.uniform(0.08, 0.92), int(rng.integers(4))
    return np.array([(-0.06, along), (1.06, along), (along, -0.06), (along, 1.06)][side])


def _pace(rng: np.random.Generator, u: np.ndarray) -> np.ndarray:
    """Share of the time -> share of the way: mostly even, else faster, slower, a stop at the end or on the way."""
    kind = rng.choice(5, p=(0.6, 0.12, 0.1, 0.1, 0.08))
    if kind == 1:
        return u**2
    if kind == 2:
        return 1 - (1 - u) ** 2
    if kind == 3:
        return np.minimum(u / rng.uniform(0.4, 0.7), 1.0)
    if kind == 4:
        a, b = rng.uniform(0.2, 0.4), rng.uniform(0.6, 0.8)
        return np.interp(u, [0, a, b, 1], [0, 0.5, 0.5, 1])
    return u


def _colour(rng: np.random.Generator) -> str:
    # Clothes are mostly black, grey, white or blue.
    often = {"black": 3.0, "grey": 2.0, "white": 2.0, "blue": 2.0}
    weights = np.array([often.get(name, 1.0) for name in BASE_COLOURS])
    return BASE_COLOURS[rng.choice(len(BASE_COLOURS), p=weights / weights.sum())]
