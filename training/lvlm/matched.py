"""Truth beside what the detector found of it: which track follows what, what left no trace, and both in a mirror.

Next: training/lvlm/rendered.py
"""

from dataclasses import replace

import numpy as np

from heatmap.motion import CELLS, DIRECTIONS
from training.datasets.truth import ClipTruth, Target
from tvad.evidence import Curves, Evidence, Track, TrackBox
from tvad.lvlm.view import shown_evidence
from tvad.sight import Sight

OVERLAP = 0.25  # mean share of the smaller box that both cover, from which a track follows a target
TRACE = 0.32  # heat inside a target's box that nobody can overlook; quiet places have 0.2


def shown(evidence: Evidence, curves: Curves) -> Evidence:
    """What a language model is shown of the findings."""
    return shown_evidence(evidence, curves.sight) if curves.sight else evidence


def match(truth: ClipTruth, evidence: Evidence, curves: Curves) -> dict[int, int]:
    """Id of a track -> id of the target it follows best, where it follows one."""
    found = {}
    for track in shown(evidence, curves).tracks:
        shares = {t.id: _overlap(track, t) for t in truth.targets}
        best = max(shares, key=lambda n: shares[n], default=0)
        if shares.get(best, 0.0) >= OVERLAP:
            found[track.id] = best
    return found


def knowable(truth: ClipTruth, evidence: Evidence, curves: Curves) -> ClipTruth | None:
    """The truth without the anomalous targets that left neither a track nor heat: no evidence tells of them.

    None when that leaves a clip whose anomaly cannot be known at all.
    """
    followed = set(match(truth, evidence, curves).values())
    gone = {t.id for t in truth.anomalous if t.id not in followed and _heat(t, curves, truth.size_wh) < TRACE}
    if gone and len(gone) == len(truth.anomalous):
        return None
    return replace(truth, targets=tuple(t for t in truth.targets if t.id not in gone)) if gone else truth


def boxes_at(target: Target, times_s: np.ndarray) -> np.ndarray:
    """(n, 4) boxes of a target at times, interpolated."""
    return np.stack([np.interp(times_s, target.times_s, column) for column in zip(*target.boxes, strict=True)], 1)


def _overlap(track: Track, target: Target) -> float:
    if not target.times_s:
        return 0.0
    times = np.array([b.t_s for b in track.boxes])
    there = (times >= target.times_s[0] - 0.1) & (times <= target.times_s[-1] + 0.1)
    own = np.array([b.xyxy for b in track.boxes])
    other = boxes_at(target, times)
    low, high = np.maximum(own[:, :2], other[:, :2]), np.minimum(own[:, 2:], other[:, 2:])
    both = np.clip(high - low, 0, None).prod(1)
    smaller = np.minimum((own[:, 2:] - own[:, :2]).prod(1), (other[:, 2:] - other[:, :2]).prod(1))
    return float((both / np.maximum(smaller, 1.0) * there).mean())


def _heat(target: Target, curves: Curves, size_wh: tuple[int, int]) -> float:
    """The highest heat inside a target while it is anomalous."""
    times = curves.heat_times_s
    rows = np.flatnonzero([any(a <= t <= b for a, b in target.anomalous_s) for t in times])
    if not len(rows) or not target.times_s:
        return 0.0
    height, width = curves.heat.shape[1:]
    cells = boxes_at(target, times[rows]) / np.tile(size_wh, 2) * np.tile((width, height), 2)
    best = 0.0
    for row, (x0, y0, x1, y1) in zip(rows.tolist(), cells.tolist(), strict=True):
        part = curves.heat[row, int(max(y0, 0)) : int(np.ceil(y1)) or 1, int(max(x0, 0)) : int(np.ceil(x1)) or 1]
        best = max(best, float(part.max()) if part.size else 0.0)
    return best


# --- the mirror ---------------------------------------------------------------------------------------------------

_SIDES = {"left": "right", "right": "left"}


def mirrored_word(name: str | None) -> str | None:
    """A cell, border or direction as a mirror shows it; other words stay."""
    return None if name is None else "-".join(_SIDES.get(part, part) for part in name.split("-"))


def mirrored_words(text: str) -> str:
    """A phrase of movement as a mirror shows it."""
    return " ".join(_SIDES.get(w.rstrip(",.;"), w.rstrip(",.;")) + w[len(w.rstrip(",.;")) :] for w in text.split(" "))


def mirrored_truth(truth: ClipTruth) -> ClipTruth:
    """The truth of a clip whose left and right are exchanged."""
    width = truth.size_wh[0]

    def turned(target: Target) -> Target:
        return replace(target, boxes=tuple((width - x1, y0, width - x0, y1) for x0, y0, x1, y1 in target.boxes))

    return replace(truth, id=f"{truth.id}-mirrored", targets=tuple(turned(t) for t in truth.targets))


def mirrored_evidence(evidence: Evidence) -> Evidence:
    """The evidence of such a clip: boxes and every word that names a side."""
    assert all(mirrored_word(n) in {*sum(CELLS, ()), *DIRECTIONS} for n in (*sum(CELLS, ()), *DIRECTIONS))
    width = evidence.video.width

    def box(b: TrackBox) -> TrackBox:
        x0, y0, x1, y1 = b.xyxy
        return replace(b, xyxy=(width - x1, y0, width - x0, y1))

    def track(t: Track) -> Track:
        motion = replace(
            t.motion, summary=mirrored_words(t.motion.summary), direction=mirrored_word(t.motion.direction)
        )
        return replace(
            t,
            boxes=tuple(box(b) for b in t.boxes),
            trajectory=tuple(str(mirrored_word(c)) for c in t.trajectory),
            motion=motion,
            entry=mirrored_word(t.entry),
            exit=mirrored_word(t.exit),
        )

    return replace(evidence, tracks=tuple(track(t) for t in evidence.tracks), summary=mirrored_words(evidence.summary))


def mirrored_curves(curves: Curves) -> Curves:
    """Heat and pictures of such a clip."""
    sight = curves.sight
    if sight is not None:
        suspects = mirrored_evidence(Evidence.from_json(sight.suspects)).to_json() if sight.suspects else ""
        patch = np.ascontiguousarray(sight.patch[:, :, ::-1])
        sight = Sight(sight.times_s, patch, sight.looks, sight.colours, suspects)
    return replace(curves, heat=np.ascontiguousarray(curves.heat[:, :, ::-1]), sight=sight)
