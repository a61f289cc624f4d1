"""Class texts, scores of whole videos, and the commands from a list of videos to figures."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporal_fakes import SMALL, WIDTH, made

from training.datasets.weak import WeakVideo, class_names
from training.evaluate_scores import main as evaluate_main
from training.temporal import texts
from training.temporal.batches import FeatureStore, segment_means
from training.temporal.command import main, parse
from training.temporal.evaluate import Scoring, block_edges, frame_labels, predict, score_video, selection
from training.temporal.evaluate import main as score_main
from tvad.temporal.base import HeadOutput, TemporalHead
from tvad.temporal.clip_text import LearnedContext
from tvad.temporal.mil_ranking import MilRanking, MilRankingConfig, paint
from tvad.temporal.registry import SavedHead, load_head, make_head, save_head
from tvad.temporal.text import FixedText


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


# Texts


def test_class_names_become_words() -> None:
    names = ("normal", "RoadAccidents", "B6", "Normal_Event", "car-on fire", "UFO")
    assert [texts.words_of(n) for n in names] == [
        "normal",
        "road accidents",
        "car accident",
        "normal event",
        "car on fire",
        "ufo",
    ]


def test_clip_reads_the_labels_as_the_published_code_gives_them(monkeypatch: Any, tmp_path: Path) -> None:
    """Specification of VadCLIP, "Text branch": bare labels in lower case; XD-Violence's codes as words."""
    made: list[list[str]] = []
    monkeypatch.setattr(texts, "read_clip_text", lambda folder: (None, None))
    monkeypatch.setattr(texts, "PromptedClip", lambda clip, tokenizer, words: made.append(words))
    for head in ("vadclip", "finevad"):
        texts.make_text(str(tmp_path), head, ("normal", "RoadAccidents", "B6", "car_on fire"))
    assert made[0] == ["normal", "roadaccidents", "car accident", "car on fire"]
    assert made[1] == [*made[0], "anomaly"]


def test_each_head_gets_the_texts_it_wants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tvad.minilm.embed", lambda words: np.eye(len(words), 6, dtype=np.float32))
    names = ("normal", "RoadAccidents")
    assert texts.make_text("auto", "mil_ranking", names) is None
    for head, kind in (("vadclip", LearnedContext), ("dsanet", FixedText), ("finevad", LearnedContext)):
        tower = texts.make_text("auto", head, names)
        assert type(tower) is kind and tower.names[:2] == ("normal", "road accidents")
        assert type(texts.make_text("minilm", head, names)) is FixedText
        assert len(tower.names) == (3 if head == "finevad" else 2)
    with pytest.raises(ValueError, match="text is 'nothing'; choose auto, minilm, random, or the folder"):
        texts.make_text("nothing", "vadclip", names)
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        texts.make_text(str(tmp_path), "vadclip", names)


def test_adapters_of_texts_are_those_of_the_data_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(texts, "read_clip_text", lambda folder: (None, None))
    monkeypatch.setattr(texts, "AdaptedClip", lambda clip, tokenizer, words, **settings: made.append(settings))
    for recipe in ("ucf-crime", "xd-violence"):
        texts.make_text(str(tmp_path), "dsanet", ("normal", "B1"), recipe)
    assert made == [{"layers": 3, "share": 0.1}, {"layers": 1, "share": 0.6}]


# Scores


class Ramp(TemporalHead):
    """Scores a step by its first number, and remembers how long its inputs were."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.lengths: list[int] = []

    def forward(self, x: torch.Tensor, mask: torch.Tensor, text: Any = None, y: Any = None) -> HeadOutput:
        assert not self.training and bool(mask.all())
        self.lengths.append(x.shape[1])
        scores = x[..., 0] * self.scale
        return HeadOutput(scores, scores, class_probs=torch.stack([1 - scores, scores], -1))


def test_whole_videos_are_scored_in_blocks_and_crops_averaged() -> None:
    x = np.zeros((2, 1000, WIDTH), np.float32)
    x[0, :, 0], x[1, :, 0] = np.linspace(0, 1, 1000), 0.5
    head = Ramp().train()
    found = score_video(head, x, Scoring(block=300))
    assert head.training and head.lengths == [256, 256, 256, 232] * 2
    np.testing.assert_allclose(found.scores, x[..., 0].mean(0), atol=1e-6)
    assert found.class_probs is not None and found.class_probs.shape == (1000, 2)
    np.testing.assert_allclose(found.class_probs.sum(1), 1, atol=1e-6)
    first = score_video(head, x, Scoring(crops="first"))
    np.testing.assert_allclose(first.scores, x[0, :, 0], atol=1e-6)
    np.testing.assert_allclose(score_video(head, x[0]).scores, first.scores)
    painted = score_video(head, x[1], Scoring(segments=32))
    assert painted.scores.shape == (1000,) and head.lengths[-1] == 32
    few = score_video(head, x[0], Scoring(segments=4)).scores
    means = torch.from_numpy(segment_means(x[0], 4)[:, 0])
    np.testing.assert_allclose(few, paint(means, 1000).numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="scores are not finite"):
        score_video(head, np.full((3, WIDTH), np.nan, np.float32))


@pytest.mark.parametrize(
    ("steps", "block", "found"),
    [
        (1, 2048, [0, 1]),
        (2048, 2048, [0, 2048]),
        (2049, 2048, [0, 1280, 2049]),
        (10, 4, [0, 4, 8, 10]),
        (9, 4, [0, 3, 6, 9]),
    ],
)
def test_blocks_are_alike(steps: int, block: int, found: list[int]) -> None:
    assert block_edges(steps, block) == found


def test_figures_by_hand(tmp_path: Path) -> None:
    rows = {"n": [0.1, 0.2], "a": [0.1, 0.9, 0.3]}
    for name, row in rows.items():
        x = np.zeros((len(row), WIDTH), np.float32)
        x[:, 0] = row
        np.save(tmp_path / f"{name}.npy", x)
    made_of = [
        WeakVideo("n", (), (tmp_path / "n.npy",), "n", segments=()),
        WeakVideo("a", ("fire",), (tmp_path / "a.npy",), "a", 40, segments=((16, 32, "fire"),)),
    ]
    found = selection(Ramp(), FeatureStore(made_of))
    assert found == {"video_auc": 1.0, "gap": pytest.approx(0.7), "frame_auc": 1.0}
    assert (
        frame_labels(made_of[1], 3).nonzero()[0].tolist() == list(range(16, 32))
        and len(frame_labels(made_of[0], 2)) == 32
    )
    unknown = FeatureStore([made_of[0], replace(made_of[1], segments=None)])
    assert "frame_auc" not in selection(Ramp(), unknown)


def test_afr_may_say_the_frames_itself(tmp_path: Path) -> None:
    """Specification of AFR, "Inference": each level is interpolated to frames, then the levels are averaged."""
    head = make_head("afr", WIDTH, **SMALL["afr"])
    x = np.random.default_rng(0).normal(size=(2, 7, WIDTH)).astype(np.float32)
    found = score_video(head, x, Scoring(frames=True))
    mask = torch.ones(2, 7, dtype=torch.bool)
    with torch.no_grad():
        wanted = head.eval().frame_scores(head(torch.from_numpy(x), mask), mask).mean(0)
    np.testing.assert_allclose(found.scores, wanted.numpy(), atol=1e-6)
    assert found.scores.shape == (112,) and len(set(found.scores[:16].tolist())) > 1
    assert score_video(make_head("mil_ranking", WIDTH), x, Scoring(frames=True)).scores.shape == (7,)
    # Cut or held at the end of its video, and said to be of frames.
    for frames, size in ((None, 112), (100, 100), (120, 120)):
        np.save(tmp_path / "v.npy", x)
        video = WeakVideo("v", (), (tmp_path / "v.npy",), "v", frames)
        (path,) = predict(SavedHead("afr", head, ("normal",), {}), [video], tmp_path / "out", Scoring(frames=True))
        with np.load(path) as file:
            assert file["scores"].shape == (size,) and int(file["frames"]) == size
            np.testing.assert_allclose(file["scores"][:100], wanted[:100].numpy(), atol=1e-6)


# The commands


def listed(folder: Path, videos: list[WeakVideo]) -> Path:
    path = folder / "list.csv"
    rows = [(v.name, label, s, e) for v in videos for s, e, label in v.segments or ()]
    rows += [(v.name, "normal", "", "") for v in videos if not v.labels]
    path.write_text("video,label,start,end\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def flags(name: str) -> list[str]:
    settings = [f"{k}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for k, v in SMALL[name].items()]
    quick = ["--steps", "4", "--every", "2", "--length", "8"]
    return ["--head", name, "--text", "random", "--set", *settings, *quick, "--threads", "1", "--share", "0.4"]


def test_from_a_list_to_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = made(tmp_path / "data", 12)
    data = listed(tmp_path, videos)
    where = ["--data", str(data), "--features", str(tmp_path / "data")]
    given = parse([*flags("vadclip"), *where, "--out", str(tmp_path / "head")])
    assert main(given) == 0
    saved = load_head(tmp_path / "head")
    assert saved.names == ("normal", "fight", "fire") == class_names(videos)
    assert saved.head.config.window == 4  # type: ignore[union-attr]
    assert saved.about["training"]["lr"] == 2e-5 and saved.about["training"]["steps"] == 4
    assert saved.about["training"]["select"] == "frame" and 3 <= saved.about["held_back"] <= 6
    out = tmp_path / "predictions"
    assert score_main([str(tmp_path / "head"), *where, "--out", str(out)]) == 0
    with np.load(out / f"{videos[1].name}.npz") as file:
        assert file["scores"].shape == (videos[1].frames // 16,)  # type: ignore[operator]
        assert file["class_names"].tolist() == ["normal", "fight", "fire"]
        assert file["class_probs"].shape == (videos[1].frames // 16, 3)  # type: ignore[operator]
    truth = tmp_path / "truth.jsonl"
    truth.write_text(
        "".join(
            json.dumps(
                {"video": v.name, "frames": v.frames, "fps": 30, "label": v.labels or "normal", "segments": v.segments}
            )
            + "\n"
            for v in videos
        )
    )
    capsys.readouterr()
    evaluate_main([str(out), "--truth", str(truth), "--draws", "0"])
    assert "micro_auc" in capsys.readouterr().out
    assert json.loads((out / "evaluation.json").read_text())["data"]["videos"] == 12


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--set", "windows=3"], "no setting is called 'windows'"),
        (["--set", "window=x"], "window is 'x'; it must be a whole number"),
        (["--set", "classes=3"], "no setting is called 'classes'"),
        (["--lr", "fast"], "--lr is 'fast'; it must be a number"),
        (["--steps", "0"], "steps is 0; it must be at least 1"),
        (["--share", "1"], "share is 1.0"),
        (["--pseudo", "x"], "vadclip learns from no pseudo labels"),
    ],
)
def test_wrong_flags_end_with_one_line(more: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--head", "vadclip", "--data", "x.csv", "--out", "y", *more], "tvad train temporal")
    assert ended.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("tvad train temporal: error:") and line in last


def test_flags_change_the_recipe() -> None:
    given = parse(["--head", "clip_tsa", "--data", "x", "--out", "y", "--epochs", "3", "--recipe", "xd-violence"])
    assert given.settings == {"share": 0.9}
    wanted = {"steps": None, "epochs": 3, "length": 32, "resample": "stretch", "normal": 16, "lr": 1e-3}
    assert wanted.items() <= asdict(given.training).items()
    given = parse(["--head", "vadclip", "--data", "x", "--out", "y", "--drops", "0.5", "--decay-all", "no"])
    assert given.training.drops == (0.5,) and given.training.decay_all is False


def test_bad_data_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(parse(["--head", "mil_ranking", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "out")])) == 2
    assert "no is not there; expected a list, a table or a folder" in capsys.readouterr().err
    data = listed(tmp_path, made(tmp_path / "data", 12))
    (tmp_path / "data" / "v0x03.npy").write_bytes(b"")
    where = ["--data", str(data), "--features", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert main(parse([*flags("mil_ranking"), *where])) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "v0x03.npy: no features that can be read" in error and "\n" not in error
    assert score_main([str(tmp_path / "none"), *where]) == 4
    assert "no temporal head in" in capsys.readouterr().err
    save_head(MilRanking(MilRankingConfig(WIDTH + 2)), tmp_path / "wide", ("normal", "fire"))
    np.save(tmp_path / "data" / "v0x03.npy", np.zeros((3, WIDTH), np.float32))
    assert score_main([str(tmp_path / "wide"), *where]) == 2
    assert "features of width 16" in capsys.readouterr().err and not (tmp_path / "out").exists()
