"""Assets: real people, vehicles and places for the generator, cut out of clips whose licence allows it.

    python -m training.datasets.synthetic.assets DATA OUT

DATA is a folder like ../shared/data. OUT gets backgrounds/*.png, cutouts/*.npz and assets.json, which names the
source and licence of each. The clips are listed in SOURCES; nothing else is read.

Next: training/datasets/synthetic/clip.py
"""

import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from heatmap.appearance import NAMES, name_pixels
from training.datasets.synthetic.actors.cutouts import Cutout
from training.datasets.synthetic.actors.cutting import Detector, Followed, Found, cut, follow, median_picture
from tvad.evidence import write_atomic

SURE, GUESS = 0.55, 0.2  # scores from which on a small person, a larger one is one, in a background
SMALL = 0.08  # of the picture's height
CALM = 0.55  # share of the pixels that must stay as they are, or the camera moved
LEAST_FRAMES = 8
LEAST_HEIGHT = 40  # px
MOST_HEIGHT = 260  # px, of what is kept
MOST_FRAMES = 48
GLASS_SHARE = 0.35
TALL_M, CAR_WIDE_M, CAR_SIZE_M = 1.72, 1.8, (4.3, 1.8, 1.5)
STEEPNESS = 0.45  # of these cameras: sine of the angle at which they look down, roughly
STRIDE_S = 1.08  # of a walking cycle where the outline does not tell


@dataclass(frozen=True)
class Source:
    """Clips of one licence. every: frames taken; most: of them, at most; pictures_only: nobody is cut out."""

    pattern: str
    licence: str
    credit: str
    every: int
    most: int
    pictures_only: bool = False


SOURCES = (
    Source("street/vtest.avi", "Apache-2.0", "OpenCV samples", 1, 795),
    Source("street/road_bgs03.avi", "MIT", "bgslibrary", 4, 420),
    Source("fight_surv/noFight/*.mp4", "MIT", "Akti et al. 2019, fight detection in surveillance", 1, 0, True),
    Source("gmdcsa24_fall/subject*/*/*.mp4", "MIT", "GMDCSA-24", 1, 0, True),
)


@dataclass(frozen=True)
class Background:
    """A place without people. rgb (h, w, 3) uint8. horizon_px, gain: someone whose feet are at row y is about
    gain * (y - horizon_px) px tall (TALL_M metres); None where too few people were seen."""

    rgb: np.ndarray
    horizon_px: float | None
    gain: float | None
    source: str
    licence: str


@dataclass(frozen=True)
class Assets:
    """What a folder holds."""

    backgrounds: tuple[Background, ...]
    people: tuple[Cutout, ...]
    vehicles: tuple[Cutout, ...]

    @property
    def cutouts(self) -> tuple[Cutout, ...]:
        return self.people + self.vehicles

    @classmethod
    def load(cls, folder: str | Path) -> "Assets":
        """Read what build_assets wrote. Raises FileNotFoundError where that has not been done."""
        root = Path(folder)
        index = root / "assets.json"
        if not index.is_file():
            command = f"python -m training.datasets.synthetic.assets DATA {root}"
            raise FileNotFoundError(f"no {index}; build it with `{command}`")
        known = json.loads(index.read_text(encoding="utf-8"))
        places = tuple(
            Background(
                _picture(root / b["file"]), b["horizon_px"], b["gain"],
                b["source"], b["licence"],
            )
            for b in known["backgrounds"]
        )  # fmt: skip
        cutouts = [_read(root, c) for c in known["cutouts"]]
        people = tuple(c for c in cutouts if c.noun == "person")
        return cls(places, people, tuple(c for c in cutouts if c.noun != "person"))


def _picture(path: Path) -> np.ndarray:
    bgr = cv2.imread(str(path))
    if bgr is None:
        raise OSError(f"cannot read {path} as a picture; build the assets again")
    return bgr[..., ::-1].copy()


def _read(root: Path, c: dict) -> Cutout:  # type: ignore[type-arg]
    with np.load(root / c["file"], allow_pickle=False) as data:
        frames = data["rgba"]
    x, y = c["foot"]
    length, wide, tall = c["size_m"]
    return Cutout(
        c["noun"], frames, (x, y), c["px_per_m"], c["heading"], c["cycles"], dict(c["colours"]), (length, wide, tall),
        c["source"], c["licence"],
    )  # fmt: skip


def build_assets(data_folder: str | Path, out_folder: str | Path) -> Assets:
    """Cut everything out of the clips of SOURCES. Raises FileNotFoundError without the detector's weights or where no
    clip of SOURCES is there."""
    data, out = Path(data_folder), Path(out_folder)
    detector = Detector(data / "weights" / "yolox_nano.onnx")
    clips = [(source, clip) for source in SOURCES for clip in sorted(data.glob(source.pattern))]
    if not clips:
        raise FileNotFoundError(f"none of {[s.pattern for s in SOURCES]} in {data}; name the folder with the clips")
    index: dict[str, list[dict[str, object]]] = {"backgrounds": [], "cutouts": []}
    known: list[np.ndarray] = []
    for source, clip in clips:
        name = "-".join(clip.relative_to(data).with_suffix("").parts)
        middle, calm = median_picture(clip, _count(clip))
        if calm < CALM:
            continue
        named = {"source": f"{clip.relative_to(data).as_posix()} ({source.credit})", "licence": source.licence}
        things = [] if source.pictures_only else list(follow(clip, middle, detector, source.every, source.most))
        fps = cv2.VideoCapture(str(clip)).get(cv2.CAP_PROP_FPS) / source.every
        for number, cutout in enumerate(_sequences(things, fps, **named)):
            index["cutouts"].append(_save(out, f"cutouts/{name}-{number:03d}.npz", cutout))
        if not has_people(detector(middle, GUESS), middle.shape[0]) and _is_new(middle, known):
            file = f"backgrounds/{name}.png"
            _write(out / file, cv2.imencode(".png", middle)[1].tobytes())
            horizon, gain = _ground(things)
            index["backgrounds"].append({"file": file, "horizon_px": horizon, "gain": gain, **named})
        print(f"{name}: {len(index['cutouts'])} cut-outs, {len(index['backgrounds'])} backgrounds so far")
    text = json.dumps(index, indent=1) + "\n"
    _write(out / "assets.json", text.encode())
    return Assets.load(out)


def has_people(found: Sequence[Found], height: int) -> bool:
    """Whether somebody is left in a background of a height, from a detector's guesses."""
    people = [f for f in found if f.label == "person"]
    return any(f.score > SURE or f.box[3] - f.box[1] > SMALL * height for f in people)


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, lambda file: file.write(content))


def _count(clip: Path) -> int:
    return int(cv2.VideoCapture(str(clip)).get(cv2.CAP_PROP_FRAME_COUNT))


def _is_new(picture: np.ndarray, known: list[np.ndarray]) -> bool:
    """Whether no place so far looks like it; remembers it then."""
    small = cv2.resize(picture, (32, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
    if any(np.abs(small - k).mean() < 9 for k in known):
        return False
    known.append(small)
    return True


def _save(out: Path, file: str, cutout: Cutout) -> dict[str, object]:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, rgba=cutout.frames)
    _write(out / file, buffer.getvalue())
    fields = ("noun", "foot", "px_per_m", "heading", "cycles", "colours", "size_m", "source", "licence")
    return {"file": file, **{name: getattr(cutout, name) for name in fields}}


def _ground(things: Sequence[Followed]) -> tuple[float | None, float | None]:
    """Horizon row and gain of the line that says how tall people are at a row, from whoever was followed."""
    boxes = np.array([b for t in things if t.label == "person" for b in t.boxes])
    if len(boxes) < 60 or np.ptp(boxes[:, 3]) < 40:
        return None, None
    feet, tall = boxes[:, 3], boxes[:, 3] - boxes[:, 1]
    gain, offset = np.polyfit(feet, tall, 1)
    if gain < 0.05 or np.corrcoef(feet, tall)[0, 1] < 0.6:
        return None, None
    return float(-offset / gain), float(gain)


def _sequences(things: Sequence[Followed], fps: float, source: str, licence: str) -> Iterator[Cutout]:
    for thing in things:
        for start in range(0, len(thing.boxes) - LEAST_FRAMES + 1, MOST_FRAMES):
            cutout = _sequence(thing, slice(start, start + MOST_FRAMES), fps, source, licence)
            if cutout is not None:
                yield cutout


def _sequence(thing: Followed, part: slice, fps: float, source: str, licence: str) -> Cutout | None:
    """One clean sequence of a thing, or None."""
    boxes = np.array(thing.boxes[part])
    tall = float(np.median(boxes[:, 3] - boxes[:, 1]))
    is_person = thing.label == "person"
    moved = boxes[-1] - boxes[0]
    dx, dy = float(moved[0] + moved[2]) / 2, float(moved[3])
    if len(boxes) < LEAST_FRAMES or tall < LEAST_HEIGHT or math.hypot(dx, dy / STEEPNESS) < 0.35 * tall:
        return None
    cuts: list[tuple[np.ndarray, int]] = []
    for i in range(*part.indices(len(thing.boxes))):
        left, top = thing.corners[i]
        x0, y0, x1, y1 = thing.boxes[i]
        bgra = cut(thing.crops[i], thing.behind[i], (x0 - left, y0 - top, x1 - left, y1 - top))
        if bgra is not None and is_clean(bgra[..., 3], (x0 - left, y0 - top, x1 - left, y1 - top), is_person):
            cuts.append((bgra, i - (part.start or 0)))
        elif len(cuts) >= LEAST_FRAMES:
            break
        else:
            cuts = []
    if len(cuts) < LEAST_FRAMES:
        return None
    first, last = cuts[0][1], cuts[-1][1]
    frames, foot, scale_px = _aligned(thing, cuts, boxes, part.start or 0)
    if not is_steady(frames[..., 3]):
        return None
    wide_m = None if is_person else CAR_WIDE_M
    heading = math.atan2(-dy / STEEPNESS, dx)
    cycles, kept = _gait(frames[..., 3], fps) if is_person else (0.0, len(frames))
    if kept < LEAST_FRAMES:
        return None
    frames = frames[:kept]
    if is_person:
        px_per_m, size = scale_px / TALL_M, (0.4, 0.55, TALL_M)
        colours = {"upper": commonest(frames, 0.2, 0.45), "lower": commonest(frames, 0.58, 0.85)}
    else:
        if away(heading) > math.radians(25):
            return None  # seen from the side, its width says nothing about its scale
        wide_px = float(np.median(boxes[first : last + 1, 2] - boxes[first : last + 1, 0])) * _shrink(tall)
        px_per_m, size = wide_px / (wide_m or CAR_WIDE_M), CAR_SIZE_M
        colours = {"whole": commonest(frames, 0.2, 0.8, glass=True)}
    noun = "person" if is_person else "car"
    return Cutout(noun, frames, foot, px_per_m, heading, cycles, colours, size, source, licence)


def away(heading: float) -> float:
    """Angle between a heading and straight away or towards, whichever is nearer."""
    return abs(abs(math.atan2(math.sin(heading), math.cos(heading))) - math.pi / 2)


def is_clean(alpha: np.ndarray, box: tuple[float, float, float, float], is_person: bool) -> bool:
    """Whether an outline fills its box as a body does, and is of one piece."""
    solid = alpha > 127
    if not solid.any():
        return False
    rows, columns = np.nonzero(solid)
    tall, wide = box[3] - box[1], box[2] - box[0]
    filled = solid.sum() / (tall * wide)
    least, most = (0.28, 0.8) if is_person else (0.55, 1.05)
    ends = abs(rows.min() - box[1]) < 0.1 * tall and abs(rows.max() - box[3]) < 0.12 * tall
    sides = columns.min() > box[0] - 0.15 * wide and columns.max() < box[2] + 0.15 * wide
    _, _, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8))
    whole = stats[1:, cv2.CC_STAT_AREA].max() > 0.9 * solid.sum()
    return bool(least < filled < most and ends and sides and whole)


def is_steady(alpha: np.ndarray) -> bool:
    """Whether outlines (n, h, w) change as those of one body do: in area little, from one to the next not all."""
    solid = alpha > 127
    areas = solid.sum(axis=(1, 2))
    both = (solid[1:] & solid[:-1]).sum(axis=(1, 2)) / np.maximum((solid[1:] | solid[:-1]).sum(axis=(1, 2)), 1)
    return bool(areas.std() < 0.16 * areas.mean() and np.median(both) > 0.6 and both.min() > 0.4)


def _shrink(tall: float) -> float:
    return min(1.0, MOST_HEIGHT / tall)


def _aligned(
    thing: Followed, cuts: Sequence[tuple[np.ndarray, int]], boxes: np.ndarray, start: int
) -> tuple[np.ndarray, tuple[float, float], float]:
    """Frames (n, h, w, 4) RGBA with the same foot and scale, the foot, and the height of a body in them, px."""
    at = np.array([i for _, i in cuts], float)

    def smooth(values: np.ndarray) -> np.ndarray:
        """What changes slowly: the way and the distance, not the steps."""
        degree = 2 if len(at) > 12 else 1
        return np.polyval(np.polyfit(at, values[at.astype(int)], degree), at)

    tall, x = smooth(boxes[:, 3] - boxes[:, 1]), smooth((boxes[:, 0] + boxes[:, 2]) / 2)
    y = smooth(boxes[:, 3])
    target = float(np.median(tall)) * _shrink(float(np.median(tall)))
    wide = float(np.max((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1]))) * target
    width, height = int(wide * 1.35) + 6, int(target * 1.2) + 6
    foot = (width / 2, height - 0.08 * target)
    out = []
    for (bgra, i), t, cx, cy in zip(cuts, tall.tolist(), x.tolist(), y.tolist(), strict=True):
        left, top = thing.corners[start + i]
        k = target / t
        move = np.array([[k, 0, foot[0] - k * (cx - left)], [0, k, foot[1] - k * (cy - top)]])
        whole = bgra.astype(np.float32)
        whole[..., :3] *= whole[..., 3:] / 255
        way = cv2.INTER_AREA if k < 0.7 else cv2.INTER_LINEAR
        placed = cv2.warpAffine(whole, move, (width, height), flags=way)
        placed[..., :3] = placed[..., :3] * (255 / np.maximum(placed[..., 3:], 1))
        out.append(np.clip(placed[..., [2, 1, 0, 3]], 0, 255).astype(np.uint8))
    return np.stack(out), foot, target


def _gait(alpha: np.ndarray, fps: float) -> tuple[float, int]:
    """Cycles of walking in outlines (n, h, w), and how many frames to keep for a whole number of them.

    A step is the lag at which the width of the legs repeats itself (autocorrelation); two steps are a cycle.
    """
    legs = (alpha[:, int(alpha.shape[1] * 0.62) :] > 127).any(axis=1).sum(axis=1).astype(float)
    legs -= np.convolve(np.pad(legs, 5, mode="edge"), np.ones(11) / 11, "valid")
    cycle = STRIDE_S * fps
    least, most = max(2, round(0.38 * fps)), round(0.75 * fps)
    lags = range(least, min(most, len(legs) // 2) + 1)
    power = float((legs**2).mean()) or 1.0
    strength = {k: float((legs[k:] * legs[:-k]).mean()) / power for k in lags}
    best = max(strength, key=lambda k: strength[k], default=None)
    if best is not None and strength[best] > 0.3:
        cycle = 2.0 * best
    whole = math.floor(len(alpha) / cycle + 0.1)
    return (float(whole), min(len(alpha), round(whole * cycle))) if whole else (0.0, 0)


def commonest(frames: np.ndarray, top: float, bottom: float, glass: bool = False) -> str:
    """Commonest colour word, without light or dark, between two shares of the height of (n, h, w, 4) frames.

    glass: black is windows, tyres and grille unless there is little else.
    """
    rows = np.nonzero((frames[..., 3] > 127).any(axis=(0, 2)))[0]
    y0, y1 = int(rows[0] + top * np.ptp(rows)), int(rows[0] + bottom * np.ptp(rows)) + 1
    band = frames[:, y0:y1]
    pixels = band[band[..., 3] > 200][:, :3]
    words = [{"dark grey": "black", "light grey": "white"}.get(n, n.split()[-1]) for n in NAMES]
    named = [words[i] for i in name_pixels(pixels[:: max(1, len(pixels) // 4000)]).tolist()]
    painted = [word for word in named if word != "black"]
    if glass and len(painted) > GLASS_SHARE * len(named):
        named = painted
    return max(sorted(set(named)), key=named.count)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m training.datasets.synthetic.assets DATA OUT")
    found = build_assets(*sys.argv[1:])
    print(f"{len(found.people)} people, {len(found.vehicles)} vehicles, {len(found.backgrounds)} backgrounds")
