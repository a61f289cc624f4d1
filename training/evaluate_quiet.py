"""False alarms on ordinary footage, against the promised rate.

    python -m training.evaluate_quiet [--scene S] CLIP...

Every event found in a clip that shows nothing anomalous is a false alarm.
"""

import argparse

import numpy as np

from heatmap.levels import to_rarity
from tvad.detector import Detector
from tvad.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--scene")
    parser.add_argument("--false-alarms-per-hour", type=float, default=1.0)
    given = parser.parse_args()
    detector = Detector.from_settings(Settings(scene=given.scene, false_alarms_per_hour=given.false_alarms_per_hour))
    alarms, hours = 0, 0.0
    for clip in given.clips:
        evidence, curves = detector.analyze(clip)
        alarms += len(evidence.events)
        hours += evidence.video.duration_s / 3600
        peak = float(to_rarity(np.array(curves.scores.max())))
        print(
            f"{clip}: {len(evidence.events)} events, highest score {curves.scores.max():.3f} (rarity {peak:.1f} nats)"
        )
    print(
        f"{alarms} false alarms in {hours * 60:.1f} minutes: {alarms / hours:.1f} an hour; "
        f"promised {given.false_alarms_per_hour:g} an hour, that is {given.false_alarms_per_hour * hours:.2f} expected"
    )


if __name__ == "__main__":
    main()
