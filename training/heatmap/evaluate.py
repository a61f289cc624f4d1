"""Evaluate the decoder alone, without memory and without scene.

    python -m training.heatmap.evaluate CHECKPOINT --ped2 ../shared/data/ped2 [--clips 01 02] [--synthetic DATA]
    python -m training.heatmap.evaluate --untrained --ped2 ...
    python -m training.heatmap.evaluate --tower FOLDER [CHECKPOINT] --ped2 ...    a CLIP or SigLIP model's own patches

Ped2: micro- and macro-AUC of the frames and pixel AUROC on test clips, through the product's own stream; it chooses
nothing. Synthetic: the figures of training/heatmap/selection.py on DATA/validation, or with --split test micro, macro
and pixel (cells) on DATA/test. The curve is the mean of the hottest cells of the levels, smoothed over SIGMA_S; the
pixels' levels are smoothed as the heat is (tvad.parts.SIGMA_S). Cached clips hold runs of frames: nothing is smoothed.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from heatmap.decoder import HeatmapDecoder
from heatmap.prompts import PLAIN, Text
from training.heatmap.data import Folder
from training.heatmap.features import CachedClip
from training.heatmap.model import new_decoder, write_checkpoint
from training.heatmap.selection import levels_of, selection
from training.heatmap.words import general
from training.metrics import PixelAuroc, macro_auc, micro_auc, upsample
from training.pixel_data import GroundTruthClip, ped2
from tvad.classifier import shared_classifier
from tvad.decoder_part import DecodedLevels, DecoderPart, HeatDecoder, frame_level, words_text
from tvad.encoder import Encoder
from tvad.parts import SIGMA_S as HEAT_SIGMA_S
from tvad.parts import sigma_frames
from tvad.settings import MAX_SIDE_PX
from tvad.towers import VisionTower, tower_heat
from tvad.video import VideoReader
from tvad.watcher import Watcher, encoded_and_watched

SIGMA_S = 0.4
Decode = Callable[[Path], tuple[DecodedLevels, np.ndarray]]


def decoded(video: Path, decoder: HeatDecoder, text: Text, fps: float = 8.0) -> tuple[DecodedLevels, np.ndarray]:
    """Levels of a whole video, and the times of its source frames."""
    reader = VideoReader(video, fps, max_side=MAX_SIDE_PX)
    watcher = Watcher(shared_classifier(1))
    part = DecoderPart(decoder, text, reader.size_wh)
    found: list[DecodedLevels] = []
    for features in encoded_and_watched(reader, Encoder().stream(), watcher):
        found += part.push(features, [*watcher.take_ended(), *watcher.things.values()])
    found += part.finish(watcher.finish())
    joined = (np.concatenate([getattr(f, k) for f in found]) for k in ("level", "frame", "times_s"))
    return DecodedLevels(*joined), reader.source_times_s


def decoded_by_tower(
    video: Path, tower: VisionTower, decoder: HeatmapDecoder, text: Text, fps: float = 8.0
) -> tuple[DecodedLevels, np.ndarray]:
    """As `decoded`, of a vision tower's patches."""
    reader = VideoReader(video, fps)
    clips = [(clip.times_s, tower_heat(tower, decoder, clip.frames, text)) for clip in reader]
    level = np.concatenate([found for _, found in clips])
    times = np.concatenate([times for times, _ in clips])
    return DecodedLevels(level, frame_level(level), times), reader.source_times_s


def evaluate_ped2(clips: Sequence[GroundTruthClip], decode: Decode) -> dict[str, float]:
    """micro, macro (of clips with both kinds of frames) and pixel."""
    labels, scores, raw = [], [], []
    pixels = PixelAuroc()
    for clip in clips:
        masks = np.concatenate(list(clip.masks()))
        levels, source_times = decode(clip.video)
        sigma = sigma_frames(levels.times_s)
        smooth = gaussian_filter1d(levels.frame, sigma * SIGMA_S / HEAT_SIGMA_S) if sigma else levels.frame
        labels.append(np.asarray(masks.any((1, 2))))
        scores.append(np.interp(source_times, levels.times_s, smooth))
        raw.append(np.interp(source_times, levels.times_s, levels.frame))
        at = np.abs(source_times[:, None] - levels.times_s[None]).argmin(1)
        heat = gaussian_filter1d(levels.level, sigma, axis=0) if sigma else levels.level
        pixels.add(upsample(heat[at], masks.shape[1:]), masks)
    return {
        "micro": micro_auc(scores, labels),
        "raw": micro_auc(raw, labels),
        "macro": macro_auc(scores, labels),
        "pixel": pixels.value(),
    }


def evaluate_cached(decoder: HeatmapDecoder, folder: Folder) -> dict[str, float]:
    """micro, macro (of clips with both kinds of moments) and pixel (cells) of a folder of cached clips."""
    labels, scores = [], []
    pixels = PixelAuroc()
    for path in folder.paths:
        clip = CachedClip.load(path)
        level, target = levels_of(decoder, clip, general(clip)), clip.targets(clip.anomalous())
        labels.append(np.asarray(target.any((1, 2))))
        scores.append(frame_level(level))
        pixels.add(level, target.astype(bool))
    return {
        "micro": micro_auc(scores, labels),
        "macro": macro_auc(scores, labels),
        "pixel": pixels.value(),
        "clips": float(len(labels)),
        "anomalous": float(sum(label.any() for label in labels)),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--untrained", action="store_true", help="the decoder before training: looks and words alone")
    parser.add_argument("--ped2", type=Path, help="folder with test/ and masks/")
    parser.add_argument("--clips", nargs="*", help="names of the test clips; all of them if not given")
    parser.add_argument("--synthetic", type=Path, help="cached clips, in validation/ or test/")
    parser.add_argument("--split", choices=("validation", "test"), default="validation", help="of the cached clips")
    parser.add_argument("--anomaly", nargs="*", default=[], help="words instead of the default ones")
    parser.add_argument("--normal", nargs="*", default=[])
    parser.add_argument("--tower", type=Path, help="folder of a CLIP or SigLIP model; words alone without CHECKPOINT")
    given = parser.parse_args(arguments)
    if given.tower:
        if given.untrained or not given.ped2 or given.synthetic:
            parser.error("--tower goes with --ped2, and neither with --untrained nor with --synthetic")
        print(_of_tower(given))
        return
    if (given.checkpoint is None) != given.untrained:
        parser.error("give a checkpoint folder, or --untrained")
    with tempfile.TemporaryDirectory() as folder:
        if given.untrained:
            given.checkpoint = Path(folder)
            write_checkpoint(given.checkpoint, new_decoder(), {"step": 0})
        if given.ped2:
            clips = list(ped2(given.ped2, "test", given.clips))
            text = words_text(tuple(given.anomaly), tuple(given.normal))
            decoder = HeatDecoder(given.checkpoint)
            print(_line(len(clips), evaluate_ped2(clips, lambda video: decoded(video, decoder, text))), flush=True)
        if given.synthetic and given.split == "test":
            figures = evaluate_cached(HeatmapDecoder.load(given.checkpoint), Folder(given.synthetic, "test"))
            print("synthetic test: " + "  ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        elif given.synthetic:
            score = selection(HeatmapDecoder.load(given.checkpoint), Folder(given.synthetic, "validation"))
            print("synthetic validation: " + "  ".join(f"{k} {v:.4f}" for k, v in score.figures.items()))


def _of_tower(given: argparse.Namespace) -> str:
    tower = VisionTower(given.tower)
    decoder = HeatmapDecoder.load(given.checkpoint) if given.checkpoint else tower.decoder()
    text = Text.of(tower.embed, given.anomaly, given.normal, PLAIN)
    clips = list(ped2(given.ped2, "test", given.clips))
    return _line(len(clips), evaluate_ped2(clips, lambda video: decoded_by_tower(video, tower, decoder, text)))


def _line(count: int, figures: dict[str, float]) -> str:
    return f"ped2, {count} clips: " + "  ".join(f"{k} {v:.4f}" for k, v in figures.items())


if __name__ == "__main__":
    main()
