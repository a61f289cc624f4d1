"""Random truths of clips, without pictures: any anomaly, any path, several targets, night and day."""

import numpy as np

from training.datasets.truth import ANOMALIES, UNNAMED, ClipTruth, Target

WHO = {
    "cycling": ("cyclist",), "skating": ("skater",), "driving": ("van", "car", "motorcyclist"),
    "fire": ("fire", "smoke"), "abandoned object": ("bag", "suitcase"), "wrong way": ("car", "cyclist"),
    "explosion": ("explosion", "person", "smoke", "fire"), "traffic accident": ("car", "bus"),
    "throwing": ("person", "stone"), "running": ("person", "child"), "unnamed": ("object", "person"),
}  # fmt: skip
BYSTANDERS = ("person", "dog", "person with a pram", "wheelchair user", "car")
COLOURS = ("black", "dark grey", "white", "red", "dark blue", "light green", "orange", "purple")
DRESSED = frozenset({"person", "child", "cyclist", "skater", "motorcyclist", "wheelchair user"})
SIZE_WH = (320, 240)
FPS = 12.0
HALF = np.array([10.0, 20.0])


def walk(
    number: int,
    noun: str = "person",
    anomaly: str | None = "running",
    start_s: float = 1.0,
    end_s: float = 4.0,
    way: tuple[float, float, float, float] = (20.0, 120.0, 300.0, 120.0),
    colours: dict[str, str] | None = None,
    action: str = "",
    carried: str = "",
    anomalous_s: tuple[tuple[float, float], ...] | None = None,
) -> Target:
    """A target on a straight line; way: x and y of its centre at the start, then at the end."""
    times = np.arange(round(start_s * FPS), round(end_s * FPS) + 1) / FPS
    share = np.linspace(0, 1, len(times))[:, None]
    centre = np.array(way[:2]) * (1 - share) + np.array(way[2:]) * share
    edge = np.array([SIZE_WH[0] - 1, SIZE_WH[1] - 1] * 2)
    boxes = np.clip(np.hstack([centre - HALF, centre + HALF]), 0, edge)
    spans = anomalous_s if anomalous_s is not None else ((float(times[0]), float(times[-1])),) if anomaly else ()
    return Target(
        number, noun, anomaly, spans, action or "does it", {} if colours is None else colours, carried,
        tuple(times.tolist()), tuple(tuple(b) for b in boxes.tolist()), (1.0,) * len(times),
    )  # fmt: skip


def clip(
    *targets: Target,
    duration_s: float = 8.0,
    conditions: tuple[str, ...] = (),
    layout: str = "plaza",
    split: str = "train",
    name: str = "clip",
) -> ClipTruth:
    return ClipTruth(name, name, split, layout, conditions, FPS, SIZE_WH, duration_s, targets)


def random_truth(seed: int) -> ClipTruth:
    rng = np.random.default_rng(seed)
    anomalous = int(rng.integers(0, 6))
    duration_s = float(rng.choice([4.0, 12.0, 80.0]))
    targets: list[Target] = []
    for number in range(1, anomalous + int(rng.integers(0, 4)) + 1):
        anomaly = str(rng.choice([*ANOMALIES, UNNAMED])) if number <= anomalous else None
        noun = str(rng.choice(WHO.get(anomaly, ("person",)) if anomaly else BYSTANDERS))
        parts = ("upper", "lower")[: int(rng.integers(0, 3))] if noun in DRESSED else ("whole",)
        colours = {part: str(rng.choice(COLOURS)) for part in parts}
        start_s = float(rng.uniform(0, duration_s - 1))
        end_s = float(rng.uniform(start_s + 0.2, duration_s))
        ends = rng.uniform((0, 0, 0, 0), (320, 240, 320, 240))
        if rng.random() < 0.3:
            ends[2:] = ends[:2]
        action = str(rng.choice(["does it", "chases the thief", "is thrown to the ground", "rides by"]))
        targets.append(walk(number, noun, anomaly, start_s, end_s, tuple(ends), colours, action))  # type: ignore[arg-type]
    conditions = (("night",), (), (), ("rain",))[int(rng.integers(4))]
    layout = str(rng.choice(["plaza", "road", "platform", "office", "unknown"]))
    return clip(*targets, duration_s=duration_s, conditions=conditions, layout=layout, name=f"clip{seed}")
