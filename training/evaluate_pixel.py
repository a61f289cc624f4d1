"""Evaluate the detector on footage with pixel ground truth, as docs/RESULTS.md reports it.

    python -m training.evaluate_pixel PED2_FOLDER [--clips 01 02 ...] [--seeds 0 1 2]
    python -m training.evaluate_pixel CLIPS --synthetic      of `tvad synth CLIPS --takes 4`, each a place of its own
    ... --sam PATH      boxes of regions are those of SAM's masks where these agree with the heat (heatmap/sam.py)

Calibrates on all training clips (synthetic ones each on its own ordinary takes), analyses the test clips in every mode,
and prints frame level (micro-AUC of the score as shipped, and of the level before any smoothing in time), pixel AUROC,
RBDC and TBDC. Pixel figures use the heat as it is saved (half precision, patch grid), bilinearly enlarged to the masks.
Regions are cut from the same heat where it reaches --region-at. Tracks of truth are the instances of synthetic clips;
of Ped2 they are the linked components of the masks, not the original annotation.
"""

import argparse
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from heatmap.regions import extract_regions
from heatmap.sam import Segmenter, open_segmenter, refine
from heatmap.tracks import RegionTrack, Tracker, smooth
from training.metrics import PixelAuroc, macro_auc, micro_auc, upsample
from training.pixel_data import DataError, GroundTruthClip, ped2, synthetic
from training.region_metrics import FrameRegion, rbdc_tbdc, tracks_of_masks
from tvad.calibrate import calibrate
from tvad.detector import Detector
from tvad.evidence import Curves
from tvad.settings import MAX_SIDE_PX, PARTS, Settings
from tvad.video import Clip, VideoReader

FIGURES = ("micro", "raw", "macro", "pixel", "RBDC", "TBDC")
REGION_AT = 0.25  # score at which regions are cut; chosen on clips 01-06 of Ped2
PART_SETS: dict[str, tuple[str, ...]] = {
    "memory": ("memory",),
    "words": ("words",),
    "decoder": ("decoder",),
    "memory + words": ("memory", "words"),
    "memory + decoder": ("memory", "decoder"),
    "all but the head": ("memory", "decoder", "words"),
    "memory + words + head": ("memory", "words", "head"),
    "all": PARTS,
}
MODES: dict[str, tuple[bool, tuple[str, ...]]] = {
    f"{name}, {'' if scene else 'un'}calibrated": (scene, parts)
    for scene in (True, False)
    for name, parts in PART_SETS.items()
}


@dataclass
class Result:
    """Figures of one mode, gathered clip by clip; those of regions for each cut."""

    cuts: Sequence[float] = (REGION_AT,)
    labels: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    raw: list[np.ndarray] = field(default_factory=list)
    pixels: PixelAuroc = field(default_factory=PixelAuroc)
    regions: dict[float, list[list[FrameRegion]]] = field(default_factory=dict)
    truth: list[list[dict]] = field(default_factory=list)
    segmenter: Segmenter | None = None

    def add(self, clip: GroundTruthClip, curves: Curves, raw: np.ndarray | None, fps: float) -> None:
        instances = np.stack(list(clip.instances()))
        masks = instances > 0
        size_hw = masks.shape[1:]
        self.labels.append(np.asarray(masks.any((1, 2))))
        self.scores.append(curves.scores)
        if raw is not None:
            self.raw.append(np.interp(curves.times_s, curves.heat_times_s, raw))
        at = np.abs(curves.times_s[:, None] - curves.heat_times_s[None]).argmin(1)  # sampled frame of each source frame
        self.pixels.add(upsample(curves.heat[at], size_hw), masks)
        for cut in self.cuts:
            refiner = (self.segmenter, VideoReader(clip.video, fps, max_side=MAX_SIDE_PX)) if self.segmenter else None
            self.regions.setdefault(cut, []).append(regions_of(curves, size_hw, cut, at, refiner))
        self.truth.append(tracks_of_masks(instances))

    def figures(self) -> np.ndarray:
        """(cuts, FIGURES); raw is nan where it was not asked for."""
        raw = micro_auc(self.raw, self.labels) if self.raw else np.nan
        macro = macro_auc(self.scores, self.labels, pad=True)
        plain = [micro_auc(self.scores, self.labels), raw, macro, self.pixels.value()]
        frames = [len(x) for x in self.labels]
        return np.array([[*plain, *rbdc_tbdc(self.regions[cut], self.truth, frames)] for cut in self.cuts])


def regions_of(
    curves: Curves,
    size_hw: tuple[int, ...],
    region_at: float,
    at: np.ndarray,
    refiner: tuple[Segmenter, Iterable[Clip]] | None = None,
) -> list[FrameRegion]:
    """Regions of every source frame; each scored by the mean heat of the track it belongs to and its own, half each.
    refiner: SAM, and the frames that the heat is of."""
    size_wh = (size_hw[1], size_hw[0])
    tracker = Tracker(size_wh, max_gap_s=0.6)
    frames = (frame for clip in refiner[1] for frame in clip.frames) if refiner else iter(())
    for heat, t in zip(curves.heat, curves.heat_times_s, strict=True):
        found = extract_regions(heat, float(t), size_wh, region_at, keep_mask=refiner is not None)
        if refiner:
            found = [refined.region for refined in refine(refiner[0], next(frames), found, heat)]
        tracker.step(found, float(t))
    by_slice: dict[int, list[FrameRegion]] = {}
    for track in tracker.tracks(min_length=1):
        whole = smooth(track, tracker.times_s)
        for index, region in zip(whole.slices, whole.regions, strict=True):
            score = 0.5 * (region.score + track_score(track))
            by_slice.setdefault(index, []).append((index, region.box_xyxy, score))
    return [(frame, box, score) for frame, i in enumerate(at.tolist()) for _, box, score in by_slice.get(i, [])]


def track_score(track: RegionTrack) -> float:
    """Mean heat over a track's life, counting one second more at zero: what flickers up is believed less."""
    regions = track.regions
    length = regions[-1].t_s - regions[0].t_s
    return float(np.mean([r.score for r in regions])) * length / (length + 1.0)


def evaluate(
    clips: Sequence[GroundTruthClip],
    settings: Settings,
    seed: int = 0,
    scenes: Mapping[str, Path] | None = None,
    segmenter: Segmenter | None = None,
    cuts: Sequence[float] = (REGION_AT,),
) -> Result:
    """All clips in one mode. scenes: the scene file of each clip by its name, where they have their own."""
    detector = replace(Detector.from_settings(settings), seed=seed)
    result = Result(cuts, segmenter=segmenter)
    for clip in clips:
        if scenes is not None:
            own = replace(settings, scene=str(scenes[clip.name]))
            detector = replace(Detector.from_settings(own), seed=seed)
        raw = None
        if settings.parts == ("memory",):
            reader = VideoReader(clip.video, settings.fps, max_side=MAX_SIDE_PX)
            raw = np.concatenate(detector.scan(reader, None).frame)
        result.add(clip, detector.analyze(clip.video).curves, raw, settings.fps)
    return result


def calibrate_each(
    clips: Sequence[GroundTruthClip], folder: Path, parts: tuple[str, ...], seed: int = 0
) -> dict[str, Path]:
    """A scene file for each clip, from its own ordinary takes. DataError where a clip has none."""
    scenes = {}
    for clip in clips:
        if not clip.ordinary:
            raise DataError(f"{clip.video} has no ordinary takes; make the clips anew with tvad synth --takes 4")
        scenes[clip.name] = folder / f"{clip.name}.{seed}.scene.safetensors"
        calibrate(clip.ordinary, scenes[clip.name], Settings(parts=parts), seed=seed)
    return scenes


def _spread(values: np.ndarray) -> str:
    return "-" if np.isnan(values).any() else f"{values.mean():.4f} ±{values.std():.4f}"


def _parts(modes: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for mode in modes for part in MODES[mode][1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder with train/, test/ and masks/")
    parser.add_argument("--clips", nargs="*", help="names of the test clips; all of them if not given")
    usual = [mode for mode, (_, parts) in MODES.items() if "decoder" not in parts]
    parser.add_argument("--modes", nargs="*", default=usual, choices=list(MODES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--synthetic", action="store_true", help="root holds synthetic clips")
    parser.add_argument("--sam", help="SAM's weights, a .safetensors file or a folder")
    about = f"scores from which heat is a region, a line each; {REGION_AT} if not given"
    parser.add_argument("--region-at", type=float, nargs="+", default=[REGION_AT], help=about)
    given = parser.parse_args()
    segmenter = open_segmenter(given.sam) if given.sam else None
    clips = synthetic(given.root, given.clips) if given.synthetic else list(ped2(given.root, "test", given.clips))
    with tempfile.TemporaryDirectory() as folder:
        scenes = {seed: str(Path(folder) / f"{seed}.scene.safetensors") for seed in given.seeds}
        each: dict[int, dict[str, Path]] = {}
        if given.synthetic and any(MODES[mode][0] for mode in given.modes):
            each = {seed: calibrate_each(clips, Path(folder), _parts(given.modes), seed) for seed in given.seeds}
        elif any(MODES[mode][0] for mode in given.modes):
            normal = [clip.video for clip in ped2(given.root, "train")]
            for seed, scene in scenes.items():
                report = calibrate(normal, scene, Settings(parts=_parts(given.modes)), seed=seed)
            print(f"calibrated on {report.clips} clips, {report.frames} frames; tested on {len(clips)} clips")
        print(f"{'mode':37s}{''.join(f'{name:>17s}' for name in FIGURES)}")
        for mode in given.modes:
            calibrated, parts = MODES[mode]
            rows = []
            for seed, scene in scenes.items():
                own = each.get(seed) if calibrated else None
                settings = Settings(scene=scene if calibrated and own is None else None, parts=parts)
                rows.append(evaluate(clips, settings, seed, own, segmenter, given.region_at).figures())
            for cut, figures in zip(given.region_at, np.transpose(rows, (1, 2, 0)), strict=True):
                name = f"{mode}, {cut}" if len(given.region_at) > 1 else mode
                print(f"{name:37s}{''.join(f'{_spread(x):>17s}' for x in figures)}", flush=True)


if __name__ == "__main__":
    main()
