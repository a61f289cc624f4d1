"""Scripts: who does what in a place, from ordinary life to one of the anomalies.

`plan` puts an anomaly's script on the stage, fills the rest with ordinary life, lets it run, and looks whether what had
to be seen was seen; if not, it begins anew.

Next: training/datasets/synthetic/clip.py
"""

from collections.abc import Callable

import numpy as np

from training.datasets.synthetic import scripts_people, scripts_riders, scripts_things, scripts_ways
from training.datasets.synthetic.crowd import Stage
from training.datasets.synthetic.paths import Ground
from training.datasets.synthetic.scripts_normal import people
from training.datasets.synthetic.scripts_traffic import traffic
from training.datasets.synthetic.stage import Cast, Layout, Play
from training.datasets.truth import ANOMALIES

SEEN_S = 1.5  # an anomaly is to be seen for so long
TRIES = 25
PANIC_PEOPLE = 4
LONG_M = {"cycling": 9.0, "skating": 9.0, "running": 8.0, "crowd panic": 9.0, "driving": 12.0}  # needed to go that fast

ANOMALY_SCRIPTS: dict[str, Callable[[Stage], None]] = {
    "cycling": scripts_riders.cycling,
    "skating": scripts_riders.skating,
    "driving": scripts_riders.driving,
    "running": scripts_people.running,
    "fighting": scripts_people.fighting,
    "falling": scripts_people.falling,
    "loitering": scripts_people.loitering,
    "abandoned object": scripts_things.abandoned_object,
    "theft": scripts_things.theft,
    "wrong way": scripts_riders.wrong_way,
    "jaywalking": scripts_ways.jaywalking,
    "crowd panic": scripts_ways.crowd_panic,
    "climbing": scripts_ways.climbing,
    "throwing": scripts_things.throwing,
    "vandalism": scripts_things.vandalism,
    "fire": scripts_things.fire,
    "explosion": scripts_things.explosion,
    "traffic accident": scripts_riders.traffic_accident,
}


def can_happen(anomaly: str, layout: Layout) -> bool:
    """Whether this place has what an anomaly needs, and it is not ordinary there. ValueError for an unknown one."""
    if anomaly not in ANOMALY_SCRIPTS:
        raise ValueError(f"no anomaly {anomaly!r}; choose one of {list(ANOMALIES)}")
    stage = _empty(layout)
    long_m = _reach(stage.ground)
    if long_m < LONG_M.get(anomaly, 0.0):
        return False
    uses, spots = {lane.use for lane in layout.lanes}, {k for k, v in layout.spots.items() if v}
    if anomaly in layout.normal:
        return False
    if anomaly == "driving":
        return not layout.indoor and bool(scripts_riders.roomy_ways(stage))
    if anomaly == "cycling":
        return not stage.ground.shared()
    if anomaly == "wrong way":
        return bool(uses & {"cars", "bicycles", "people"})
    if anomaly == "jaywalking":
        return "cars" in uses and bool(scripts_ways.crossings_of_road(stage))
    if anomaly == "traffic accident":
        return "cars" in uses
    if anomaly == "climbing":
        return bool(scripts_ways.climbable(stage))
    if anomaly == "vandalism":
        return bool(spots & {"parked car", "bin", "door", "bench"})
    return True


class _Nobody:
    def make(self, noun: str, rng: np.random.Generator) -> object:
        raise KeyError(f"nobody plays {noun!r} on an empty stage")


def _empty(layout: Layout) -> Stage:
    return Stage(layout, np.random.default_rng(0), 1.0, _Nobody(), Ground(layout))  # type: ignore[arg-type]


def plan(layout: Layout, rng: np.random.Generator, seconds: float, anomaly: str | None, cast: Cast) -> Play:
    """Lives for a clip of so many seconds, with the anomaly or, for None, without any. ValueError if it cannot happen
    in this layout, or the clip is too short for it."""
    if seconds < 2 * SEEN_S:
        raise ValueError(f"a clip of {seconds:g} s is too short to plan; give {2 * SEEN_S:g} s or more")
    if anomaly is not None and not can_happen(anomaly, layout):
        fitting = [a for a in ANOMALIES if can_happen(a, layout)]
        raise ValueError(f"{anomaly!r} cannot happen in {layout.name!r}, or is ordinary there; choose one of {fitting}")
    ground = Ground(layout)
    for _ in range(TRIES):
        stage = Stage(layout, rng, seconds, cast, ground)
        busy = float(rng.beta(1.1, 1.6)) * min(1.0, _area(ground) / 80.0)
        if anomaly is not None:
            ANOMALY_SCRIPTS[anomaly](stage)
        traffic(stage, busy)
        people(stage, busy)
        stage.run()
        play = stage.play()
        if _shown(play, anomaly):
            return play
    raise ValueError(f"{anomaly!r} was not seen for {SEEN_S} s in {TRIES} tries in {layout.name!r}; give a longer clip")


def _reach(ground: Ground) -> float:
    """About how far one can go in a straight line, metres."""
    cells = np.argwhere(ground.likely > 0) * ground.cell
    return float(np.linalg.norm(np.ptp(cells, axis=0))) if len(cells) else 0.0


def _area(ground: Ground) -> float:
    """Square metres to walk on."""
    return float((ground.free & (ground.road == 0)).sum() * ground.cell**2)


def _shown(play: Play, anomaly: str | None) -> bool:
    """Whether there is something to see, and the anomaly for long enough."""
    odd = [life for life in play.lives if life.anomaly is not None]
    if anomaly is None:
        return bool(play.lives) and not odd
    longest = max((b - a for life in odd for a, b in life.anomalous_s), default=0.0)
    enough = PANIC_PEOPLE if anomaly == "crowd panic" else 1
    return longest >= SEEN_S and len(odd) >= enough
