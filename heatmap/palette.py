"""Colours: one table for heat, one for tracks; both readable with any kind of colour vision. Knows no pixels.

Heat uses plasma (matplotlib; van der Walt & Smith 2015): its lightness grows steadily, so the order of two heats can
be read in grey too. Tracks use the palette of Okabe & Ito (2008, "Color Universal Design") without black; a track
also carries its number, so colour is never the only sign.
"""

from functools import cache

import numpy as np

RGB = tuple[int, int, int]

HEAT_FLOOR = 0.25  # below this nothing is painted: half of the default alarm threshold
HEAT_ALPHA = 0.8  # opacity at heat 1; the scene stays visible under the hottest place

INK: RGB = (20, 23, 28)
PAPER: RGB = (238, 241, 245)
MUTED: RGB = (150, 158, 170)
CALM: RGB = (86, 156, 200)
ALARM: RGB = (240, 128, 40)

TRACK_COLOURS: tuple[RGB, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 178, 130),
    (240, 228, 66),
    (225, 130, 180),
    (222, 100, 20),
    (70, 130, 220),
)


def track_colour(track_id: int) -> RGB:
    """The colour of a track, the same in every picture."""
    return TRACK_COLOURS[(track_id - 1) % len(TRACK_COLOURS)]


def faded(colour: RGB, amount: float) -> RGB:
    """`colour` mixed with white: amount 0 keeps it, 1 is white."""
    r, g, b = (round(c + (255 - c) * amount) for c in colour)
    return r, g, b


@cache
def heat_tables() -> tuple[np.ndarray, np.ndarray]:
    """Colour and opacity of heat in 256 steps of an absolute scale (index = heat x 255).

    Returns (256, 3) uint8 RGB and (256,) float32 opacity in [0, HEAT_ALPHA]: 0 up to HEAT_FLOOR, then growing.
    """
    import matplotlib  # a second that who draws nothing need not wait

    heat = np.linspace(0.0, 1.0, 256, dtype=np.float32)
    colours = np.asarray(matplotlib.colormaps["plasma"](heat))[:, :3]
    above = np.clip((heat - HEAT_FLOOR) / (1 - HEAT_FLOOR), 0.0, 1.0)
    return np.round(colours * 255).astype(np.uint8), (HEAT_ALPHA * above**0.5).astype(np.float32)


@cache
def blend_tables() -> tuple[np.ndarray, np.ndarray]:
    """What blending needs, as (256, 1, 3) uint8 each: 255 x (1 - opacity), and colour x opacity."""
    colours, alpha = heat_tables()
    keep = np.repeat(np.round(255 * (1 - alpha)).astype(np.uint8)[:, None, None], 3, axis=2)
    paint = np.round(colours * alpha[:, None]).astype(np.uint8)[:, None, :]
    return keep, paint
