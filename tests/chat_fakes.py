"""Evidence for the tests of `chat`: one known video, and random ones whose words are those of heatmap/motion.py."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from heatmap.motion import cell_path, describe_motion, entry_exit
from tvad.evidence import Event, Evidence, Motion, Track, TrackBox, VideoMeta
from tvad.lvlm.base import Messages
from tvad.settings import Settings

SIZE_WH = (640, 360)
DURATION_S = 30.0
SIZE = np.array([40.0, 60.0])
LABELS = ("bicycle", "cart", "person-sized object", "small object", "golf cart", "dog", "")
LOOKS = ("small dark blue and white", "medium-sized red", "large grey", "", "small light brown", "large dark")


def make_track(number: int, label: str, looks: str, times_s: np.ndarray, boxes: np.ndarray) -> Track:
    """A track from its boxes (N, 4), with the program's own words for how it moves."""
    motion = Motion(**asdict(describe_motion(times_s, boxes, SIZE_WH)))
    entry, exit_ = entry_exit(times_s, boxes, SIZE_WH, 0.0, DURATION_S)
    seen = tuple(
        TrackBox(float(t), tuple(float(v) for v in box), 0.9)  # type: ignore[arg-type]
        for t, box in zip(times_s, boxes, strict=True)
    )
    sure = 0.0 if not label or label.endswith("object") else 0.8
    return Track(number, label, sure, looks, seen, cell_path(boxes, SIZE_WH), motion, entry, exit_)


def straight(number: int, label: str, looks: str, start_s: float, end_s: float, way: tuple[float, ...]) -> Track:
    """A track on a straight line; way: x and y of its box's corner at the start, then at the end."""
    times_s = np.arange(start_s, end_s + 1e-6, 0.125)
    share = np.linspace(0, 1, len(times_s))[:, None]
    corner = np.array(way[:2]) * (1 - share) + np.array(way[2:]) * share
    return make_track(number, label, looks, times_s, np.hstack([corner, corner + SIZE]))


def make_evidence(events: tuple[Event, ...], tracks: tuple[Track, ...], calibration: str = "scene") -> Evidence:
    return Evidence(
        video=VideoMeta("gate.mp4", "0" * 64, DURATION_S, 25.0, *SIZE_WH),
        preset="mini",
        versions={},
        settings=Settings().to_dict(),
        events=events,
        tracks=tracks,
        has_anomaly=bool(events),
        confidence=0.93,
        summary="",
        calibration=calibration,
    )


def three_events() -> Evidence:
    """A bicycle that crosses to the right at 5 s, something red that goes up at 12 s, and an event without track."""
    tracks = (
        straight(1, "bicycle", "small dark blue and white", 5.0, 10.0, (0, 150, 560, 150)),
        straight(2, "person-sized object", "medium-sized red", 12.0, 15.0, (500, 290, 500, 20)),
    )
    events = (
        Event(1, 5.0, 10.0, 7.5, 0.91, "bicycle", (1,), ("memory", "words")),
        Event(2, 12.0, 15.0, 13.0, 0.7, "unusual movement", (2,), ("memory",)),
        Event(3, 20.0, 21.0, 20.5, 0.6, "unusual appearance", (), ("memory",)),
    )
    return make_evidence(events, tracks)


def one_event() -> Evidence:
    known = three_events()
    return make_evidence(known.events[:1], known.tracks[:1])


def nothing() -> Evidence:
    return make_evidence((), ())


def random_evidence(seed: int) -> Evidence:
    """Up to seven events with up to four tracks each, walks of any shape; now and then nothing at all."""
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(np.arange(1, 295), 2 * int(rng.integers(0, 8)), replace=False)) / 10
    tracks: list[Track] = []
    events: list[Event] = []
    for start_s, end_s in edges.reshape(-1, 2).tolist():
        own = []
        for _ in range(int(rng.integers(0, 5))):
            tracks.append(_walk(rng, len(tracks) + 1, start_s, end_s))
            own.append(tracks[-1].id)
        label = tracks[own[0] - 1].label if own else ""
        kind = str(rng.choice(["unusual movement", "unusual appearance", "unusual object", label or "unusual object"]))
        raised = ("memory", "words")[: int(rng.integers(1, 3))]
        score = float(rng.uniform(0.5, 1))
        peak_s = float(rng.uniform(start_s, end_s))
        events.append(Event(len(events) + 1, start_s, end_s, peak_s, score, kind, tuple(own), raised))
    made = make_evidence(tuple(events), tuple(tracks), str(rng.choice(["scene", "uncalibrated"])))
    return replace(made, confidence=float(rng.uniform(0.5, 1)))


def _walk(rng: np.random.Generator, number: int, start_s: float, end_s: float) -> Track:
    times_s = np.arange(start_s, end_s + 1e-6, 0.125)
    steps = rng.normal(rng.normal(0, 6, 2), rng.choice([0.1, 2.0, 10.0]), (len(times_s), 2))
    corner = np.clip(rng.uniform((0, 0), (600, 300)) + np.cumsum(steps, 0), (0, 0), (599, 299))
    return make_track(
        number, str(rng.choice(LABELS)), str(rng.choice(LOOKS)), times_s, np.hstack([corner, corner + SIZE])
    )


class FakeExplainer:
    """Says what it was told to say, in pieces of a few characters; then fails when `fails` is set."""

    n_tokens = 5

    def __init__(self, *answers: str, fails: BaseException | None = None, yes: float = 0.9) -> None:
        self.answers = list(answers)
        self.fails = fails
        self.yes = yes
        self.heard: list[Messages] = []
        self.first: list[tuple[str, ...]] = []

    def yes_probability(self, messages: Messages) -> float:
        return self.yes

    def stream(self, messages: Messages, max_new_tokens: int = 160, first: Sequence[str] = ()) -> Iterator[str]:
        self.heard.append(messages)
        self.first.append(tuple(first))
        text = self.answers.pop(0)
        for i in range(0, len(text), 7):
            yield text[i : i + 7]
        if self.fails is not None:
            raise self.fails
