"""Conditions: time of day, weather and the camera's own faults; light on a place, and what happens to each frame.

Next: training/datasets/synthetic/clip.py
"""

import datetime
import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from training.datasets.synthetic.backdrop import Backdrop, Sun
from training.datasets.synthetic.backdrop_materials import noise_tile
from training.datasets.synthetic.camera import Camera
from training.datasets.synthetic.layouts_place import Place

FLASH_S = 0.15  # an explosion's light fades by e in this time
LAMP_M = 3.2  # at this distance a lamp gives half its light
BRIGHTNESS = {"day": (85, 150), "dusk": (60, 105), "night": (38, 85), "lamps": (85, 150)}  # means of pictures
FULL_PX = 360  # heights of pictures that faults are stated for


@dataclass(frozen=True)
class Conditions:
    """How a clip was taken. time: "day", "dusk", "night" or "lamps" (indoors). infrared: night vision, grey, lit from
    the camera. haze_m: sight in metres, infinite when clear. noise: deviation in grey levels. jpeg: quality or 0.
    scale: resolution before it is enlarged. blur: deviation in pixels of 360 rows. trail: share of the last picture
    that stays. drift: of the exposure. shake: in pixels. tint: gains of red, green, blue. bulge: barrel distortion."""

    time: str
    sun: Sun
    infrared: bool
    grey: bool
    rain: bool
    haze_m: float
    noise: float
    jpeg: int
    scale: float
    blur: float
    gamma: float
    contrast: float
    tint: tuple[float, float, float]
    trail: float
    interlaced: bool
    drift: float
    shake: float
    vignette: float
    bulge: float
    stamp: int  # style of the date and name in the picture, 0 for none
    start: int  # seconds since 2010 that its clock shows

    @property
    def names(self) -> tuple[str, ...]:
        """What is not ordinary about them, for ClipTruth.conditions."""
        marks = {
            "grey": self.grey,
            "infrared": self.infrared,
            "rain": self.rain,
            "haze": self.haze_m < 200,
            "hard shadows": self.time == "day" and self.sun.strength > 0.5,
            "low resolution": self.scale < 0.7,
            "noisy": self.noise > 8,
            "compressed": self.jpeg > 0,
            "interlaced": self.interlaced,
            "motion blur": self.trail > 0,
            "shaking": self.shake > 0,
            "wide angle": self.bulge > 0,
        }
        return (self.time, *(name for name, on in marks.items() if on))


def sample(rng: np.random.Generator, indoor: bool) -> Conditions:
    """Conditions at random; about a quarter of the clips are grey."""

    def chance(share: float) -> bool:
        return bool(rng.random() < share)

    time = "lamps" if indoor else str(rng.choice(["day", "dusk", "night"], p=[0.7, 0.12, 0.18]))
    dark = time == "night" or (indoor and chance(0.12))
    infrared = dark and chance(0.5)
    rain = not indoor and chance(0.12)
    strength = 0.0 if time != "day" or rain else float(np.clip(rng.uniform(-0.4, 1.1), 0, 1))
    sun = Sun(float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.5, 1.2)), strength, float(rng.uniform(0.7, 3.5)))
    warm = float(rng.normal(0, 0.05)) + (0.08 if time == "dusk" and chance(0.6) else 0)
    green = float(rng.normal(0, 0.025))
    return Conditions(
        time="night" if dark else time,
        sun=sun,
        infrared=infrared,
        grey=infrared or chance(0.2),
        rain=rain,
        haze_m=float(rng.uniform(35, 120)) if not indoor and chance(0.2) else math.inf,
        noise=float(rng.gamma(2.0, 1.6)) + (4 if dark else 0.5),
        jpeg=int(rng.integers(22, 62)) if chance(0.3) else 0,
        scale=float(rng.uniform(0.4, 0.68)) if chance(0.35) else 1.0,
        blur=float(rng.uniform(0.35, 1.1)),
        gamma=float(rng.uniform(0.8, 1.25)),
        contrast=float(rng.uniform(0.82, 1.15)),
        tint=(1 + warm, 1 + green, 1 - warm),
        trail=float(rng.uniform(0.1, 0.35)) if chance(0.2) else 0.0,
        interlaced=chance(0.06),
        drift=float(rng.uniform(0.02, 0.08)) if chance(0.3) else 0.0,
        shake=float(rng.uniform(0.3, 1.6)) if chance(0.15) else 0.0,
        vignette=float(rng.uniform(0.0, 0.35)),
        bulge=float(rng.uniform(0.04, 0.14)) if chance(0.15) else 0.0,
        stamp=int(rng.integers(1, 5)) if chance(0.5) else 0,
        start=int(rng.integers(0, 15 * 365 * 86400)),
    )


class Light:
    """Light in a place under its conditions: gains for points of the world, haze, and the lit empty picture."""

    def __init__(self, conditions: Conditions, place: Place, camera: Camera, rng: np.random.Generator) -> None:
        self.conditions, self.camera = conditions, camera
        self.lamps = np.array(place.lamps, float).reshape(-1, 3)
        night = conditions.time == "night"
        self.ambient = np.ones(3)
        self.warmth = np.array([1.0, rng.uniform(0.72, 0.98), rng.uniform(0.45, 0.95)])
        if conditions.time == "dusk":
            self.ambient = np.array([0.6, 0.6, 0.68]) * rng.uniform(0.7, 1.05)
        if night:
            self.ambient = np.array([0.15, 0.17, 0.22]) * rng.uniform(0.7, 2.0)
            if not place.indoor and len(self.lamps) < 3:
                seen = camera.view(30.0)
                low, high = seen.min(0), seen.max(0)
                self.lamps = np.vstack([self.lamps, np.column_stack([rng.uniform(low, high, (3, 2)), np.full(3, 6.0)])])
        if place.indoor and night:
            self.lamps = self.lamps[rng.random(len(self.lamps)) < 0.2]
        self.power = {"day": 0.0, "dusk": 0.5, "night": 1.3, "lamps": 0.5}[conditions.time]
        self.haze = np.full(3, 55.0 if night else float(rng.uniform(165, 205)))
        self.spot = float(rng.uniform(8, 16))
        self.exposure = 1.0
        self.wanted = float(rng.uniform(*BRIGHTNESS[conditions.time]))
        if conditions.time == "lamps":
            self.ambient = np.full(3, float(rng.uniform(0.5, 0.8)))
            self.warmth = np.array([1.0, 0.98, float(rng.uniform(0.85, 1.0))])
            middle = np.array([[*camera.view(place.far_m).mean(0), 0.8]])
            self.power *= 0.4 / max(float(self._lamps(middle).mean()), 0.05)

    def gains(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) m -> (n, 3) gains of red, green and blue."""
        if self.conditions.infrared:
            away = np.linalg.norm(points - self.camera.centre, axis=1)
            axis = (points - self.camera.centre) @ self.camera.axes[2] / np.maximum(away, 1e-6)
            beam = 0.12 + 1.25 / (1 + (away / self.spot) ** 2) * np.clip(axis, 0, 1) ** 4
            return self.exposure * beam[:, None] * np.ones(3)
        return self.exposure * (self.ambient + self.power * self._lamps(points)[:, None] * self.warmth)

    def _lamps(self, points: np.ndarray) -> np.ndarray:
        if len(points) == 1:
            return np.array([np.sum(1 / (1 + np.sum((self.lamps - points) ** 2, 1) / LAMP_M**2))])
        total = np.zeros(len(points))
        for lamp in self.lamps:
            total += 1 / (1 + np.sum((points - lamp) ** 2, 1) / LAMP_M**2)
        return total

    def clear(self, distance_m: np.ndarray | float) -> np.ndarray:
        """Share of what haze leaves of something so far away."""
        return np.exp(-np.asarray(distance_m) / self.conditions.haze_m)

    def vignette(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Gain at a pixel: less towards the corners."""
        width, height = self.camera.size_wh
        r2 = ((np.asarray(x) / width - 0.5) ** 2 + (np.asarray(y) / height - 0.5) ** 2) * 2
        return 1 - self.conditions.vignette * r2

    def matrix(self, point: np.ndarray, pixel: tuple[float, float], burns: bool = False) -> np.ndarray:
        """(3, 4) for cv2.transform: what light and haze do to the colours of something at a point and pixel; what
        burns gives its own light."""
        away = float(np.linalg.norm(point - self.camera.centre))
        clear, edge = float(self.clear(away)), float(self.vignette(*pixel))
        gain = (np.full(3, 1.1) if burns else self.gains(point[None])[0]) * clear * edge
        return np.column_stack([np.diag(gain), self.haze * (1 - clear) * edge]).astype(np.float32)

    def lit(self, backdrop: Backdrop) -> np.ndarray:
        """(H, W, 3) uint8: the empty picture in this light."""
        height, width = backdrop.glow.shape
        every = 4
        points = backdrop.place[::every, ::every]
        coarse = self.gains(points.reshape(-1, 3)).reshape(points.shape).astype(np.float32)
        # Cameras expose for the picture that they see, as far as they can.
        self.exposure = float(np.clip(self.wanted / max((coarse * backdrop.rgb[::every, ::every]).mean(), 1), 0.7, 4.0))
        coarse *= np.float32(self.exposure)
        gain = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
        if self.conditions.time in ("day", "dusk"):
            gain[backdrop.is_sky] = np.clip(self.exposure, 0.8, 1.15) * self.ambient
        else:
            gain[backdrop.is_sky] = self.ambient * 0.6
        picture = (backdrop.rgb * gain).astype(np.float32)
        if self.conditions.rain:
            picture = _wet(picture, backdrop)
        if self.conditions.time != "day":
            picture += backdrop.glow[..., None] * (self.warmth * (0.75 if self.conditions.time != "lamps" else 0.35))
            halo = cv2.GaussianBlur(backdrop.glow, (0, 0), 0.03 * height).astype(np.float32)
            picture += 0.2 * halo[..., None] * self.warmth
        if math.isfinite(self.conditions.haze_m):
            away = np.linalg.norm(backdrop.place - self.camera.centre, axis=2)
            clear = self.clear(away)[..., None]
            picture = picture * clear + self.haze * (1 - clear)
        x, y = np.arange(width), np.arange(height)[:, None]
        return np.clip(picture * self.vignette(x, y)[..., None], 0, 255).astype(np.uint8)


def _wet(picture: np.ndarray, backdrop: Backdrop) -> np.ndarray:
    """Darker ground with puddles that mirror what is above them."""
    height, width = backdrop.glow.shape
    puddles = cv2.resize(noise_tile()[100:130, 60:90], (width, height), interpolation=cv2.INTER_CUBIC)
    share = np.where(backdrop.is_ground, np.clip(0.25 + 0.4 * puddles, 0.08, 0.6), 0)[..., None].astype(np.float32)
    drawn = cv2.blur(np.vstack([picture[::-1], picture]).astype(np.float32), (5, max(3, height // 5)))[height:]
    return picture * (1 - share) * np.where(backdrop.is_ground, 0.8, 1)[..., None] + drawn * share


@lru_cache(maxsize=8)
def _grain(size_wh: tuple[int, int], channels: int) -> np.ndarray:
    """(H + 64, W + 64, channels) float32 sensor noise of unit deviation, part of it in blotches."""
    rng = np.random.default_rng(11)
    shape = (size_wh[1] + 64, size_wh[0] + 64)
    fine = rng.normal(size=(*shape, 1)) * np.ones(channels) + 0.4 * rng.normal(size=(*shape, channels))
    coarse = cv2.GaussianBlur(rng.normal(size=(*shape, channels)), (0, 0), 1.2).reshape(*shape, channels)
    both = fine + 2.0 * coarse
    return (both / both.std()).astype(np.float32)


def _streaks(size_wh: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(2 H, 2 W) uint8: falling rain, to be shifted at random."""
    width, height = size_wh
    out = np.zeros((2 * height, 2 * width), np.uint8)
    slant = rng.uniform(-0.15, 0.15)
    for x, y, share in rng.random((int(0.0028 * out.size), 3)):
        length = int(height * (0.02 + 0.05 * share))
        at = (int(x * out.shape[1]), int(y * out.shape[0]))
        cv2.line(out, at, (int(at[0] + slant * length), at[1] + length), int(8 + 45 * share * share), 1, cv2.LINE_AA)
    return out


class Faults:
    """What the camera and recorder do to the frames of one clip, in order; keeps the last one for trails."""

    def __init__(
        self,
        conditions: Conditions,
        size_wh: tuple[int, int],
        fps: float,
        flash_s: tuple[float, ...],
        rng: np.random.Generator,
    ) -> None:
        self.conditions, self.size_wh, self.fps, self.flash_s, self.rng = conditions, size_wh, fps, flash_s, rng
        channels = 1 if conditions.grey else 3
        grain = conditions.noise * (0.6 if conditions.scale < 1 else 1) * _grain(size_wh, channels)
        self.grain = np.clip(grain, -120, 120).astype(np.int16)
        self.streaks = _streaks(size_wh, rng) if conditions.rain else None
        self.phase, self.period = rng.uniform(0, 6), rng.uniform(3, 12)
        self.offset = np.zeros(2)
        self.last: np.ndarray | None = None
        self.maps = _bulge(size_wh, conditions.bulge) if conditions.bulge else None
        self.stamp = Stamp(conditions, size_wh, rng) if conditions.stamp else None

    def __call__(self, frame: np.ndarray, ids: np.ndarray, t_s: float) -> tuple[np.ndarray, np.ndarray]:
        """RGB (H, W, 3) uint8 and instance ids (H, W) uint16 as drawn -> as recorded."""
        c = self.conditions
        if c.trail:
            if self.last is not None:
                frame = cv2.addWeighted(frame, 1 - c.trail, self.last, c.trail, 0)
            self.last = frame
        frame, ids = self._moved(frame, ids)
        height = self.size_wh[1]
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if c.grey else frame
        picture = cv2.LUT(picture, self._curve(t_s))
        if c.scale < 1:
            small = tuple(max(8, round(c.scale * n)) for n in self.size_wh)
            picture = cv2.resize(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), self.size_wh)
        elif c.blur * height / FULL_PX > 0.3:
            picture = cv2.GaussianBlur(picture, (0, 0), c.blur * height / FULL_PX)
        if self.streaks is not None:
            x, y = (int(self.rng.integers(0, n)) for n in self.size_wh)
            rain = self.streaks[y : y + height, x : x + self.size_wh[0]]
            picture = cv2.add(picture, rain if c.grey else cv2.cvtColor(rain, cv2.COLOR_GRAY2RGB))
        x, y = (int(v) for v in self.rng.integers(0, 64, 2))
        grain = self.grain[y : y + height, x : x + self.size_wh[0]]
        picture = cv2.add(picture, grain.reshape(picture.shape), dtype=cv2.CV_8U)
        if c.grey:
            picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
        if self.stamp is not None:
            self.stamp.draw(picture, t_s)
        if c.jpeg:
            _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, c.jpeg])
            picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
        return np.asarray(picture), ids

    def _moved(self, frame: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shaken by wind, bent by the lens."""
        if self.conditions.shake:
            self.offset = 0.8 * self.offset + self.rng.normal(0, 0.6 * self.conditions.shake, 2)
            edge = cv2.BORDER_REPLICATE
            shift = np.array([[1, 0, self.offset[0]], [0, 1, self.offset[1]]])
            frame = cv2.warpAffine(frame, shift, self.size_wh, flags=cv2.INTER_LINEAR, borderMode=edge)
            ids = cv2.warpAffine(ids, np.round(shift), self.size_wh, flags=cv2.INTER_NEAREST, borderMode=edge)
        if self.maps is not None:
            frame = cv2.remap(frame, *self.maps, cv2.INTER_LINEAR)
            ids = cv2.remap(ids, *self.maps, cv2.INTER_NEAREST)
        return frame, ids

    def _curve(self, t_s: float) -> np.ndarray:
        """Table of brightness: contrast, gamma, colour, exposure and flashes at a moment."""
        c = self.conditions
        exposure = 1 + c.drift * math.sin(2 * math.pi * t_s / self.period + self.phase)
        flare = sum(math.exp(-(t_s - f) / FLASH_S) for f in self.flash_s if 0 <= t_s - f < 1.0)
        level = np.linspace(0, 1, 256)
        level = np.clip((level - 0.5) * c.contrast + 0.5, 0, 1) ** c.gamma * exposure * (1 + 1.5 * flare) + 0.25 * flare
        tint = np.ones(1) if c.grey else np.array(c.tint) * (1 + flare * np.array([0.15, 0, -0.15]))
        table = np.clip(level[:, None] * tint * 255, 0, 255).astype(np.uint8)
        return table[:, 0] if c.grey else table[None]


def _bulge(size_wh: tuple[int, int], strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a wide-angle picture comes from; the corners stay."""
    width, height = size_wh
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    u, v = x / width * 2 - 1, y / height * 2 - 1
    gain = (1 + strength * (u * u + v * v)) / (1 + 2 * strength)
    return ((u * gain + 1) / 2 * width).astype(np.float32), ((v * gain + 1) / 2 * height).astype(np.float32)


class Stamp:
    """Date, clock and camera name, as recorders write them into the picture."""

    def __init__(self, conditions: Conditions, size_wh: tuple[int, int], rng: np.random.Generator) -> None:
        self.style, self.start, self.size_wh = conditions.stamp, conditions.start, size_wh
        number = int(rng.integers(1, 33))
        places = ("CAM", "CH", "Camera", "CAMERA", "Cam", "ENTRANCE", "EAST", "REAR", "IPC")
        self.name = f"{places[int(rng.integers(len(places)))]} {number:02d}"
        self.size = float(rng.uniform(0.36, 0.6)) * size_wh[1] / FULL_PX
        self.font = cv2.FONT_HERSHEY_DUPLEX if rng.random() < 0.4 else cv2.FONT_HERSHEY_SIMPLEX
        corners = ((0.02, 0.06), (0.55, 0.06), (0.02, 0.965), (0.6, 0.965))
        first, second = rng.permutation(4)[:2]
        self.corners = corners[first], corners[second]

    def draw(self, picture: np.ndarray, t_s: float) -> None:
        """Write on (H, W, 3) uint8, in place."""
        moment = datetime.datetime(2010, 1, 1) + datetime.timedelta(seconds=self.start + int(t_s))
        form = ("%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m-%d-%Y %a %H:%M:%S", "%d.%m.%y %H:%M:%S")[self.style - 1]
        for text, (x, y) in zip((moment.strftime(form), self.name), self.corners, strict=True):
            at = (int(x * self.size_wh[0]), int(y * self.size_wh[1]))
            if self.style == 2:
                (wide, tall), _ = cv2.getTextSize(text, self.font, self.size, 1)
                cv2.rectangle(picture, (at[0] - 2, at[1] - tall - 3), (at[0] + wide + 2, at[1] + 4), (0, 0, 0), -1)
            elif self.style != 3:
                for aside in (-1, 1):
                    beside = (at[0] + aside, at[1] + aside)
                    cv2.putText(picture, text, beside, self.font, self.size, (16, 16, 16), 1, cv2.LINE_AA)
            cv2.putText(picture, text, at, self.font, self.size, (240, 240, 240), 1, cv2.LINE_AA)
