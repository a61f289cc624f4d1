"""What a full-size language model is trained on: dialogues about clips, as `training.datasets.build` writes them.

Each clip is analysed as for answering (the cache keeps that), its frames are those that answering would look at, and
its dialogue is written by the same prompt builder.  Next: training/lvlm/full_tuned.py
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chat.conversation import Conversation, Turn
from chat.prompt import build_seeing_messages
from tvad.evidence import Analysis
from tvad.lvlm.tokens import RaeConfig, n_tokens
from tvad.lvlm.view import View, view_of
from tvad.seeing import look_at, looked
from tvad.settings import Settings


@dataclass(frozen=True)
class Asked:
    """A line of the data set: a clip, or a stretch of one in seconds, and what is asked and answered about it."""

    id: str
    video: Path
    start_s: float | None
    end_s: float | None
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shown:
    """A line ready to learn from. frames (T, H, W, 3) uint8 at times_s (T,); messages: with their answers. seen: what
    the model's tower made of the frames where its heat was wanted, else None."""

    id: str
    frames: np.ndarray
    times_s: np.ndarray
    view: View
    messages: list[dict[str, Any]]
    seen: Any = None


def read_lines(path: Path, split: str = "train", clips: Path | None = None) -> list[Asked]:
    """The lines of a data set that are of `split`. clips: folder of its videos, None for that of the file, or the one
    that the program was started in.

    ValueError names a line that cannot be used, and says so where none can.
    """
    found: list[Asked] = []
    root = clips or path.parent
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(
            f"no data set {path} ({error.strerror}); python -m training.datasets.build writes one (--data)"
        ) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
            if raw.get("split", split) != split:
                continue
            turns = tuple((str(t["q"]), str(t["a"])) for t in raw["qa"])
            start_s, end_s = _stretch(raw)
            video = root / str(raw["video"])
            if clips is None and not video.exists() and Path(str(raw["video"])).exists():
                video = Path(str(raw["video"]))  # as `build` was told, from the same folder
            if not turns or not video.exists():
                raise ValueError("it has no turns" if not turns else f"there is no video {video}")
            found.append(Asked(str(raw["id"]), video, start_s, end_s, turns))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}; see training/datasets/build.py") from None
    if not found:
        raise ValueError(f"{path} has no line of the split {split!r}")
    return found


def _stretch(raw: dict[str, Any]) -> tuple[float | None, float | None]:
    if not raw.get("window") or not raw.get("fps"):
        return None, None
    first, last = raw["window"]
    return (float(first) / float(raw["fps"]) if first else None), (float(last) + 0.5) / float(raw["fps"])


class Clips:
    """Lines as they are learnt from, by number."""

    def __init__(
        self,
        lines: Sequence[Asked],
        rae: RaeConfig,
        preset: str,
        frames: int,
        turns: int = 8,
        analyse: Callable[[Path, Settings], Analysis] | None = None,
        tower: tuple[Any, Any] | None = None,
    ) -> None:
        """frames: looked at. turns: asked of a clip at most. analyse: a video to its analysis; None uses tvad's.
        tower: the loaded model and a decoder on its tower, whose heat is shown in the place of the analysis's."""
        self.lines, self.rae, self.preset, self.frames, self.turns = lines, rae, preset, frames, turns
        self._analyse, self._tower = analyse or _analyse, tower

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, number: int) -> Shown:
        """VideoError for a video that cannot be read."""
        line = self.lines[number]
        settings = Settings(preset=self.preset, start_s=line.start_s, end_s=line.end_s)
        analysis = self._analyse(line.video, settings)
        frames, times_s = look_at(analysis, line.video, self.frames, marked=False)
        seen, curves = None, analysis.curves
        if self._tower:
            seen, curves, _ = looked(analysis, *self._tower, frames, times_s)
        view = view_of(analysis.evidence, curves, config=self.rae.view)
        turns = line.turns[: self.turns]
        past = Conversation(tuple(Turn(q, a) for q, a in turns[:-1]))
        messages = build_seeing_messages(past, turns[-1][0], n_tokens(self.rae, view))
        messages.append({"role": "assistant", "content": turns[-1][1]})
        return Shown(line.id, frames, times_s, view, messages, seen)


def _analyse(video: Path, settings: Settings) -> Analysis:
    from tvad.api import analyze

    return analyze(video, settings)


def order(count: int, batch: int, seed: int, step: int) -> list[int]:
    """Numbers of the `batch` lines of a step: every line once in an epoch, each epoch in an order of its own."""
    out: list[int] = []
    for place in range(step * batch, (step + 1) * batch):
        epoch, inside = divmod(place, count)
        out.append(int(np.random.default_rng([seed, epoch]).permutation(count)[inside]))
    return out


def packed(lengths: Sequence[int], longest: int) -> Iterator[list[int]]:
    """Numbers of sequences side by side in rows of at most `longest` tokens, first fit, the long ones first; a longer
    one has a row of its own."""
    rows: list[tuple[int, list[int]]] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        for place, (used, row) in enumerate(rows):
            if used + lengths[number] <= longest:
                rows[place] = (used + lengths[number], [*row, number])
                break
        else:
            rows.append((lengths[number], [number]))
    yield from (sorted(row) for _, row in rows)
