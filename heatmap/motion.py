"""How a track moves, in words a guard would use. Image coordinates: up is smaller y. Knows no pixels and no videos.

Boxes around heat jitter by about a patch, so every measure is taken on centres that were fitted by short local lines
(least squares; Savitzky & Golay 1964, degree 1), and a displacement counts only when it stands out of the jitter.

Next: heatmap/appearance.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

CELLS = (
    ("top-left", "top", "top-right"),
    ("left", "middle", "right"),
    ("bottom-left", "bottom", "bottom-right"),
)
DIRECTIONS = ("right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right")

# Displacements in frame diagonals, speeds in frame diagonals per second.
STILL, SMALL = 0.02, 0.15
QUICK, SLOW = 0.3, 0.02
ACCELERATES, SLOWS = 1.8, 0.55  # mean speed of the second half over that of the first
TURN_DEG = 45.0
BORDER = 0.02  # of the frame side
CELL_MARGIN = 0.02  # of the frame side: how far into a new cell a centre must be
STOP_S = 0.8
STOP_SHARE = 0.25  # of the track's moving speed
NOISE_FACTOR = 3.0
FIT_S = 0.5  # half width of the longest local line


@dataclass(frozen=True)
class MotionSummary:
    """The motion of one track.

    summary: a phrase for a sentence. displacement: "still" (below 0.02 frame diagonals from first to last, or within
    the jitter), "small" (below 0.15) or "large". direction: one of DIRECTIONS, None when still. speed_change:
    "steady", "accelerates" or "slows". turn: the last third goes more than 45 degrees off the first. stops: it stood
    for STOP_S after having moved. mean_speed, max_speed: frame diagonals per second.
    """

    summary: str
    displacement: str
    direction: str | None
    speed_change: str
    turn: bool
    stops: bool
    mean_speed: float
    max_speed: float


@dataclass(frozen=True)
class _Path:
    """times_s (N,); xy (N, 2) fitted centres in diagonals; speed (N,) in diagonals per second.

    noise: standard deviation, in diagonals, of a coordinate of `xy[-1] - xy[0]` that jitter alone would give.
    """

    times_s: np.ndarray
    xy: np.ndarray
    speed: np.ndarray
    noise: float


def cell_of(x: float, y: float, width: float, height: float) -> str:
    """The name of the cell of the 3 x 3 grid that holds pixel (x, y); points outside count to the nearest cell."""
    row, column = math.floor(3 * y / height), math.floor(3 * x / width)
    return CELLS[min(max(row, 0), 2)][min(max(column, 0), 2)]


def cell_path(boxes_xyxy: Sequence[Sequence[float]] | np.ndarray, size_wh: tuple[int, int]) -> tuple[str, ...]:
    """The cells that the centres of (N, 4) boxes pass, in order, repeats removed.

    A cell is entered when the centre is CELL_MARGIN inside it, so that jitter on a line gives no back and forth.
    """
    centres = _median3(_centres(boxes_xyxy)) / np.asarray(size_wh)
    columns, rows = _thirds(centres[:, 0].tolist()), _thirds(centres[:, 1].tolist())
    names = [CELLS[row][column] for row, column in zip(rows, columns, strict=True)]
    return tuple(name for i, name in enumerate(names) if i == 0 or name != names[i - 1])


def entry_exit(
    times_s: Sequence[float] | np.ndarray,
    boxes_xyxy: Sequence[Sequence[float]] | np.ndarray,
    size_wh: tuple[int, int],
    clip_start_s: float,
    clip_end_s: float,
) -> tuple[str | None, str | None]:
    """The borders ("left", "right", "top", "bottom") through which a track came in and went out.

    None when it was there from the clip's start (until its end), or appeared (vanished) farther than 2 % of the frame
    side from any border. Of two borders, the one it moves away from (towards) faster.
    """
    times, boxes = _checked(times_s, boxes_xyxy)
    # A sampled slice may lie up to a step away from the clip's edge though the thing was there all along.
    slack_s = 1.5 * float(np.median(np.diff(times))) if len(times) > 1 else 0.2
    step = max(1, min(len(times) - 1, round(len(times) / 3)))
    centres = _centres(boxes)
    came = gone = None
    if times[0] - clip_start_s > slack_s:
        came = _border(boxes[0], size_wh, centres[0] - centres[min(step, len(times) - 1)])
    if clip_end_s - times[-1] > slack_s:
        gone = _border(boxes[-1], size_wh, centres[-1] - centres[max(-1 - step, -len(times))])
    return came, gone


def describe_motion(
    times_s: Sequence[float] | np.ndarray,
    boxes_xyxy: Sequence[Sequence[float]] | np.ndarray,
    size_wh: tuple[int, int],
) -> MotionSummary:
    """Say how a track moves. times_s (N,) rising seconds, boxes_xyxy (N, 4) source pixels, N >= 1.

    Raises ValueError for empty, unequal or unordered input.
    """
    times, boxes = _checked(times_s, boxes_xyxy)
    path = _fit(times, _centres(boxes), float(np.hypot(*size_wh)))
    net = path.xy[-1] - path.xy[0]
    displacement = _displacement(float(np.hypot(*net)), path.noise)
    moves = displacement != "still"
    resting = _resting(path)
    mean_speed = float(path.speed.mean())
    if moves:
        # Taking the jitter off can take too much off; nothing is slower than its way from first to last.
        mean_speed = max(mean_speed, float(np.hypot(*net)) / max(float(times[-1] - times[0]), 1e-9))
    direction = _direction(net) if moves else None
    moving = _moving_part(path, resting)
    turn = moves and _turns(moving)
    speed_change = _speed_change(path) if moves else "steady"
    stops = moves and _stops(resting)
    cells = cell_path(boxes, size_wh)
    if moves:
        words = _moving_words(path, resting, cells, displacement, _direction(net), speed_change, turn)
    else:
        words = _staying_words(path, cells)
    return MotionSummary(
        summary=words,
        displacement=displacement,
        direction=direction,
        speed_change=speed_change,
        turn=turn,
        stops=stops,
        mean_speed=mean_speed,
        max_speed=max(mean_speed, float(path.speed.max())),
    )


def _checked(
    times_s: Sequence[float] | np.ndarray, boxes_xyxy: Sequence[Sequence[float]] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    times, boxes = np.asarray(times_s, dtype=np.float64), np.asarray(boxes_xyxy, dtype=np.float64)
    if times.ndim != 1 or len(times) == 0 or boxes.shape != (len(times), 4):
        raise ValueError(f"times {times.shape} and boxes {boxes.shape}; expected (N,) and (N, 4) with N >= 1")
    if (np.diff(times) <= 0).any():
        raise ValueError("the times of a track must rise from box to box")
    return times, boxes


def _centres(boxes_xyxy: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1:] != (4,) or len(boxes) == 0:
        raise ValueError(f"boxes have shape {boxes.shape}; expected (N, 4) with N >= 1")
    centres: np.ndarray = (boxes[:, :2] + boxes[:, 2:]) / 2
    return centres


def _median3(xy: np.ndarray) -> np.ndarray:
    """(N, 2) -> (N, 2): median of three neighbours; single wild boxes vanish, the ends stay."""
    if len(xy) < 3:
        return xy
    inner = np.median(np.stack([xy[:-2], xy[1:-1], xy[2:]]), axis=0)
    return np.concatenate([xy[:1], inner, xy[-1:]])


def _fit(times: np.ndarray, centres_px: np.ndarray, diagonal_px: float) -> _Path:
    """A short line through the neighbours of every centre gives its place and velocity, the rest is jitter."""
    n = len(times)
    raw = centres_px / diagonal_px
    if n < 3:
        speed = np.zeros(n)
        if n == 2:
            speed[:] = np.hypot(*(raw[1] - raw[0])) / (times[1] - times[0])
        return _Path(times, raw, speed, 0.0)
    step_s = float(np.median(np.diff(times)))
    radius = int(np.clip(round(n / 8), 1, max(1, round(FIT_S / step_s))))
    width = min(n, 2 * radius + 1)
    xy, velocity, spread = _local_lines(times - times.mean(), _median3(raw), width)
    jitter = _jitter(raw - xy, width)
    # Jitter alone gives a line a slope; its expected square is taken off.
    squared = np.maximum((velocity**2).sum(axis=1) - 2 * jitter**2 / spread, 0.0)
    # The variance of a line's end is (4m - 2) / (m (m + 1)) of that of its m points.
    end_share = (4 * width - 2) / (width * (width + 1))
    return _Path(times, xy, np.sqrt(squared), jitter * math.sqrt(2 * end_share))


def _local_lines(seconds: np.ndarray, points: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,), (N, 2) -> values (N, 2) and slopes (N, 2) of the line through `width` neighbours; (N,) sum of squares.

    Near the ends the window stays as wide and slides inward.
    """
    n = len(seconds)
    low = np.clip(np.arange(n) - width // 2, 0, n - width)

    def window_mean(values: np.ndarray) -> np.ndarray:
        sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        mean: np.ndarray = (sums[low + width] - sums[low]) / width
        return mean

    mean_t, mean_xy = window_mean(seconds), window_mean(points)
    spread = np.maximum(window_mean(seconds**2) - mean_t**2, 1e-12)
    slope = (window_mean(seconds[:, None] * points) - mean_t[:, None] * mean_xy) / spread[:, None]
    return mean_xy + slope * (seconds - mean_t)[:, None], slope, width * spread


def _jitter(residual: np.ndarray, width: int) -> float:
    """Standard deviation of the centres around their lines, in diagonals; a few wild boxes do not count."""
    spread = float(np.sqrt(np.mean(residual**2)))
    typical = 1.4826 * float(np.median(np.abs(residual)))
    return min(spread, 2 * typical) * math.sqrt(width / max(width - 2, 1))


def _displacement(distance: float, noise: float) -> str:
    if distance < max(STILL, NOISE_FACTOR * noise):  # a chance of 1 % for a still thing to seem to move
        return "still"
    return "small" if distance < SMALL else "large"


def _direction(step: np.ndarray) -> str:
    angle = math.degrees(math.atan2(-step[1], step[0]))
    return DIRECTIONS[round(angle / 45) % 8]


def _resting(path: _Path) -> np.ndarray:
    """(N,) bool: slices that belong to a stretch of STOP_S in which the thing does not get anywhere."""
    times, n = path.times_s, len(path.times_s)
    resting = np.zeros(n, dtype=bool)
    end = np.searchsorted(times, times + STOP_S - 1e-6)
    starts = np.flatnonzero(end < n)
    if len(starts) == 0:
        return resting
    end = end[starts]
    half = (starts + end) // 2
    whole = _distance(path.xy, starts, end)
    # The half way counts too: a thing that turns back is where it was, but did not stand.
    reach = np.maximum(whole, _distance(path.xy, starts, half))
    stands = reach < min(STILL, STOP_SHARE * float(np.percentile(whole, 90)))
    for start, stop in zip(starts[stands], end[stands], strict=True):
        resting[start : stop + 1] = True
    return resting


def _distance(xy: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    step = xy[end] - xy[start]
    length: np.ndarray = np.hypot(step[:, 0], step[:, 1])
    return length


def _stops(resting: np.ndarray) -> bool:
    return any(b and not a for a, b in pairwise(resting.tolist()))


def _moving_part(path: _Path, resting: np.ndarray) -> np.ndarray:
    moving = np.flatnonzero(~resting)
    return path.xy if len(moving) < 3 else path.xy[moving[0] : moving[-1] + 1]


def _turns(xy: np.ndarray) -> bool:
    third = (len(xy) - 1) // 3
    if third < 1:
        return False
    first, last = xy[third] - xy[0], xy[-1] - xy[-1 - third]
    if min(np.hypot(*first), np.hypot(*last)) < STILL / 2:
        return False
    cross, dot = first[0] * last[1] - first[1] * last[0], first @ last
    return bool(abs(math.degrees(math.atan2(cross, dot))) > TURN_DEG)


def _speed_change(path: _Path) -> str:
    if len(path.times_s) < 4:
        return "steady"
    middle_s = (path.times_s[0] + path.times_s[-1]) / 2
    late = path.times_s > middle_s
    first, second = float(path.speed[~late].mean()), float(path.speed[late].mean())
    half_s = middle_s - path.times_s[0]
    if abs(second - first) * half_s < max(STILL, NOISE_FACTOR * path.noise):
        return "steady"
    if second > ACCELERATES * first:
        return "accelerates"
    return "slows" if second < SLOWS * first else "steady"


def _moving_words(
    path: _Path,
    resting: np.ndarray,
    cells: tuple[str, ...],
    displacement: str,
    direction: str,
    speed_change: str,
    turn: bool,
) -> str:
    pace = float(path.speed[~resting].mean()) if not resting.all() else 0.0
    how = "slightly " if displacement == "small" else "quickly " if pace > QUICK else "slowly " if pace < SLOW else ""
    words = f"moves {how}{direction.replace('-', ' and ')}"
    words += (
        f" within {place(cells[0])}" if cells[0] == cells[-1] else f", from {place(cells[0])} to {place(cells[-1])}"
    )
    pauses = _stops(resting) and not resting[-1]
    doing = [word for word, holds in (("turning", turn), ("stopping", pauses)) if holds]
    if doing:
        words += f", {' and '.join(doing)} on the way"
    if resting[0]:
        words += ", after standing at first"
    if resting[-1] and _stops(resting):
        return words + ", then stops"
    if pauses or resting[0]:
        return words
    return words + {"accelerates": ", getting faster", "slows": ", getting slower", "steady": ""}[speed_change]


def _staying_words(path: _Path, cells: tuple[str, ...]) -> str:
    away = path.xy - path.xy[0]
    reach = np.hypot(away[:, 0], away[:, 1])
    farthest = int(reach.argmax())
    if reach[farthest] >= max(3 * STILL, NOISE_FACTOR * path.noise):
        return f"moves {_direction(away[farthest]).replace('-', ' and ')} and comes back to {place(cells[0])}"
    if cells[0] != cells[-1]:
        return f"stays between {place(cells[0])} and {place(cells[-1])}"
    return f"stays {'in' if cells[0] == 'middle' else 'at'} {place(cells[0])}"


def place(cell: str) -> str:
    """A cell's name as it stands in a sentence: "bottom-left" -> "the bottom left"."""
    return f"the {cell.replace('-', ' ')}"


def _thirds(shares: list[float]) -> list[int]:
    """Places along one side, 0 to 1 -> which third; a line counts as crossed CELL_MARGIN beyond it."""
    now = min(max(math.floor(3 * shares[0]), 0), 2)
    out = []
    for share in shares:
        if not now / 3 - CELL_MARGIN <= share < (now + 1) / 3 + CELL_MARGIN:
            now = min(max(math.floor(3 * share), 0), 2)
        out.append(now)
    return out


def _border(box: np.ndarray, size_wh: tuple[int, int], outward: np.ndarray) -> str | None:
    width, height = size_wh
    x0, y0, x1, y1 = box.tolist()
    near = {
        "left": (x0 / width, -outward[0]),
        "right": ((width - 1 - x1) / width, outward[0]),
        "top": (y0 / height, -outward[1]),
        "bottom": ((height - 1 - y1) / height, outward[1]),
    }
    within = {name: speed for name, (gap, speed) in near.items() if gap <= BORDER}
    return max(within, key=lambda name: within[name]) if within else None
