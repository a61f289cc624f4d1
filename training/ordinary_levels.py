"""How often does ordinary footage of unknown cameras reach a level? Prints the `alarms` of a preset.

    python -m training.ordinary_levels CLIP...

Every clip is analysed without a scene. Two-second blocks of all of them together give the alarm levels, so a camera
with more footage counts for more. Give clips that may be used for shipped constants. Below each level stands every
clip's highest score by a level made without that clip.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from heatmap.levels import AlarmLevel, block_peaks, to_score
from heatmap.memory import smooth
from tvad.decoder_part import HeatDecoder
from tvad.detector import Detector
from tvad.head_part import HeadGraph
from tvad.parts import sigma_frames
from tvad.scan import NOTHING
from tvad.settings import Settings

RAW = AlarmLevel(0.0, 1.0, 1.0, 1.0)  # rarity = level


def peaks(detector: Detector, path: Path) -> dict[str, np.ndarray]:
    """Highest level of each part in each block of one clip."""
    reader = detector.reader(path)
    scan = detector.scan(reader, None, RAW)
    times = np.array(scan.times_s)
    heat = scan.heat.array()
    words = np.full(len(times), NOTHING)
    for thing in scan.things:
        rows = np.searchsorted(times, thing.times_s - 1e-6)
        np.maximum.at(words, rows, thing.level)
    found = {
        "memory": block_peaks(smooth(np.concatenate(scan.frame), sigma_frames(times)), times),
        "heat": block_peaks(heat.reshape(len(heat), -1).max(1).astype(np.float32), times),
        "words": block_peaks(words, times),
    }
    if scan.headed:
        level, times_s = (np.concatenate([getattr(h, key) for h in scan.headed]) for key in ("level", "times_s"))
        # At the frames, as the detector reads it: a block has as many of them as of any other part.
        found["head"] = block_peaks(np.interp(times, times_s, level), times)
    if scan.decoded:
        decoded = scan.decoded.array().reshape(len(times), -1).max(1).astype(np.float32)
        found["decoder"] = block_peaks(smooth(np.concatenate(scan.decoded_frame), sigma_frames(times)), times)
        found["decoder heat"] = block_peaks(decoded, times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--decoder", type=Path, help="folder of a heat decoder, to measure it too")
    parser.add_argument("--head", type=Path, help="folder of a temporal head, to measure it too")
    clips, folder, head = vars(parser.parse_args()).values()
    detector = Detector.from_settings(Settings())
    if folder:
        detector = replace(detector, decoder=HeatDecoder(folder))
    if head:
        detector = replace(detector, head=HeadGraph(head))
    found: dict[str, list[np.ndarray]] = {}
    for path in clips:
        own = peaks(detector, path)
        print(f"{path.name:30s}", {k: np.round(np.quantile(v, [0.5, 0.9, 1]), 2).tolist() for k, v in own.items()})
        for name, values in own.items():
            found.setdefault(name, []).append(values)
    for name, blocks in found.items():
        alarm = AlarmLevel.of_peaks(np.concatenate(blocks))
        print(f"{name}: {alarm}  level at once an hour: {alarm.level_at(1.0):.3f}")
        for left_out, (path, highest) in enumerate(zip(clips, [b.max() for b in blocks], strict=True)):
            others = AlarmLevel.of_peaks(np.concatenate([b for i, b in enumerate(blocks) if i != left_out]))
            print(f"  {path.name:30s} by the others' level: {float(to_score(others.rarity(highest))):.3f}")


if __name__ == "__main__":
    main()
