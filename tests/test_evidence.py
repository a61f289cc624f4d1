"""Evidence and curves: nothing lost on disk, nothing wrong accepted from it."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from chat_fakes import nothing, random_evidence, three_events

from tvad.evidence import Curves, Evidence, EvidenceError, write_atomic

GOOD: dict[str, Any] = {
    "times_s": np.arange(5) / 10,
    "scores": np.linspace(0, 1, 5, dtype=np.float32),
    "heat_times_s": np.arange(2) / 5,
    "heat": np.linspace(0, 1, 24).reshape(2, 3, 4).astype(np.float16),
}


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    raw = json.loads(three_events().to_json())
    change(raw)
    return json.dumps(raw)


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("evidence", [three_events(), nothing(), *(random_evidence(seed) for seed in range(6))])
def test_json_gives_back_an_equal_value(evidence: Evidence) -> None:
    assert Evidence.from_json(evidence.to_json()) == evidence


def test_nested_values_come_back_with_their_types() -> None:
    full = replace(
        three_events(),
        settings={"anomaly": ["bicycle", "a cart"], "deep": {"on": True, "none": None, "rate": 0.1 + 0.2}},
        versions={"tvad": "0.1", "numpy": "2"},
        warnings=("first", "zweite: größer"),
        peak_score=1 / 3,
    )
    back = Evidence.from_json(full.to_json())
    assert back == full
    assert isinstance(back.tracks[0].boxes[0].xyxy, tuple)
    assert isinstance(back.warnings, tuple)
    assert back.settings["deep"]["on"] is True


def test_file_gives_back_an_equal_value(tmp_path: Path) -> None:
    three_events().save(tmp_path / "new" / "evidence.json")
    assert Evidence.load(tmp_path / "new" / "evidence.json") == three_events()


def test_optional_fields_may_be_missing() -> None:
    def drop(raw: dict[str, Any]) -> None:
        for key in ("warnings", "peak_score", "calibration", "threshold"):
            del raw[key]
        for event in raw["events"]:
            del event["raised_by"]

    back = Evidence.from_json(changed(drop))
    assert back.warnings == ()
    assert back.peak_score is None
    assert [e.raised_by for e in back.events] == [(), (), ()]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "3", '"schema_version"', "{}", "[" * 100_000])
def test_what_is_no_evidence_file_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match=r"not JSON|not an evidence file") as error:
        Evidence.from_json(text)
    one_line(error)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_schema_is_refused_with_what_to_do(version: object) -> None:
    with pytest.raises(EvidenceError, match="Run `tvad analyze`") as error:
        Evidence.from_json(changed(lambda raw: raw.update(schema_version=version)))
    assert repr(version) in one_line(error)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.pop("video"),
        lambda raw: raw.pop("confidence"),
        lambda raw: raw.update(surprise=1),
        lambda raw: raw.update(events=None),
        lambda raw: raw.update(video=[1, 2]),
        lambda raw: raw.update(confidence="high"),
        lambda raw: raw.update(confidence=None),
        lambda raw: raw["video"].update(width="640"),
        lambda raw: raw["events"][0].update(score="0.9"),
        lambda raw: raw["events"][0].update(start_s="5"),
        lambda raw: raw["events"][0].update(tracks=[[1]]),
        lambda raw: raw["events"][0].pop("category"),
        lambda raw: raw["tracks"][0]["motion"].update(mean_speed="fast"),
        lambda raw: raw["tracks"][0]["motion"].pop("turn"),
        lambda raw: raw["tracks"][0]["boxes"][0].update(xyxy=[1, 2, 3]),
        lambda raw: raw["tracks"][0]["boxes"][0].update(xyxy=[1, 2, 3, "four"]),
        lambda raw: raw["tracks"][0]["boxes"][0].pop("score"),
    ],
)
def test_missing_and_malformed_fields_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(EvidenceError, match="missing or malformed field") as error:
        Evidence.from_json(changed(change))
    one_line(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(EvidenceError, match="is not a number"):
        Evidence.from_json(changed(lambda raw: raw["events"][0].update(score=value)))


def test_numbers_that_are_none_are_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(three_events(), confidence=float("nan")).to_json()


def test_file_of_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(EvidenceError, match="not a text file"):
        Evidence.load(tmp_path / "evidence.json")


def test_yes_without_events_is_refused() -> None:
    with pytest.raises(EvidenceError, match="has_anomaly is True but there are 0 events"):
        replace(nothing(), has_anomaly=True)


def test_no_with_events_is_refused() -> None:
    with pytest.raises(EvidenceError, match="has_anomaly is False but there are 3 events"):
        replace(three_events(), has_anomaly=False)


@pytest.mark.parametrize("times", [{"peak_s": 4.9}, {"peak_s": 10.1}, {"end_s": 4.0}, {"start_s": float("nan")}])
def test_event_times_out_of_order_are_refused(times: dict[str, Any]) -> None:
    known = three_events()
    with pytest.raises(EvidenceError, match=r"event 1: .* out of order"):
        replace(known, events=(replace(known.events[0], **times), *known.events[1:]))


def test_event_with_an_unknown_track_is_refused() -> None:
    known = three_events()
    with pytest.raises(EvidenceError, match=r"event 3 names tracks \[7\], known are \[1, 2\]"):
        replace(known, events=(*known.events[:2], replace(known.events[2], tracks=(1, 7))))


def test_tracks_with_one_id_are_refused() -> None:
    known = three_events()
    with pytest.raises(EvidenceError, match="share an id"):
        replace(known, tracks=(*known.tracks, known.tracks[0]))


def test_track_without_boxes_is_refused() -> None:
    known = three_events()
    with pytest.raises(EvidenceError, match=r"tracks \[2\] have no boxes"):
        replace(known, tracks=(known.tracks[0], replace(known.tracks[1], boxes=())))


def test_track_is_found_by_id_and_knows_its_time() -> None:
    track = three_events().track(2)
    assert (track.id, track.start_s, track.end_s) == (2, 12.0, 15.0)


def test_unknown_track_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no track 9; known: \[1, 2\]"):
        three_events().track(9)


def test_curves_come_back_exactly(tmp_path: Path) -> None:
    probs = np.random.default_rng(0).random((5, 2)).astype(np.float32)
    parts = {"memory": np.linspace(-3, 9, 5, dtype=np.float32), "words": np.zeros(5, np.float32)}
    Curves(**GOOD, class_names=("bicycle", "größer"), class_probs=probs, parts=parts).save(tmp_path / "scores.npz")
    back = Curves.load(tmp_path / "scores.npz")
    for name, values in GOOD.items():
        assert np.array_equal(getattr(back, name), values)
        assert getattr(back, name).dtype == values.dtype
    assert back.class_names == ("bicycle", "größer")
    assert back.class_probs is not None and np.array_equal(back.class_probs, probs)
    assert list(back.parts) == ["memory", "words"]
    assert np.array_equal(back.parts["memory"], parts["memory"])


def test_empty_curves_come_back(tmp_path: Path) -> None:
    empty = Curves(np.zeros(0), np.zeros(0, np.float32), np.zeros(0), np.zeros((0, 1, 1), np.float16))
    empty.save(tmp_path / "scores.npz")
    back = Curves.load(tmp_path / "scores.npz")
    assert back.heat.shape == (0, 1, 1)
    assert back.class_names == ()
    assert back.class_probs is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scores": np.zeros(4)}, "must be equal"),
        ({"times_s": np.zeros((5, 1)), "scores": np.zeros((5, 1))}, "must be equal"),
        ({"heat": np.zeros((2, 3))}, "must be .T, h, w."),
        ({"heat": np.zeros((3, 3, 4))}, "must be .T, h, w."),
        ({"scores": np.full(5, 1.01)}, "scores leaves"),
        ({"scores": np.full(5, -0.01)}, "scores leaves"),
        ({"scores": np.array([0, 0, np.nan, 0, 0])}, "scores leaves"),
        ({"heat": np.full((2, 3, 4), 1.5)}, "heat leaves"),
        ({"heat": np.full((2, 3, 4), np.inf)}, "heat leaves"),
    ],
)
def test_curves_that_cannot_be_are_refused(change: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(EvidenceError, match=reason):
        Curves(**{**GOOD, **change})


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated_curves_are_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "scores.npz"
    Curves(**GOOD).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(EvidenceError, match=r"not a readable scores.npz") as error:
        Curves.load(path)
    one_line(error)


@pytest.mark.parametrize("at", [60, 100])
def test_curves_with_changed_bytes_are_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "scores.npz"
    Curves(**GOOD).save(path)
    data = bytearray(path.read_bytes())
    data[at : at + 6] = b"abcdef"
    path.write_bytes(data)
    with pytest.raises(EvidenceError, match=r"not a readable scores.npz"):
        Curves.load(path)


@pytest.mark.parametrize(
    "change",
    [{"scores": np.array(list("abcde"))}, {"class_names": np.array(3)}, {"times_s": np.array([None] * 5)}],
    ids=["text", "no list", "objects"],
)
def test_curves_of_another_type_are_refused(tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    path = tmp_path / "scores.npz"
    np.savez(path, **{**GOOD, "class_names": np.array([], dtype=np.str_), **change})
    with pytest.raises(EvidenceError, match=r"not a readable scores.npz"):
        Curves.load(path)


def test_array_file_and_missing_curve_are_refused(tmp_path: Path) -> None:
    single, lacking = io.BytesIO(), io.BytesIO()
    np.save(single, np.zeros(3))
    np.savez(lacking, **{k: v for k, v in GOOD.items() if k != "heat"})
    for made in (single, lacking):
        (tmp_path / "scores.npz").write_bytes(made.getvalue())
        with pytest.raises(EvidenceError, match=r"not a readable scores.npz"):
            Curves.load(tmp_path / "scores.npz")


def test_curves_out_of_range_on_disk_keep_their_reason(tmp_path: Path) -> None:
    np.savez(tmp_path / "scores.npz", **{**GOOD, "scores": np.full(5, 2.0)}, class_names=np.array([], dtype=np.str_))
    with pytest.raises(EvidenceError, match=r"scores leaves \[0, 1\]: 2.0 to 2.0"):
        Curves.load(tmp_path / "scores.npz")


def test_missing_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Curves.load(tmp_path / "scores.npz")
    with pytest.raises(FileNotFoundError):
        Evidence.load(tmp_path / "evidence.json")


def test_atomic_write_makes_folders_and_a_file_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "out.bin"
    write_atomic(path, lambda file: file.write(b"whole"))
    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["out.bin"]


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise failure

    with pytest.raises(type(failure)):
        write_atomic(path, fail)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.bin"]


def test_write_onto_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "out.bin").mkdir()
    with pytest.raises(OSError):
        write_atomic(tmp_path / "out.bin", lambda file: file.write(b"x"))
    assert [p.name for p in tmp_path.iterdir()] == ["out.bin"]
