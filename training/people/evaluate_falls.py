"""What the finder of falls makes of real clips: levels of falls and of all else, and what they mean for an alarm.

    python -m training.people.evaluate_falls ../shared/data [--weights RUN/people.safetensors]

Prints the highest level of each clip of the falls, the highest ones of each other set, how many reach the level from
which a fall is named, the probability of one by its level (tvad/falls.py), and the alarm level of the part `falls`
(tvad/presets/mini.py) by the ordinary clips that may be used for it: streets, daily activities and what beside the
fights is none.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from heatmap.levels import AlarmLevel, block_peaks
from tvad.encoder import Encoder
from tvad.falls import NAMED_FROM, TOLD, FallsPart, curve
from tvad.people import FILE, PeopleFinder, PeopleLook
from tvad.settings import MAX_SIDE_PX, Settings
from tvad.video import VideoReader

SETS = {
    "falls": "gmdcsa24_fall/subject*/Fall/*.mp4",
    "daily activities": "gmdcsa24_fall/subject*/ADL/*.mp4",
    "streets": "street/[vpr]*.*",
    "beside the fights": "fight_surv/noFight/*.mp4",
    "fights": "fight_surv/fight/*.mp4",
    "burning house": "street/fire_house6.mp4",
    "Ped2": "ped2/t*/*.mp4",
}
ORDINARY = ("daily activities", "streets", "beside the fights")
SHOWN = 5


def curve_of(path: Path, finder: PeopleFinder) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,) and levels (T,) of a clip."""
    reader = VideoReader(path, fps=Settings().fps, max_side=MAX_SIDE_PX)
    part, look = FallsPart(reader.size_wh[0] / reader.size_wh[1], TOLD), PeopleLook(finder)
    times, falls = [], []
    for features in Encoder().features(reader):
        times.append(features.times_s)
        falls += part.push(look(features))
    falls += part.finish()
    every = np.concatenate(times)
    return every, curve(falls, every)


def main(given: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, default=FILE)
    args = parser.parse_args(given)
    finder, peaks = PeopleFinder(args.weights), []
    judged: list[tuple[float, bool]] = []
    for name, pattern in SETS.items():
        clips = sorted(args.data.glob(pattern))
        if not clips:
            print(f"{name}: no {pattern} in {args.data}")
            continue
        highest = {}
        for clip in clips:
            times, levels = curve_of(clip, finder)
            highest["/".join(clip.parts[-3:])] = float(levels.max())
            if name in ORDINARY:
                peaks.append(block_peaks(levels, times))
        if name != "fights":  # in some of which people fall
            judged += [(level, name == "falls") for level in highest.values()]
        order = sorted(highest.items(), key=lambda item: -item[1])
        told = ", ".join(f"{clip} {level:.2f}" for clip, level in order[: len(order) if name == "falls" else SHOWN])
        count = sum(level >= NAMED_FROM for level in highest.values())
        print(f"{name}: {count} of {len(clips)} at {NAMED_FROM} or above; highest: {told}", flush=True)
    if len({fall for _, fall in judged}) == 2:
        slope, middle = probability_of(np.array([x for x, _ in judged]), np.array([y for _, y in judged]))
        print(f"probability by level: slope {slope:.1f}, middle {middle:.2f}")
    if peaks:
        alarm = AlarmLevel.of_peaks(np.concatenate(peaks))
        print(f'"falls": {alarm}; once an hour: {alarm.level_at(1.0):.2f}')


def probability_of(levels: np.ndarray, falls: np.ndarray) -> tuple[float, float]:
    """Slope and middle of a logistic curve (penalised, since few falls leave it open), both kinds counting alike."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, class_weight="balanced").fit(levels[:, None], falls)
    slope = float(model.coef_[0, 0])
    return slope, float(-model.intercept_[0] / slope)


if __name__ == "__main__":
    main()
