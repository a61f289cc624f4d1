"""The falls of GMDCSA-24 as a list: labels, stretches in frames, persons as sources."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.datasets.falls import lines_of, main
from training.datasets.weak import folds, read_videos

LABELS = {
    "subject1/Fall/13.mp4": {
        "fps": 30.0,
        "fall": True,
        "segments_sec": [["Sitting", 0, 0.3], ["Falling (BW)", 0.4, 4]],
    },
    "subject1/ADL/10.mp4": {"fps": 30.0, "fall": False, "segments_sec": [["Walking", 0, 3]]},
    "subject2/Fall/13.mp4": {"fps": 25.0, "fall": True, "segments_sec": [["Falling (SW)", 1, 2]]},
    "subject2/ADL/11.mp4": {"fps": 25.0, "fall": False, "segments_sec": []},
}  # fmt: skip


def test_a_list_that_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    for person, name in (("subject1", "13"), ("subject1", "10"), ("subject2", "13"), ("subject2", "11")):
        (tmp_path / person).mkdir(exist_ok=True)
        np.save(tmp_path / person / f"{name}.npy", np.zeros((8, 4), np.float32))
    out = tmp_path / "falls.jsonl"
    assert main([str(tmp_path), "-o", str(out)]) == 0 and "4 videos, 2 of them with a fall" in capsys.readouterr().out
    text = out.read_text().replace(".safetensors", ".npy")
    out.write_text(text)
    by_name = {v.name: v for v in read_videos(out)}
    fall = by_name["subject1-Fall-13"]
    assert (fall.labels, fall.source, fall.fps, fall.segments) == (("fall",), "subject1", 30.0, ((12, 120, "fall"),))
    assert by_name["subject2-Fall-13"].features[0].parent.name == "subject2"
    assert by_name["subject1-ADL-10"].segments == ()
    assert [{v.source for v in held} for _, held in folds(list(by_name.values()), 2)] == [{"subject1"}, {"subject2"}]


@pytest.mark.parametrize("text", ["no json", '["a"]', '{"a/b/c.mp4": {"fps": 3}}', '{"a.mp4": {"fps": 3, "fall": 1}}'])
def test_other_files_are_named(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(ValueError, match=r"labels\.json: no labels of GMDCSA-24"):
        lines_of(tmp_path)
    assert main([str(tmp_path), "-o", str(tmp_path / "x.jsonl")]) == 2 and not (tmp_path / "x.jsonl").exists()
    assert capsys.readouterr().err.startswith("error: ")


def test_the_real_labels(real_data: Path) -> None:
    lines = lines_of(real_data / "gmdcsa24_fall")
    assert len(lines) == 9 and sum(line["label"] == "fall" for line in lines) == 6
    assert all(len(line["segments"]) == 1 for line in lines if line["label"] == "fall")
