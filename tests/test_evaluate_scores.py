"""Scores against truth: the worked examples through the command, the files it reads, intervals over videos."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.evaluate_scores import evaluate, main, table
from training.intervals import video_auc
from training.metrics import anomalous_auc, average_precision, event_scores, intervals, macro_auc, micro_auc
from training.score_figures import Protocol, align
from training.score_files import Prediction, VideoTruth, key_of, read_predictions, read_truth
from training.segment_metrics import segment_map

A, B = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.9, 0.2])
A_TRUTH = {"video": "a.mp4", "frames": 4, "fps": 2, "label": "Fire", "segments": [[2, 4, "Fire"]]}
B_TRUTH = {"video": "b.mp4", "frames": 2, "fps": 2, "label": "Normal", "segments": []}
V0 = [(0.8, 0.1, 0.1), (0.15, 0.8, 0.05), (0.05, 0.9, 0.05), (0.8, 0.1, 0.1)]
V1 = [(0.7, 0.2, 0.1), (0.7, 0.2, 0.1), (0.3, 0.6, 0.1), (0.7, 0.2, 0.1)]


class Case:
    """A folder of predictions and a file of truth, and the command over them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.truth = folder / "scores", folder / "truth.jsonl"
        self.folder.mkdir()

    def predict(self, name: str, scores: Any, **more: Any) -> None:
        np.savez(self.folder / f"{name}.npz", scores=scores, **more)

    def say(self, *lines: dict | str) -> None:
        self.truth.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))

    def run(self, *options: str) -> dict[str, Any]:
        main([str(self.folder), "--truth", str(self.truth), "--draws", "20", *options])
        return json.loads((self.folder / "evaluation.json").read_text())


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case(tmp_path)
    made.predict("a", A)
    made.predict("b", B)
    made.say(A_TRUTH, B_TRUTH)
    return made


def values(report: dict[str, Any], way: str = "raw") -> dict[str, float]:
    return {name: figure["value"] for name, figure in report["figures"][way].items()}


# The worked examples, from files to figures


def test_the_worked_example_of_frames(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    report = case.run("--data-set", "example", "--split", "test")
    found = values(report)
    assert (found["micro_auc"], found["macro_auc"], found["ano_auc"]) == (0.625, 0.75, 0.75)
    assert found["macro_auc_padded"] == pytest.approx(0.944444, abs=1e-6)
    assert (found["ap_step"], found["video_auc"]) == (pytest.approx(0.5), 0.0)
    assert found["ap_trapezoid"] == pytest.approx(average_precision([A, B], [np.arange(4) > 1, np.zeros(2)], "trapz"))
    assert values(case.run("--threshold", "0.8"))["events_found"] == 1
    assert values(case.run("--threshold", "0.81"))["events_found"] == 0
    # Alarms: the last frame of A, which is right, and the first of B, in 2 s outside events.
    assert (found["false_alarms_per_hour"], found["events_found"]) == (pytest.approx(1800), 1.0)
    assert report["data"] | {"predictions_sha256": 0, "truth_sha256": 0} == {
        "data_set": "example",
        "split": "test",
        "videos": 2,
        "anomalous_videos": 1,
        "frames": 6,
        "anomalous_frames": 2,
        "hours": pytest.approx(3 / 3600),
        "predictions_sha256": 0,
        "truth_sha256": 0,
    }
    said = capsys.readouterr().out
    assert "example, split test: 2 videos (1 anomalous), 6 frames (2 anomalous)" in said
    for wanted in ("pad=False", "pad=True", "mode step", "mode trapz", "sigma 48", "95 % of 20", "no class_probs"):
        assert wanted in said
    assert "0.6250 [" in next(line for line in said.splitlines() if line.startswith("micro_auc"))


def test_snippets_are_held_to_the_end_of_their_video(case: Case) -> None:
    case.predict("a", np.array([0.2, 0.9]))
    case.say(A_TRUTH | {"frames": 40, "segments": [[16, 40, "Fire"]]}, B_TRUTH)
    report = case.run()
    assert values(report)["ano_auc"] == 1
    assert report["data"]["frames"] == 42
    # The reference keeps the 32 frames of the two snippets of A; B has a score for each of its frames.
    report = case.run("--align", "reference")
    assert report["data"]["frames"] == 34 and report["data"]["anomalous_frames"] == 16
    assert "1 segments end after their video does and were cut" in report["notes"]


@pytest.mark.parametrize(
    ("mode", "expected"), [("reference_xd", 44.4444), ("reference_ucf", 33.3333), ("anomaly_only", 100.0)]
)
def test_the_worked_example_of_segments(case: Case, mode: str, expected: float) -> None:
    names = ["Normal", "Fight", "Fire"]
    case.predict("a", np.arange(4) / 4, class_probs=V0, class_names=names)
    case.predict("b", np.arange(4) / 4, class_probs=V1, class_names=names)
    case.say(
        {"video": "x/a.mp4", "frames": 64, "fps": 30, "label": ["Fight"], "segments": [[16, 32, "Fight"]]},
        {"video": "b.mp4", "frames": 64, "fps": 30, "label": "Normal"},
    )
    report = case.run("--map-mode", mode, "--sigma", "1e-3")
    for way in ("raw", "smoothed"):
        assert values(report, way)["map@0.5"] == pytest.approx(expected, abs=1e-4)
        assert values(report, way)["map_average"] == pytest.approx(expected, abs=1e-4)
    count = 1 if mode == "anomaly_only" else 3
    assert report["figures"]["raw"]["map@0.5"]["protocol"] == f"percent, mode {mode}, {count} classes averaged"


def made(seed: int = 0, videos: int = 8) -> tuple[dict[str, Prediction], list[VideoTruth]]:
    """Random videos of snippets, four of them anomalous, cut in the middle of a snippet."""
    rng = np.random.default_rng(seed)
    predictions, truth = {}, []
    for v in range(videos):
        probs = rng.dirichlet(np.ones(3), rng.integers(4, 9))
        predictions[f"v{v}"] = Prediction(1 - probs[:, 0], probs, ("Normal", "x", "y"))
        segments = ((8, 40, "xy"[v % 2]),) if v % 3 else ()
        truth.append(VideoTruth(f"v{v}", 16 * len(probs) - 5, 25.0, tuple(s[2] for s in segments), segments))
    return predictions, truth


def test_every_figure_is_that_of_its_function() -> None:
    predictions, truth = made()
    protocol = Protocol(draws=0, threshold=0.7)
    figures = evaluate(predictions, truth, protocol)["figures"]
    aligned = align(predictions, truth, protocol)
    for way, of in (("raw", aligned), ("smoothed", aligned.smoothed(protocol.sigma))):
        found = {name: figure["value"] for name, figure in figures[way].items()}
        scores, labels = of.scores, of.labels
        alarms = [intervals(s >= 0.7, 25.0) for s in scores]
        events = event_scores(alarms, [intervals(y, 25.0) for y in labels], [s.size / 25.0 for s in scores])
        assert of.probs is not None
        of_segments = segment_map(of.probs, of.segments, ("Normal", "x", "y"))
        expected = {
            "micro_auc": micro_auc(scores, labels),
            "macro_auc": macro_auc(scores, labels),
            "macro_auc_padded": macro_auc(scores, labels, pad=True),
            "ap_step": average_precision(scores, labels),
            "ap_trapezoid": average_precision(scores, labels, "trapz"),
            "ano_auc": anomalous_auc(scores, labels),
            "video_auc": video_auc(scores, [bool(t.labels) for t in truth]),
            "false_alarms_per_hour": events.false_alarms_per_hour,
            "events_found": events.recall,
            **{f"map@{t}": v for t, v in zip((0.1, 0.2, 0.3, 0.4, 0.5), of_segments.mean_ap, strict=True)},
            "map_average": of_segments.average,
        }
        assert found == pytest.approx(expected)
        assert events.false_alarms > 0 or way == "smoothed"


@pytest.mark.parametrize(("mode", "cut"), [("anomaly_only", 5), ("reference_ucf", 0), ("reference_xd", 0)])
def test_the_reference_modes_keep_all_frames_of_all_snippets(mode: str, cut: int) -> None:
    predictions, truth = made()
    aligned = align(predictions, truth, Protocol(map_mode=mode))
    assert aligned.probs is not None
    for own, probs, scores in zip(truth, aligned.probs, aligned.scores, strict=True):
        whole = predictions[own.video].class_probs
        assert whole is not None and scores.size == own.frames == 16 * len(whole) - 5
        np.testing.assert_array_equal(probs, np.repeat(whole, 16, axis=0)[: 16 * len(whole) - cut])


def test_smoothing_stays_in_range_and_leaves_constants_alone() -> None:
    predictions, truth = made()
    flat = {name: Prediction(np.full(p.scores.shape, 1 / 3)) for name, p in predictions.items()}
    report = evaluate(flat, truth, Protocol(draws=0))
    assert values(report, "smoothed") == pytest.approx(values(report), nan_ok=True)
    assert values(report)["micro_auc"] == 0.5
    sure = {name: Prediction(np.ones(p.scores.shape)) for name, p in predictions.items()}
    assert values(evaluate(sure, truth, Protocol(draws=0)), "smoothed")["macro_auc_padded"] > 0
    ones = align(sure, truth, Protocol())
    assert all((s == 1).all() for sigma in (0.8, 1.8, 2.2, 3.2) for s in ones.smoothed(sigma).scores)
    sharp = align(predictions, truth, Protocol())
    soft = sharp.smoothed(20.0)
    assert sum(np.abs(np.diff(s)).sum() for s in soft.scores) < 0.8 * sum(
        np.abs(np.diff(s)).sum() for s in sharp.scores
    )
    assert soft.probs is not None and all(np.allclose(p.sum(1), 1) for p in soft.probs)


# Files


def test_the_annotations_of_ucf_crime(tmp_path: Path) -> None:
    path = tmp_path / "temporal.txt"
    path.write_text(
        "Arson011_x264.mp4  Arson  150  420  680  1267  \n"
        "Abuse028_x264  Abuse  165  240  -1  -1  \n"
        "Normal_Videos_003_x264  Normal  -1  -1  -1  -1  \n"
    )
    arson, abuse, normal = read_truth(path)
    assert arson == VideoTruth("Arson011_x264", None, 30.0, ("Arson",), ((150, 420, "Arson"), (680, 1267, "Arson")))
    assert abuse.segments == ((165, 240, "Abuse"),)
    assert (normal.labels, normal.segments) == ((), ())
    predictions = {own.video: Prediction(np.linspace(0, 1, 80)) for own in (arson, abuse, normal)}
    with pytest.raises(ValueError, match="nothing says how many frames Arson011_x264 has"):
        evaluate(predictions, [arson, abuse, normal], Protocol(draws=0))
    report = evaluate(predictions, [arson, abuse, normal], Protocol(align="reference", draws=0))
    assert report["data"]["frames"] == 3 * 1280
    assert report["data"]["anomalous_frames"] == 270 + 587 + 75


def test_the_annotations_of_xd_violence(tmp_path: Path) -> None:
    path = tmp_path / "annotations.txt"
    path.write_text(
        "v=u5SF__#00-00-00_00-01-00_label_G-0-0 624 912 950 1441\n"
        "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-0.mp4 157 180 185  244\n"
    )
    quiet = "v=a__#1_label_A"
    one, two, normal = read_truth(path, names=[quiet, "v=u5SF__#00-00-00_00-01-00_label_G-0-0"])
    assert (one.fps, one.labels, one.segments) == (24.0, ("G",), ((624, 912, "G"), (950, 1441, "G")))
    assert two.video == "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-0"
    assert two.labels == ("G", "B2") and [s[:2] for s in two.segments] == [(157, 180), (185, 244)]
    assert normal == VideoTruth(quiet, None, 24.0, (), ())
    path.write_text(f"{quiet}\n" + path.read_text())
    assert [own.video for own in read_truth(path, names=[quiet])] == [quiet, one.video, two.video]
    # Which of two classes a segment shows is said in the other file only.
    several = tmp_path / "multi.txt"
    several.write_text(f"{one.video} G 624 912 G 950 1441\n{two.video} B2 157 180 G 185 244\n")
    classes = read_truth(several)
    assert classes[1].segments == ((157, 180, "B2"), (185, 244, "G"))
    names = ("A", "B2", "G")
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 95)
    predictions = {own.video: Prediction(1 - probs[:, 0], probs, names) for own in (one, two, normal)}
    protocol = Protocol(align="reference", map_mode="reference_xd", draws=0)
    without = evaluate(predictions, [one, two, normal], protocol)
    assert "map_average" not in without["figures"]["raw"] and "--map-truth" in without["notes"][0]
    report = evaluate(predictions, [one, two, normal], protocol, classes)
    truth = [one.segments, classes[1].segments, ()]
    expected = segment_map([np.repeat(probs, 16, axis=0)] * 3, truth, names, "reference_xd")
    assert values(report)["map_average"] == pytest.approx(expected.average)


def test_the_real_annotations_of_ucf_crime(real_data: Path) -> None:
    path = real_data / "ucf_crime" / "lists" / "Temporal_Anomaly_Annotation.txt"
    if not path.is_file():
        pytest.skip("no lists of UCF-Crime")
    truth = read_truth(path)
    assert len(truth) == 290 and sum(bool(own.labels) for own in truth) == 140
    assert len({label for own in truth for label in own.labels}) == 13
    assert {len(own.segments) for own in truth} == {0, 1, 2}


def test_a_table_of_videos_is_a_truth_too(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["video,label,start,end,frames,fps", "a.mp4,Fire,2,4,4,2", "b.mp4,normal,,,2,2"]
    case.truth.with_suffix(".csv").write_text("\n".join(rows))
    wanted = case.run()
    case.truth = case.truth.with_suffix(".csv")
    found = case.run()
    assert found["figures"] == wanted["figures"] and found["data"]["hours"] == wanted["data"]["hours"]
    case.truth.write_text("video,label\na,Fire\nb,normal\n")
    with pytest.raises(SystemExit):
        case.run()
    assert "truth.csv, line 2: a is Fire without start and end, in frames" in capsys.readouterr().err


def test_names_find_each_other() -> None:
    assert key_of("Fighting/Fighting003_x264.mp4") == key_of("Fighting003_x264") == "Fighting003_x264"
    assert key_of("C:\\clips\\a.b.AVI") == "a.b"


def test_frames_may_stand_with_the_prediction(case: Case) -> None:
    case.predict("a", np.array([0.2, 0.9]), frames=40)
    case.say({key: A_TRUTH[key] for key in ("video", "label", "segments")}, B_TRUTH)
    report = case.run()
    assert read_predictions(case.folder)["a"].frames == 40 and report["data"]["frames"] == 42
    # No frame rate, no rates.
    assert report["data"]["hours"] is None and values(report)["false_alarms_per_hour"] is None
    assert any("--fps" in note for note in report["notes"])
    assert values(case.run("--fps", "2"))["false_alarms_per_hour"] > 0


def test_what_is_left_out_is_said(case: Case) -> None:
    case.predict("c", B)
    assert "1 predictions have no truth and were left out" in case.run()["notes"]
    case.say(A_TRUTH, B_TRUTH, B_TRUTH | {"video": "d.mp4"})
    report = case.run("--partial")
    assert "1 of 3 videos have no prediction and were left out" in report["notes"]
    assert values(report)["micro_auc"] == 0.625
    case.predict("a", A * 10)
    report = case.run("--partial")
    assert any("outside [0, 1]" in note for note in report["notes"]) and values(report)["macro_auc_padded"] is None


def test_hashes_follow_what_was_evaluated(case: Case) -> None:
    first = case.run()["data"]["predictions_sha256"]
    assert case.run()["data"]["predictions_sha256"] == first
    case.predict("b", B / 2)
    assert case.run()["data"]["predictions_sha256"] != first


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([A_TRUTH, B_TRUTH, B_TRUTH | {"video": "c"}], [], "1 of 3 videos have no prediction, the first is c"),
        ([A_TRUTH, "{"], [], "truth.jsonl, line 2: "),
        ([A_TRUTH, "[1]"], ["--format", "jsonl"], "line 2: expected an object"),
        ([{"video": "a", "frames": 4}], [], "line 1: 'label' is missing"),
        ([A_TRUTH, A_TRUTH], [], "holds a more than once"),
        ([A_TRUTH | {"segments": [[3, 2, "Fire"]]}], [], "line 1: segment 3 to 2 of a"),
        ([A_TRUTH | {"segments": []}], [], "a has 0 anomalous segments and the label Fire"),
        ([A_TRUTH | {"label": "Normal"}], [], "a has 1 anomalous segments and the label Normal"),
        ([A_TRUTH | {"frames": 0}], [], "frames of a is 0"),
        ([A_TRUTH | {"fps": "30"}], [], "fps of a is '30'"),
        ([A_TRUTH | {"frames": 900}], [], "a has 900 frames, its 4 scores stand for 16 each"),
        (["a Fire 2"], [], "line 1: 'a Fire 2'; expected `name class start end start end`"),
        (["video,label,start,end"], [], "line 1: 'video,label,start,end'; expected `name class"),
        (["a Fire 2 x"], [], "line 1: 'a Fire 2 x'; expected `name class"),
        (["a 2 4"], ["--format", "xd"], "does not say its classes"),
        ([""], [], "holds no video"),
        ([A_TRUTH, B_TRUTH], ["--sigma", "0"], "sigma is 0.0"),
        ([A_TRUTH, B_TRUTH], ["--threshold", "nan"], "threshold is nan"),
        ([A_TRUTH, B_TRUTH], ["--share", "1"], "share is 1.0"),
        ([A_TRUTH, B_TRUTH], ["--snippet", "0"], "snippet is 0"),
        ([A_TRUTH, B_TRUTH], ["--map-truth", "nowhere.txt"], "No such file or directory: nowhere.txt"),
    ],
)
def test_bad_truth_ends_with_one_line(
    case: Case, capsys: pytest.CaptureFixture[str], lines: list, options: list[str], message: str
) -> None:
    case.say(*lines)
    with pytest.raises(SystemExit) as stopped:
        case.run(*options)
    said = capsys.readouterr()
    assert stopped.value.code == 2 and said.out == ""
    assert said.err.startswith("tvad: ") and said.err.count("\n") == 1 and message in said.err
    assert not (case.folder / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"score": A}, "holds score; expected `scores`"),
        ({"scores": A[None]}, "scores (1, 4)"),
        ({"scores": A * np.nan}, "finite numbers"),
        ({"scores": np.array(["x"])}, "finite numbers"),
        ({"scores": np.array([None])}, "not a readable .npz file"),
        ({"scores": A, "frames": 2.5}, "frames is [2.5]"),
        ({"scores": A, "class_probs": np.ones((4, 2))}, "class_names None"),
        ({"scores": A, "class_probs": np.ones((3, 2)), "class_names": ["N", "x"]}, "expected (4, K)"),
        ({"scores": A, "class_probs": np.ones((4, 1)), "class_names": ["N"]}, "class_names are not the same"),
        (None, "not a readable .npz file"),
    ],
)
def test_bad_predictions_end_with_one_line(
    case: Case, capsys: pytest.CaptureFixture[str], arrays: dict | None, message: str
) -> None:
    if arrays is None:
        (case.folder / "a.npz").write_bytes(b"PK\3\4 no such thing")
    else:
        np.savez(case.folder / "a.npz", **arrays)
    with pytest.raises(SystemExit) as stopped:
        case.run()
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.count("\n") == 1 and message in said


def test_a_folder_without_predictions_is_refused(case: Case, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ValueError, match=str(folder)):
            read_predictions(folder)


def test_a_class_that_no_column_has_is_named() -> None:
    predictions, truth = made()
    other = [*truth[:-1], VideoTruth("v7", 70, 25.0, ("z",), ((8, 40, "z"),))]
    with pytest.raises(ValueError, match="class 'z' of the truth is not one of Normal, x, y"):
        evaluate(predictions, other, Protocol(draws=0))


def test_no_draws_no_brackets(case: Case) -> None:
    report = case.run("--draws", "0")
    assert report["figures"]["raw"]["micro_auc"]["low"] is None
    assert not any("[" in line for line in table(report) if line.startswith("micro_auc"))
    assert "no intervals (--draws 0)" in list(table(report))[1]
