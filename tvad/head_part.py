"""The temporal head in the product: a trained folder as an OpenVINO graph, and levels of a stream of features.

    graph = HeadGraph(folder)
    part = HeadPart(graph, fps)              fps of the source, which snippets are counted in
    for features in stream: found += part.push(features)
    found += part.finish()

A level is the log odds of a snippet being anomalous; what it means for an alarm is heatmap/levels.py's business. Long
videos are scored in windows that overlap, so that memory does not grow and every snippet knows what is around it.
Next: tvad/detector.py
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tvad.converted import BESIDE_OTHERS, converted
from tvad.encoder import Features
from tvad.kinds import FILE as KINDS_FILE
from tvad.kinds import Kind, Kinds
from tvad.temporal.snippets import DIM, DIM_FLOW, DIM_PLAIN, SnippetStream
from tvad.trained import FILES, Checkpoint

WINDOW = 64  # snippets that are scored together ...
BESIDE = 16  # ... of which so many at either end are only looked at, where the video goes on
MOST = 30.0  # log odds further from 0 count as this far


class HeadGraph:
    """Snippet features to levels, run by OpenVINO.

    kinds: what names them, where the folder holds such (tvad/kinds.py). names: of the classes, normal first; empty
    where there are none. MissingWeights where there is no checkpoint, HeadError for one that cannot be read."""

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        import json

        import openvino

        weight = Checkpoint.of(folder, "temporal head", "scores", "tvad train temporal", "tvad.temporal")

        def build() -> Any:
            return graph(weight.folder)

        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"} | BESIDE_OTHERS
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        compiled = openvino.Core().compile_model(converted("head", weight, build), "CPU", options)
        self._request = compiled.create_infer_request()
        said = json.loads((weight.folder / FILES[0]).read_text(encoding="utf-8"))
        self._width = int(compiled.inputs[0].shape[2])
        columns = (said.get("reading") or {}).get("columns") or [[0, self._width]]
        self._tells = len(compiled.outputs) > 1
        self.kinds = Kinds.load(folder) if (weight.folder / KINDS_FILE).is_file() else None
        self._reads = max(*(end for _, end in columns), self.kinds.reads if self.kinds else 0)
        self.reads_flow, self.reads_people = self._reads > DIM_PLAIN, self._reads > DIM_FLOW
        # Of a single anomalous class, the score is its probability.
        own: tuple[str, ...] = tuple(said["names"]) if self._tells or len(said["names"]) == 2 else ()
        self.names = self.kinds.names if self.kinds else own
        self.version = weight.sha256[:12]

    def levels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Of n <= WINDOW snippets (n, DIM or, of what the head does not read at their end, less): levels (n,), and
        class probabilities (n, K) or None; float32."""
        count = len(rows)
        if not 0 < count <= WINDOW:
            raise ValueError(f"{count} snippets at once; a window has 1 to {WINDOW}")
        if rows.shape[1] < self._reads:
            raise ValueError(f"snippets of {rows.shape[1]} numbers; this head reads up to number {self._reads}")
        x = np.zeros((1, WINDOW, self._width), np.float32)
        x[0, :count, : rows.shape[1]] = rows[:, : self._width]
        self._request.infer({0: x, 1: np.arange(WINDOW)[None] < count})
        found = np.clip(self._request.get_output_tensor(0).data[0, :count], -MOST, MOST).astype(np.float32)
        if self.kinds:
            return found, self.kinds.probs(rows)
        if not self.names:
            return found, None
        if not self._tells:
            odd = 1 / (1 + np.exp(-found))
            return found, np.stack([1 - odd, odd], 1)
        return found, self._request.get_output_tensor(1).data[0, :count].astype(np.float32)

    def kind(self, probs: np.ndarray | None) -> Kind:
        """The kind of a stretch of snippets with class probabilities (n, K); of a head whose probabilities nobody has
        calibrated, unspecified."""
        return Kind() if probs is None or self.kinds is None else self.kinds.of(probs)


@dataclass(frozen=True)
class HeadLevels:
    """Of n consecutive snippets: level (n,), probs (n, K) or None, where (n, h, w) bool: the busiest place of each,
    times_s (n,) of their middles."""

    level: np.ndarray
    probs: np.ndarray | None
    where: np.ndarray
    times_s: np.ndarray


class HeadPart:
    """Levels of a stream, in order and up to a window late."""

    def __init__(self, graph: HeadGraph, fps: float, start_s: float = 0.0) -> None:
        """start_s: where in the video the stream begins."""
        self.graph = graph
        self._stream = SnippetStream(fps, start_s=start_s)
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        self._first = 0  # number of the first one that is held
        self._given = 0  # so many have been handed out

    def push(self, features: Features) -> Iterator[HeadLevels]:
        """Take the next features; gives levels that are ready."""
        yield from self._take(self._stream.push_places(features))

    def finish(self) -> Iterator[HeadLevels]:
        """The rest."""
        yield from self._take(self._stream.finish_places())
        if self._first + len(self._held) > self._given:
            yield self._score(len(self._held))

    def _take(self, rows: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[HeadLevels]:
        for row in rows:
            # One more than a window: only then does the video go on, and its end is context.
            if len(self._held) == WINDOW:
                yield self._score(WINDOW - BESIDE)
                drop = WINDOW - 2 * BESIDE
                del self._held[:drop]
                self._first += drop
            self._held.append(row)

    def _score(self, end: int) -> HeadLevels:
        """All that is held, of which up to `end` is handed out."""
        level, probs = self.graph.levels(np.stack([row for row, _ in self._held]))
        where = np.stack([place for _, place in self._held])
        rows = slice(self._given - self._first, end)
        numbers = np.arange(self._given, self._first + end)
        self._given = self._first + end
        times = self._stream.start_s + (numbers + 0.5) * self._stream.seconds
        return HeadLevels(level[rows], None if probs is None else probs[rows], where[rows], times)


def graph(folder: str | Path) -> Any:
    """The head as an OpenVINO model: features (1, WINDOW, W) and mask (1, WINDOW) to log odds (1, WINDOW) and, where
    it knows classes, their probabilities (1, WINDOW, K). W is DIM, or DIM_PLAIN or DIM_FLOW for a head from before
    there were numbers of flow or of people. HeadError for a head of other features."""
    import openvino
    import torch

    from tvad.temporal.reading import width_of
    from tvad.temporal.registry import HeadError, load_head

    saved = load_head(folder)
    width = width_of(saved.head)
    if width not in (DIM, DIM_FLOW, DIM_PLAIN):
        raise HeadError(f"{folder}: a head for {width} numbers; snippets have {DIM}. Train it again")

    class Levels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = saved.head

        def forward(self, x: Any, mask: Any) -> Any:
            out = self.head(x, mask)
            return out.logits if out.class_probs is None else (out.logits, out.class_probs)

    example = torch.zeros(1, WINDOW, width), torch.arange(WINDOW)[None] < WINDOW // 2
    shapes = [openvino.PartialShape([1, WINDOW, width]), openvino.PartialShape([1, WINDOW])]
    try:
        with torch.no_grad():
            return openvino.convert_model(Levels().eval(), example_input=example, input=shapes)
    except openvino.frontend.OpConversionFailure as error:
        advice = "train it with --set tsa_eval=hard" if saved.name == "clip_tsa" else "choose another head"
        raise HeadError(f"{folder}: {saved.name} cannot be run here as it is; {advice}") from error
