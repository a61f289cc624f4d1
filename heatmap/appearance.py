"""What a track looks like, from its pixels: colour words and a size word, no class names.

The words are the eleven basic colour terms (Berlin & Kay 1969) with "dark" and "light"; a pixel is named by its
lightness, chroma and hue in CIELAB. The borders between the words are ours, set on the CSS colour names.
"""

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

SAMPLES = 48  # a crop is looked at on a grid of at most this many rows and columns
CENTRE = 0.6
SMALL_AREA, LARGE_AREA = 0.01, 0.08
SECOND_SHARE = 0.2  # of all pixels, for a colour to be named second
LEAST_AROUND, LEAST_OWN = 0.1, 0.25  # share of a crop outside the mask, and of the mask unlike it, that tell something
GREY_SPREAD = 4  # largest difference of channels in footage without colour

NAMES = (
    "black", "dark grey", "grey", "light grey", "white",
    "dark red", "red", "pink", "orange", "dark brown", "brown", "light brown", "yellow",
    "dark green", "green", "light green", "dark blue", "blue", "light blue", "dark purple", "purple", "light purple",
)  # fmt: skip
_INDEX = {name: i for i, name in enumerate(NAMES)}
TERMS = tuple(dict.fromkeys(name.split()[-1] for name in NAMES))  # the eleven, without dark and light
_TERM_OF = np.array([TERMS.index(name.split()[-1]) for name in NAMES])


def describe_appearance(
    crops: Sequence[np.ndarray],
    masks: Sequence[np.ndarray] | None = None,
    area_frac: float = 0.0,
    shares: np.ndarray | None = None,
) -> str:
    """Size and colours of a thing seen in several crops, as words before a noun: "small dark blue and white".

    crops: (h, w, 3) uint8 RGB. masks: (h, w) bool, where the thing is; None looks at the central 60 % of each crop,
    and so does an empty mask. area_frac: the thing's share of the frame in [0, 1]. Every crop has one vote, spread
    over its colours. Footage without any colour gets "dark", "grey" or "light" only. Colours under coloured light
    (night lamps) are those of the picture, not of the thing, unless `shares` (2, 11), of TERMS in both halves, says
    better which there are; the pixels then tell light from dark. Raises ValueError for crops of another shape or type.
    """
    if masks is not None and len(masks) != len(crops):
        raise ValueError(f"{len(crops)} crops but {len(masks)} masks; expected one for each")
    size = "small" if area_frac < SMALL_AREA else "large" if area_frac >= LARGE_AREA else "medium-sized"
    pairs = list(zip(crops, masks if masks is not None else [None] * len(crops), strict=True))
    pixels = [_pixels(crop, mask) for crop, mask in pairs]
    votes = [_votes(own, *pair) for own, pair in zip(pixels, pairs, strict=True) if len(own)]
    if not votes:
        return size
    pixels = [p for p in pixels if len(p)]
    if all(int(np.ptp(p, axis=1).max()) <= GREY_SPREAD for p in pixels):
        return f"{size} {_shade(np.mean(votes, axis=0))}"
    found = np.mean(votes, axis=0)
    return f"{size} {_colours(found) if shares is None else _halves(shares, found)}"


def colour_shares(crops: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
    """Shares of the colours TERMS in the upper and the lower half of a thing, (2, 11) float32, rows sum to 1.

    crops, masks as for `describe_appearance`, each crop one vote; a half that no mask covers is all zero.
    """
    out = np.zeros((2, len(TERMS)), np.float32)
    for crop, mask in zip(crops, masks, strict=True):
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(rows):
            continue
        middle = (int(rows[0]) + int(rows[-1]) + 1) // 2
        for half, part in enumerate((slice(None, middle), slice(middle, None))):
            own = mask.copy()
            own[middle if half == 0 else 0 : None if half == 0 else middle] = False
            if own[part].any():
                votes = _votes(_pixels(crop, own), crop, mask)
                out[half] += np.bincount(_TERM_OF, weights=votes, minlength=len(TERMS)).astype(np.float32)
    total = out.sum(axis=1, keepdims=True)
    return np.where(total > 0, out / np.maximum(total, 1e-9), 0).astype(np.float32)


def _halves(shares: np.ndarray, votes: np.ndarray) -> str:
    """The commonest of TERMS in the upper and the lower half (2, 11), each in its commonest shade of all pixels."""
    words = []
    for term in dict.fromkeys(int(row.argmax()) for row in shares):
        seen = np.where(term == _TERM_OF, votes, 0)
        words.append(NAMES[int(seen.argmax())] if seen.any() else TERMS[term])
    return " and ".join(words)


def _votes(pixels: np.ndarray, crop: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Shares of the colour words in a thing, (len(NAMES),), from its pixels (n, 3) in a crop.

    A mask takes some ground along: what is as frequent around a thing as in it counts only where nothing else is left.
    """
    inside = _shares(pixels)
    if mask is None or not mask.any() or mask.mean() > 1 - LEAST_AROUND:
        return inside
    own = np.maximum(inside - _shares(_pixels(crop, ~mask)), 0)
    return own / own.sum() if own.sum() >= LEAST_OWN else inside


def _shares(pixels: np.ndarray) -> np.ndarray:
    return np.bincount(name_pixels(pixels), minlength=len(NAMES)) / len(pixels)


def name_pixels(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 RGB -> (N,) indices into NAMES."""
    lab = cv2.cvtColor(rgb[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    out = np.select(
        [light < 22, light < 42, light < 70, light < 87],
        [_INDEX["black"], _INDEX["dark grey"], _INDEX["grey"], _INDEX["light grey"]],
        _INDEX["white"],
    )
    # Little chroma is invisible in the dark and in glare.
    coloured = chroma >= np.where((light < 22) | (light > 88), 16.0, 10.0)
    names = _name_hues(light, chroma, hue, rgb.max(axis=1))
    return np.where(coloured, names, out)


def name_terms(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 RGB -> (N,) indices into TERMS."""
    found: np.ndarray = _TERM_OF[name_pixels(rgb)]
    return found


def _name_hues(light: np.ndarray, chroma: np.ndarray, hue: np.ndarray, value: np.ndarray) -> np.ndarray:
    # Pure blue is dark in L* and navy is bright in HSV, so a colour is dark when either says so strongly.
    dark = (value < 122) | (light < 22)
    pale = (light > 72) & (chroma < 70)

    def shaded(name: str) -> np.ndarray:
        with_pale = np.where(pale, _INDEX[f"light {name}"], _INDEX[name])
        return np.where(dark, _INDEX[f"dark {name}"], with_pale)

    red = np.where(
        (light > 62) & (chroma < 65),
        _INDEX["pink"],
        np.where(chroma < 32, shaded("brown"), np.where(dark | (light < 32), _INDEX["dark red"], _INDEX["red"])),
    )
    rose = np.where(light > 50, _INDEX["pink"], shaded("purple"))
    orange = np.where((chroma > 55) & (light > 55), _INDEX["orange"], shaded("brown"))
    gold = np.where((light > 62) & (chroma > 30), _INDEX["yellow"], shaded("brown"))
    lemon = np.where((light > 62) & (chroma > 20), _INDEX["yellow"], shaded("green"))
    return np.select(
        [hue < 10, hue < 46, hue < 82, hue < 96, hue < 115, hue < 195, hue < 309, hue < 340],
        [rose, red, orange, gold, lemon, shaded("green"), shaded("blue"), shaded("purple")],
        rose,
    )


def _pixels(crop: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if crop.ndim != 3 or crop.shape[2] != 3 or crop.dtype != np.uint8:
        raise ValueError(f"crop has shape {crop.shape} and type {crop.dtype}; expected (h, w, 3) uint8 RGB")
    height, width = crop.shape[:2]
    if mask is not None and mask.shape != (height, width):
        raise ValueError(f"mask has shape {mask.shape}; expected that of its crop, {(height, width)}")
    if mask is None or not mask.any():
        top, left = int(height * (1 - CENTRE) / 2), int(width * (1 - CENTRE) / 2)
        crop = crop[top : height - top, left : width - left]
        mask = np.ones(crop.shape[:2], dtype=bool)
    # Picking pixels, not averaging them: an average of red and white is a colour that is not there.
    every = max(1, -(-crop.shape[0] // SAMPLES)), max(1, -(-crop.shape[1] // SAMPLES))
    chosen = mask[:: every[0], :: every[1]].astype(bool)
    return crop[:: every[0], :: every[1]][chosen] if chosen.any() else crop[mask.astype(bool)]


def _colours(votes: np.ndarray) -> str:
    """One or two colour words; shades of one colour are one vote, named by its commonest shade."""
    families: dict[str, Counter[str]] = {}
    for name, share in zip(NAMES, votes.tolist(), strict=True):
        families.setdefault(_family(name, votes), Counter())[name] += share
    ranked = sorted(families.values(), key=lambda shades: -shades.total())
    first, second = ranked[0], ranked[1]
    words = [first.most_common(1)[0][0]]
    if second.total() >= max(SECOND_SHARE, first.total() / 3):
        words.append(second.most_common(1)[0][0])
    return " and ".join(words)


def _family(name: str, votes: np.ndarray) -> str:
    # Dark grey is what black looks like in daylight, light grey what white looks like in shade.
    if name == "dark grey" and votes[_INDEX["black"]] > votes[_INDEX["grey"]]:
        return "black"
    if name == "light grey" and votes[_INDEX["white"]] > votes[_INDEX["grey"]]:
        return "white"
    return name.split()[-1]


def _shade(votes: np.ndarray) -> str:
    shares = {
        "dark": votes[_INDEX["black"]] + votes[_INDEX["dark grey"]],
        "grey": votes[_INDEX["grey"]],
        "light": votes[_INDEX["light grey"]] + votes[_INDEX["white"]],
    }
    return max(shares, key=lambda name: shares[name])
