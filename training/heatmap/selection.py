"""Selection: how good a decoder is on clips it has not learned from, to choose between the weights of a run.

Next: training/heatmap/evaluate.py
"""

from dataclasses import dataclass

import numpy as np
import torch

from training.heatmap.data import Folder, as_batch
from training.heatmap.features import RUN, CachedClip
from training.heatmap.words import Question, general, meaning, phrases_of
from training.metrics import auc
from tvad.decoder_part import frame_level


@dataclass(frozen=True)
class SelectionScore:
    """value: the mean of the figures, the higher the better.

    figures, each an area under a ROC curve, in [0, 1]: "frames", which moments are anomalous; "cells", which places of
    anomalous moments; "quiet", anomalous moments of made clips against moments of ordinary real ones; "words", which
    places a single word of something present means. Those that the clips do not allow are left out.
    """

    value: float
    figures: dict[str, float]

    @classmethod
    def none(cls, step: int) -> "SelectionScore":
        """Later is better: of a run without selection data."""
        return cls(float(step), {})


def selection(decoder: torch.nn.Module, folder: Folder) -> SelectionScore:
    """Measure a decoder on a folder of cached clips, on the decoder's device."""
    labels, levels, real = [], [], []
    cells: list[float] = []
    words: list[float] = []
    for path in folder.paths:
        clip = CachedClip.load(path)
        level = levels_of(decoder, clip, general(clip))
        target = clip.targets(clip.anomalous())
        labels.append(target.any((1, 2)))
        levels.append(frame_level(level))
        real.append(np.full(len(level), clip.real))
        cells += cell_auc(level, target)
        words += _word_auc(decoder, clip)
    y, x, r = (np.concatenate(v) for v in (labels, levels, real))
    figures = {}
    if y.any() and not y.all():
        figures["frames"] = auc(x[~r], y[~r]) if (~y & ~r).any() else auc(x, y)
    if cells:
        figures["cells"] = float(np.mean(cells))
    if y.any() and (r & ~y).any():
        pick = y | r
        figures["quiet"] = auc(x[pick], y[pick])
    if words:
        figures["words"] = float(np.mean(words))
    return SelectionScore(float(np.mean(list(figures.values()))) if figures else 0.0, figures)


@torch.no_grad()
def levels_of(decoder: torch.nn.Module, clip: CachedClip, question: Question) -> np.ndarray:
    """Log odds (N, h, w) of a clip's frames."""
    device = next(decoder.parameters()).device
    was_training = decoder.training
    decoder.eval()
    batch = as_batch(clip, [question] * (len(clip.taps) // RUN)).to(device)
    out: np.ndarray = decoder(batch.taps, batch.text, batch.words).level.flatten(0, 1).float().cpu().numpy()
    decoder.train(was_training)
    return out


def cell_auc(level: np.ndarray, target: np.ndarray) -> list[float]:
    hot = target.any((1, 2))
    return [auc(level[hot].ravel(), target[hot].ravel())] if hot.any() else []


def _word_auc(decoder: torch.nn.Module, clip: CachedClip) -> list[float]:
    """One word of the first target that is not a person: with people everywhere, "person" says little."""
    known = {t.id: t for t in clip.truth.targets}
    others = [known[i] for i in clip.ids.tolist() if known[i].noun != "person"]
    seen = [t for t in others if clip.cover[clip.ids.tolist().index(t.id)].any()]
    if not seen:
        return []
    word = phrases_of(seen[0])[0]
    wanted = meaning(word, clip)
    question = general(clip)
    level = levels_of(decoder, clip, Question((word,), question.normal, wanted))
    return cell_auc(level, clip.targets(wanted))
