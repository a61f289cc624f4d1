"""Draw the example clips: a plaza seen by a fixed camera, people walking, and once a red bicycle among them.

    python examples/make_plaza.py            # plaza.mp4, plaza_normal.mp4, plaza.truth.json beside this file

Everything is drawn from seeds; two runs on one machine give the same files. Needs numpy, OpenCV and PyAV.
Next: plaza_people.py (who walks), plaza_scene.py (where), plaza_render.py (how a picture comes of it)
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from plaza_people import Ride, Walk, cyclist, new_look, walker
from plaza_render import (
    EYE,
    FOCAL_PX,
    HEIGHT,
    PITCH_RAD,
    SKY_RGB,
    SS,
    SUN,
    SUN_RGB,
    TEXELS,
    WIDTH,
    Parts,
    cast,
    empty_ground,
    render,
    texel,
    to_srgb,
)
from plaza_scene import BENCHES, LAMPS, PLANTERS, TREES, Scene, build, seen

FPS = 25
SHUTTER_S = 1 / 60
NOISE_LEVELS = 1.7
CRF = 25
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Plan:
    """One clip: its name, length, seed, how many people walk through, and the cyclist, if any."""

    name: str
    duration_s: float
    seed: int
    walkers: int
    ride: Ride | None


RIDE = Ride(start=(-9.3, 16.4), heading=float(np.arctan2(-4.6, 16.2)), speed=3.7, start_s=9.0)
PLAZA = Plan("plaza", 23.0, 11, 17, RIDE)
NORMAL = Plan("plaza_normal", 40.0, 2, 26, None)


def half_width(y: float) -> float:
    """Half of what the camera sees of the ground at distance y, metres."""
    slant = y * np.cos(PITCH_RAD) + EYE[2] * np.sin(PITCH_RAD)
    return float(WIDTH / 2 / FOCAL_PX * slant)


def _random_walk(rng: np.random.Generator, start_s: float, top: int) -> Walk:
    """From one side to the other, or between a side and the near edge."""
    side = float(rng.choice([-1, 1]))
    y0, y1 = rng.uniform(10.2, 18.4), rng.uniform(10.2, 18.4)
    if rng.random() < 0.75:
        y1 = float(np.clip(y0 + rng.uniform(-3, 3), 10.2, 18.4))
        ends = np.array([[side * (half_width(y0) + 1.2), y0], [-side * (half_width(y1) + 1.2), y1]])
    else:
        ends = np.array([[side * (half_width(y0) + 1.2), y0], [rng.uniform(-3.0, 3.5), 5.6]])
        ends = ends[:: int(rng.choice([-1, 1]))]
    dx, dy = ends[1] - ends[0]
    look = new_look(rng, top)
    speed, sway = float(rng.uniform(1.1, 1.5)), float(rng.uniform(0, 6.28))
    return Walk(look, (float(ends[0, 0]), float(ends[0, 1])), float(np.arctan2(dy, dx)), speed, start_s, sway)


def _path(walk: Walk, times_s: np.ndarray) -> np.ndarray:
    """(N, 2) where the walker is; not a number before the start."""
    path = np.array([walk.at(float(t))[:2] for t in times_s])
    path[times_s < walk.start_s] = np.nan
    return path


def _blocked(path: np.ndarray) -> bool:
    """Whether a path runs into what stands on the plaza."""
    for (x0, y0, _), (x1, y1, _) in PLANTERS:
        inside = (path > [x0 - 0.5, y0 - 0.5]) & (path < [x1 + 0.5, y1 + 0.5])
        if inside.all(1).any():
            return True
    posts = np.array([*LAMPS, *BENCHES, *(tree[:2] for tree in TREES)])
    return bool((np.linalg.norm(path[:, None] - posts, axis=2) < 0.7).any())


def plan_walks(plan: Plan) -> list[Walk]:
    """People who keep clear of each other, of things and of the cyclist; two of them stand and talk."""
    rng = np.random.default_rng(plan.seed)
    times = np.arange(-12.0, plan.duration_s, 0.2)
    paths: list[np.ndarray] = []
    if plan.ride is not None:
        gone = plan.ride.speed * (times - plan.ride.start_s)
        way = np.array([np.cos(plan.ride.heading), np.sin(plan.ride.heading)])
        paths.append(np.array(plan.ride.start) + gone[:, None] * way)
    walks = []
    spot = (float(rng.uniform(-0.6, 2.2)), float(rng.uniform(18.9, 19.5)))
    for k, heading in enumerate((0.5, 0.5 + np.pi)):
        at = (spot[0] + 0.75 * k * np.cos(0.5), spot[1] + 0.75 * k * np.sin(0.5))
        walks.append(Walk(new_look(rng, plan.seed + k), at, heading, 0.0, -60.0, float(k)))
        paths.append(_path(walks[-1], times))
    for n in range(plan.walkers):
        for _ in range(400):
            start_s = -11.0 + (n + rng.uniform(0, 1)) * (plan.duration_s + 8.0) / plan.walkers
            walk = _random_walk(rng, start_s, plan.seed + 2 + n)
            path = _path(walk, times)
            room = [np.nanmin(np.linalg.norm(path - other, axis=1), initial=np.inf) for other in paths]
            # The cyclist keeps more distance than people among themselves.
            wide = plan.ride is None or room[0] > 1.4
            if wide and min(room) > 0.95 and not _blocked(path[times >= walk.start_s]):
                walks.append(walk)
                paths.append(path)
                break
    return walks


@dataclass
class Layer:
    """One figure in one frame: premultiplied rgba (h, w, 4) on whole pixels, its corner, and how far away it is."""

    rgba: np.ndarray
    x: int
    y: int
    distance_m: float


def _layer(moments: list[Parts], scene: Scene) -> Layer | None:
    """The figure averaged over the moments of the open shutter, hidden where something stands in front."""
    total = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    low, high = np.array([WIDTH, HEIGHT]), np.array([0, 0])
    for parts in moments:
        foot = np.append((parts.a[:, :2].min(0) + parts.a[:, :2].max(0)) / 2, 0.0)
        column, row = np.round(texel(foot + np.array((0, 0, 0.9)))).astype(int)
        rows, columns = scene.shade.shape
        inside = 0 <= row < rows and 0 <= column < columns
        patch = render(parts, 1.0 - 0.85 * float(scene.shade[row, column]) if inside else 1.0)
        if patch is None:
            continue
        h, w = patch.depth.shape
        x, y = patch.origin
        behind = scene.depth[y * SS : y * SS + h, x * SS : x * SS + w] < patch.depth
        patch.rgba[behind] = 0.0
        h, w = h // SS, w // SS
        total[y : y + h, x : x + w] += patch.rgba.reshape(h, SS, w, SS, 4).mean((1, 3)) / len(moments)
        low, high = np.minimum(low, [x, y]), np.maximum(high, [x + w, y + h])
    if (high <= low).any():
        return None
    cut = total[low[1] : high[1], low[0] : high[0]]
    return Layer(cut, int(low[0]), int(low[1]), float(np.linalg.norm(foot - EYE)))


def _darken(scene: Scene, figures: list[list[Parts]]) -> np.ndarray:
    """(H, W, 3) what the figures' shadows leave of the ground's light."""
    sharp, blob = empty_ground(), empty_ground()
    for moments in figures:
        parts = moments[len(moments) // 2]
        cast(sharp, parts)
        low = parts.a[:, 2] < 0.22
        for point in parts.a[low][:: max(1, int(low.sum()) // 6)]:
            spot = np.round(texel(np.array([point[0], point[1], 0.0]))).astype(int)
            cv2.circle(blob, spot.tolist(), int(0.11 * TEXELS), 255, -1, cv2.LINE_AA)
    shadow = seen(cv2.GaussianBlur(sharp, (0, 0), 0.045 * TEXELS)).astype(np.float32) / 255
    contact = seen(cv2.GaussianBlur(blob, (0, 0), 0.09 * TEXELS)).astype(np.float32) / 255
    sun, sky = SUN[2] * SUN_RGB, SKY_RGB
    share = sun / (sun + sky)
    lost = (shadow * (1 - scene.shadowed) * scene.ground)[..., None] * share * 0.96
    return (1 - lost) * (1 - 0.45 * (contact * scene.ground)[..., None])


def _box(layer: Layer | None) -> list[int] | None:
    """Inclusive pixels x0, y0, x1, y1 where the layer covers at least half of a pixel; None where it hardly shows."""
    if layer is None:
        return None
    rows, columns = np.nonzero(layer.rgba[..., 3] >= 0.5)
    if len(rows) < 20:
        return None
    box = [columns.min() + layer.x, rows.min() + layer.y, columns.max() + layer.x, rows.max() + layer.y]
    return [int(v) for v in box]


class Film:
    """Draws the frames of one clip."""

    def __init__(self, plan: Plan, scene: Scene) -> None:
        self.plan, self.scene = plan, scene
        self.walks = plan_walks(plan)
        self.frames = round(plan.duration_s * FPS)
        gx, gy = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-HEIGHT / WIDTH, HEIGHT / WIDTH, HEIGHT))
        self._vignette = (1 - 0.20 * (gx**2 + gy**2))[..., None].astype(np.float32)

    def frame(self, n: int) -> tuple[np.ndarray, list[int] | None]:
        """Frame n, (H, W, 3) uint8 RGB, and the bicycle's box."""
        t = n / FPS
        walkers = [self._moments(walk, t) for walk in self.walks if walk.start_s <= t]
        ride = self.plan.ride
        riding = [cyclist(ride, t + SHUTTER_S * (k / 4 - 0.375)) for k in range(4)] if ride is not None else None
        light = self.scene.light * _darken(self.scene, walkers + ([riding] if riding else []))
        bike = _layer(riding, self.scene) if riding else None
        layers = [layer for layer in (*(_layer(moments, self.scene) for moments in walkers), bike) if layer is not None]
        for layer in sorted(layers, key=lambda one: -one.distance_m):
            h, w = layer.rgba.shape[:2]
            cut = light[layer.y : layer.y + h, layer.x : layer.x + w]
            cut *= 1 - layer.rgba[..., 3:]
            cut += layer.rgba[..., :3]
        return self._expose(light, n), _box(bike)

    def _moments(self, walk: Walk, t: float) -> list[Parts]:
        return [walker(walk, t + SHUTTER_S * (k - 0.5) * 0.5) for k in range(2)] if walk.speed else [walker(walk, t)]

    def _expose(self, light: np.ndarray, n: int) -> np.ndarray:
        """Lens, sensor and the camera's own sharpening."""
        soft = cv2.GaussianBlur((light * self._vignette).astype(np.float32), (0, 0), 0.5)
        levels: np.ndarray = to_srgb(soft).astype(np.float32)
        grey = levels @ np.array([0.299, 0.587, 0.114], np.float32)
        levels = 5 + 0.97 * (0.84 * levels + 0.16 * grey[..., None])
        levels += 0.35 * (levels - cv2.GaussianBlur(levels, (0, 0), 1.2))
        rng = np.random.default_rng([self.plan.seed, n])
        luma = rng.normal(0, NOISE_LEVELS, (HEIGHT, WIDTH, 1)).astype(np.float32)
        chroma = cv2.resize(rng.normal(0, 1.2, (HEIGHT // 2, WIDTH // 2, 3)).astype(np.float32), (WIDTH, HEIGHT))
        return np.clip(np.rint(levels + luma + chroma), 0, 255).astype(np.uint8)

    def __iter__(self) -> Iterator[tuple[np.ndarray, list[int] | None]]:
        return (self.frame(n) for n in range(self.frames))


def write(film: Film, path: Path) -> list[list[int] | None]:
    """Encode the film as h264; the bicycle's box of every frame."""
    unfinished = path.with_name(f".{path.name}.part")
    boxes = []
    with av.open(str(unfinished), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        # One thread: more would make the bits depend on the machine.
        stream.options = {"crf": str(CRF), "preset": "slow", "threads": "1", "g": "100"}
        for image, box in film:
            boxes.append(box)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    unfinished.replace(path)
    return boxes


def truth(plan: Plan, boxes: list[list[int] | None]) -> dict[str, object]:
    """What happens in the clip and where, for tests and for comparison with an answer."""
    frames = [n for n, box in enumerate(boxes) if box is not None]
    first, last = frames[0], frames[-1]
    return {
        "video": f"{plan.name}.mp4",
        "fps": FPS,
        "frames": len(boxes),
        "size_wh": [WIDTH, HEIGHT],
        "label": "bicycle",
        "what": "a person in a yellow shirt rides a red bicycle quickly across the plaza, among people walking",
        "start_s": round(first / FPS, 2),
        "end_s": round((last + 1) / FPS, 2),
        "entry": "left",
        "exit": "right",
        "direction": "right",
        "boxes": {
            "about": "bicycle with its rider, as far as inside the frame: frame number, then inclusive x0, y0, x1, y1",
            "rows": [[n, *(boxes[n] or [])] for n in frames],
        },
    }


def _one_line(row: re.Match[str]) -> str:
    return "[" + " ".join(row.group(1).split()) + "]"


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=HERE, help="folder for the files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    scene = build()
    for plan in (PLAZA, NORMAL):
        path = out / f"{plan.name}.mp4"
        boxes = write(Film(plan, scene), path)
        print(f"{path}  {plan.duration_s:g} s  {path.stat().st_size / 1e6:.2f} MB")
        if plan.ride is not None:
            # One row of numbers a line.
            text = re.sub(r"\[\s+([-\d,\s]+?)\s+\]", _one_line, json.dumps(truth(plan, boxes), indent=1))
            (out / f"{plan.name}.truth.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
