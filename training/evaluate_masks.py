"""Is the rule of heatmap/sam.py any good? Asked with masks whose truth is known, in the place of SAM's.

    python -m training.evaluate_masks PED2_FOLDER [--clips 01 02 ...] [--train 01 02 ...]

Calibrates on training clips, cuts regions from the heat of the test clips as training.evaluate_pixel does, and offers
each region (a) the true shape of the thing nearest to it, as a perfect SAM would, and three masks that are wrong: (b)
that shape beside itself, (c) all of the frame, (d) the region's box. Prints how many of each the rule takes, over the
regions whose box meets a true thing, and how well regions and what the rule made of them fit the truth.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from heatmap.regions import Region, extract_regions
from heatmap.sam import Refined, refine
from training.evaluate_pixel import REGION_AT
from training.pixel_data import GroundTruthClip, ped2
from tvad.calibrate import calibrate
from tvad.detector import Detector
from tvad.settings import Settings

Offer = Callable[[np.ndarray, tuple[float, float, float, float]], np.ndarray]


class Offered:
    """A segmenter that answers every prompt with one mask."""

    def __init__(self, mask: np.ndarray) -> None:
        self._mask = mask

    def set_image(self, frame: np.ndarray) -> None:
        """See heatmap.sam.Segmenter."""

    def masks(self, box_xyxy: object, point_xy: object) -> np.ndarray:
        """See heatmap.sam.Segmenter."""
        return self._mask[None]


def true_thing(truth: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray | None:
    """The connected true thing that shares most pixels with a box; None where none does."""
    _, labels = cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)
    x0, y0, x1, y1 = (round(v) for v in box)
    inside = labels[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]
    counts = np.bincount(inside[inside > 0]) if (inside > 0).any() else np.zeros(0)
    return labels == int(counts.argmax()) if counts.size else None


def beside(thing: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The thing moved by one and a half of its own width, to the side with more room."""
    columns = np.flatnonzero(thing.any(0))
    step = round(1.5 * (columns[-1] - columns[0] + 1))
    moved = np.zeros_like(thing)
    if columns[0] > thing.shape[1] - columns[-1]:
        moved[:, :-step] = thing[:, step:]
    else:
        moved[:, step:] = thing[:, :-step]
    return moved


def filled(thing: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    x0, y0, x1, y1 = (round(v) for v in box)
    mask = np.zeros_like(thing)
    mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
    return mask


OFFERS: dict[str, Offer] = {
    "the true shape": lambda thing, box: thing,
    "that shape beside itself": beside,
    "all of the frame": lambda thing, box: np.ones_like(thing),
    "the region's box": filled,
}


def met(clips: Sequence[GroundTruthClip], detector: Detector) -> Iterator[tuple[np.ndarray, Region, np.ndarray]]:
    """The heat, a region whose box meets a true thing, and that thing's mask, over all sampled frames."""
    for clip in clips:
        curves = detector.analyze(clip.video).curves
        truth = np.concatenate(list(clip.masks()))
        size_wh = (truth.shape[2], truth.shape[1])
        at = np.abs(curves.heat_times_s[:, None] - curves.times_s[None]).argmin(1)
        for heat, t_s, frame in zip(curves.heat, curves.heat_times_s, at, strict=True):
            for region in extract_regions(heat, float(t_s), size_wh, REGION_AT, keep_mask=True):
                thing = true_thing(truth[frame], region.box_xyxy)
                if thing is not None:
                    yield heat, region, thing


def overlap(region: Region, thing: np.ndarray) -> float:
    """IoU of a region's mask and a true thing."""
    assert region.mask is not None
    mask = cv2.resize(region.mask.astype(np.uint8), thing.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return float((mask & thing).sum() / (mask | thing).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder with train/, test/ and masks/")
    parser.add_argument("--clips", nargs="*", help="names of the test clips; all of them if not given")
    parser.add_argument("--train", nargs="*", help="names of the training clips; all of them if not given")
    given = parser.parse_args()
    parts = ("memory", "words")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.safetensors"
        calibrate([clip.video for clip in ped2(given.root, "train", given.train)], scene, Settings(parts=parts))
        detector = Detector.from_settings(Settings(scene=str(scene), parts=parts))
        found = list(met(list(ped2(given.root, "test", given.clips)), detector))
    frame = np.zeros((*found[0][2].shape, 3), np.uint8)
    taken: dict[str, list[Refined]] = {name: [] for name in OFFERS}
    for heat, region, thing in found:
        for name, offer in OFFERS.items():
            taken[name] += refine(Offered(offer(thing, region.box_xyxy)), frame, [region], heat)
    print(f"{len(found)} regions that meet a true thing; IoU with it {_mean(overlap(r, t) for _, r, t in found):.3f}")
    print(f"{'offered':28s}{'taken':>8s}{'IoU after':>12s}")
    for name, made in taken.items():
        share = sum(r.by == "sam" for r in made) / len(made)
        after = _mean(overlap(r.region, t) for r, (_, _, t) in zip(made, found, strict=True))
        print(f"{name:28s}{share:8.1%}{after:12.3f}")


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))


if __name__ == "__main__":
    main()
