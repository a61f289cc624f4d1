"""Are the colours of moving things named right? On drawn clips, whose truth is known.

    tvad synth C --count 32 --seed 81000 --seconds 6 --fps 8 --size 480x270 --split validation
    python -m training.evaluate_colours C

A thing (tvad/watcher.py) is held against the drawn one whose boxes lie on its own, and the colours that its upper and
its lower half are given, by the names of its pixels (heatmap/appearance.py) and by what reads them (tvad/colours.py),
against the truth's. Clips at night and in grey are left out.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from heatmap.appearance import TERMS, colour_shares
from training.datasets.records import COLOURLESS
from training.datasets.truth import ClipTruth, Target
from training.pixel_data import TRUTH
from training.region_metrics import iou
from tvad.colours import ColourReader
from tvad.video import VideoReader
from tvad.watcher import Thing, Watcher

LEAST_OVERLAP = 0.4  # mean intersection over union of boxes
LEAST_SEEN = 4  # moments
NEAR_S = 0.1  # a moment of a thing is one of the truth
HALVES = ("upper", "lower")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    given = parser.parse_args()
    readers: dict[str, Callable[..., np.ndarray]] = {
        "pixels' own names": colour_shares,
        "reader": ColourReader.packaged(),
    }
    found: dict[str, list[tuple[str, str, str]]] = {name: [] for name in readers}
    for thing, target in labelled(given.clips):
        for name, reader in readers.items():
            shares = reader([s.rgb for s in thing.shots], [s.mask for s in thing.shots])
            for half, row in zip(HALVES, shares, strict=True):
                if wanted := target.colours.get(half, target.colours.get("whole")):
                    found[name].append((half, wanted, TERMS[int(row.argmax())]))
    for name, rows in found.items():
        if not rows:
            raise SystemExit(f"{given.clips}: no thing in it whose colours are known (tvad synth makes clips)")
        for half in HALVES:
            own = [wanted == named for of, wanted, named in rows if of == half]
            print(f"{name}, {half}: {sum(own)} of {len(own)} things, {np.mean(own):.3f}")
        wrong = Counter(f"{wanted} as {named}" for _, wanted, named in rows if wanted != named)
        print("  most frequent errors:", ", ".join(f"{error} {count}" for error, count in wrong.most_common(12)))


def labelled(folder: Path) -> Iterator[tuple[Thing, Target]]:
    """Things of a folder of drawn clips with colours, each with the drawn one that it is."""
    for path in sorted(folder.glob(f"*{TRUTH}")):
        truth = ClipTruth.load(path)
        if COLOURLESS & set(truth.conditions):
            continue
        for thing in things_of(path.with_name(path.name.removesuffix(TRUTH) + ".mp4")):
            target = max(truth.targets, key=lambda t: overlap(thing, t), default=None)
            if target is not None and overlap(thing, target) >= LEAST_OVERLAP and thing.shots:
                yield thing, target


def things_of(video: Path) -> list[Thing]:
    """What moves in a clip, and was seen often enough."""
    watcher = Watcher(None)
    found = []
    for clip in VideoReader(video):
        for frame, t_s in zip(clip.frames, clip.times_s, strict=True):
            watcher.step(frame, float(t_s))
        found += watcher.take_ended()
    return [thing for thing in (*found, *watcher.finish()) if len(thing.times_s) >= LEAST_SEEN]


def overlap(thing: Thing, target: Target) -> float:
    """Mean intersection over union at the thing's moments; 0 for moments at which the target is not seen."""
    times, boxes = np.array(target.times_s), np.array(target.boxes)
    out = []
    for t_s, box in zip(thing.times_s, thing.boxes, strict=True):
        at = int(np.abs(times - t_s).argmin())
        near = abs(times[at] - t_s) < NEAR_S
        out.append(float(iou(np.array(box), boxes[at : at + 1])[0]) if near else 0.0)
    return float(np.mean(out))


if __name__ == "__main__":
    main()
