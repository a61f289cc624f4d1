"""Lists of videos that are labelled as a whole: every format, what may be wrong with one, and splits by source."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from training.datasets.weak import WeakVideo, class_names, folds, read_videos, split_by_source, with_truth
from training.datasets.weak_files import read_features, shape_of, shapes_of
from training.datasets.weak_splits import source_of

FILM = "Bad.Boys.1995__#00-26-51_00-27-53_label_B2-0-0"
ELSEWHERE = "/nobody/Desktop/Features"


def put(path: Path, steps: int = 3, width: int = 4, value: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((steps, width), value, np.float32))
    return path


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def video(name: str, *labels: str, source: str | None = None) -> WeakVideo:
    return WeakVideo(name, labels, (), source or name)


# Lists of the data sets


def test_ucf_crimes_list_has_a_file_a_crop(tmp_path: Path) -> None:
    rows = []
    for name, label, folder in (("Abuse001_x264", "Abuse", "Abuse"), ("Normal_Videos003_x264", "Normal", "Normals")):
        for crop in (10, 2, 0):
            put(tmp_path / "features" / folder / f"{name}__{crop}.npy", value=crop)
            rows.append(f"{ELSEWHERE}/{folder}/{name}__{crop}.npy,{label}")
    path = write(tmp_path / "ucf_CLIP_rgb.csv", "path,label", *rows)
    odd, normal = read_videos(path, tmp_path / "features")
    assert (odd.name, odd.labels, odd.source, odd.segments) == ("Abuse001_x264", ("Abuse",), "Abuse001_x264", None)
    assert [p.name[-6:-4].strip("_") for p in odd.features] == ["0", "2", "10"]
    assert (normal.labels, normal.segments) == ((), ())
    assert class_names([odd, normal]) == ("normal", "Abuse")
    (tmp_path / "features" / "Abuse" / "Abuse001_x264__2.npy").unlink()
    with pytest.raises(
        ValueError, match=r"ucf_CLIP_rgb\.csv, line 3: no file .*Abuse001_x264__2\.npy below .*features"
    ):
        read_videos(path, tmp_path / "features")


@pytest.mark.parametrize("bare", [False, True])
def test_xd_violences_list_joins_labels(bare: bool, tmp_path: Path) -> None:
    names = (FILM, FILM.replace("B2-0-0", "G-B2-B6"), "v=7xzsVZTbcOM__#1_label_A")
    rows = [f"{ELSEWHERE}/{name}__0.npy" + ("" if bare else f",{name.rpartition('_')[2]}") for name in names]
    for name in names:
        put(tmp_path / f"{name}__0.npy")
    path = write(tmp_path / ("xd.list" if bare else "xd.csv"), *([] if bare else ["path,label"]), *rows)
    videos = read_videos(path)
    assert [v.labels for v in videos] == [("B2",), ("B2", "B6", "G"), ()]
    assert [v.source for v in videos] == ["Bad.Boys.1995", "Bad.Boys.1995", "v=7xzsVZTbcOM"]
    assert [v.name for v in videos] == list(names)


def test_ucf_crimes_plain_list_says_labels_by_folders(tmp_path: Path) -> None:
    put(tmp_path / "x" / "Abuse001_x264.npy")
    put(tmp_path / "x" / "Normal_Videos001_x264.npy")
    path = write(
        tmp_path / "Anomaly_Train.txt",
        "Abuse/Abuse001_x264.mp4",
        "",
        "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
    )
    assert [v.labels for v in read_videos(path)] == [("Abuse",), ()]


def test_classes_stand_in_the_order_of_the_papers() -> None:
    """Specification of the heads, "Shared data conventions": whatever the order of the list."""
    ucf = [
        "Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting", "RoadAccidents", "Robbery",
        "Shooting", "Shoplifting", "Stealing", "Vandalism",
    ]  # fmt: skip
    xd = ["B1", "B2", "B4", "B5", "B6", "G"]
    for order in (ucf, xd):
        videos = [video(f"v{n}", label) for n, label in enumerate(reversed(order))]
        assert class_names([*videos, video("calm")]) == ("normal", *order)


def test_the_real_list_of_ucf_crime(real_data: Path, tmp_path: Path) -> None:
    lists = real_data / "ucf_crime" / "lists"
    names = [line.split(",")[0].rpartition("/")[2] for line in (lists / "ucf_CLIP_rgbtest.csv").read_text().split()]
    put(tmp_path / names[1])
    for name in names[2:]:
        (tmp_path / name).symlink_to(tmp_path / names[1])
    videos = with_truth(
        read_videos(lists / "ucf_CLIP_rgbtest.csv", tmp_path), lists / "Temporal_Anomaly_Annotation.txt"
    )
    assert len(videos) == 290 and sum(not v.labels for v in videos) == 150
    assert len(class_names(videos)) == 14 and class_names(videos)[:3] == ("normal", "Abuse", "Arrest")
    by_name = {v.name: v for v in videos}
    assert by_name["Arson011_x264"].segments == ((150, 420, "Arson"), (680, 1267, "Arson"))
    assert by_name["Normal_Videos_003_x264"].segments == () and all(v.segments is not None for v in videos)
    rest, held = split_by_source(videos, 0.25, seed=1)
    assert len(rest) + len(held) == 290 and abs(len(held) - 72.5) < 8
    assert set(class_names(rest)) == set(class_names(videos))


# Tables and folders


def test_rows_of_a_video_are_put_together(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path / f"{name}.npy")
    path = write(
        tmp_path / "mine.csv",
        "video,label,start,end,group,frames,fps",
        "a.mp4,fire,32,64,gate,480,",
        "a.mp4,fight,10,20,,,30",
        "a.mp4,normal,100,200,,,",
        "b.mp4,Normal,,,yard,,",
        "c.mp4,fire,,,,,",
    )
    a, b, c = read_videos(path)
    assert (a.labels, a.segments, a.source) == (("fight", "fire"), ((10, 20, "fight"), (32, 64, "fire")), "gate")
    assert (a.frames, a.fps) == (480, 30.0)
    assert (b.labels, b.segments, b.source) == ((), (), "yard")
    assert (c.labels, c.segments) == (("fire",), None)


def test_seconds_become_the_frames_they_touch(tmp_path: Path) -> None:
    put(tmp_path / "a.npy")
    path = write(tmp_path / "mine.csv", "video,label,start_s,end_s,fps", "a,fire,1.01,2.01,10")
    assert read_videos(path)[0].segments == ((10, 21, "fire"),)
    path = write(tmp_path / "mine.csv", "video,label,start_s,end_s", "a,fire,1.01,2.01")
    with pytest.raises(ValueError, match=r"line 2: start_s and end_s need a column fps"):
        read_videos(path)


def test_lines_of_json_are_the_truth_of_the_evaluation_too(tmp_path: Path) -> None:
    (
        put(tmp_path / "deep" / "left.npy"),
        put(tmp_path / "right.npy"),
        put(tmp_path / "b__1.npy"),
        put(tmp_path / "b__0.npy"),
    )
    path = write(
        tmp_path / "truth.jsonl",
        json.dumps({"video": "a.mp4", "label": ["fire"], "segments": [[0, 9, "fire"]], "frames": 20, "fps": 25})[:-1]
        + ', "features": ["deep/left.npy", "right.npy"]}',
        json.dumps({"video": "b.mp4", "label": "normal", "segments": []}),
    )
    a, b = read_videos(path)
    assert a.segments == ((0, 9, "fire"),) and a.frames == 20 and a.fps == 25
    assert [p.name for p in a.features] == ["left.npy", "right.npy"]
    assert [p.name for p in b.features] == ["b__0.npy", "b__1.npy"]
    again = with_truth(read_videos(path), path)
    assert again == [a, b]


def test_a_folder_a_label(tmp_path: Path) -> None:
    for name in ("fight/1", "fight/x/2__0", "fight/x/2__1", "noFight/1", "noFight/3"):
        put(tmp_path / f"{name}.npy")
    videos = read_videos(tmp_path, normal=["nofight"])
    found = {v.name: (v.labels, len(v.features)) for v in videos}
    assert found == {"fight_1": (("fight",), 1), "2": (("fight",), 2), "noFight_1": ((), 1), "3": ((), 1)}
    put(tmp_path / "stray.npy")
    with pytest.raises(ValueError, match=r"stray\.npy is in no folder that says its label"):
        read_videos(tmp_path)


def test_truth_that_contradicts_the_list_is_named(tmp_path: Path) -> None:
    put(tmp_path / "a.npy")
    videos = read_videos(write(tmp_path / "a.csv", "video,label", "a,fire"))
    truth = write(tmp_path / "truth.txt", "a Normal -1 -1 -1 -1", "other Fire 1 2 -1 -1")
    with pytest.raises(ValueError, match=r"truth\.txt: a is normal; its label is fire"):
        with_truth(videos, truth)


WRONG = [
    ("video,label,start,end|a,fire,9,3", "line 2: from 9.0 to 3.0; expected whole frames"),
    ("video,label,start,end|a,fire,9,", "line 2: from 9.0 to None"),
    ("video,label,start,end|a,fire,x,3", "line 2: start is 'x'; expected a number"),
    ("video,label,start,end|a,fire,1,3|a,smoke,,", "line 3: a has no start and end here, and has them in"),
    ("video,label|a,fire|a,normal", "line 3: a is labelled normal here, and fire elsewhere"),
    ("video,label|a", "line 2: 1 cells for the 2 columns video,label"),
    ("video,label|a,", "line 2: expected a video and a label"),
    ("video,label|b,fire", "line 2: no features of b in"),
    ("video,label,group|a,fire,x|a,smoke,y", "line 3: group of a is y here, and x elsewhere"),
    ("video,label,fps|a,fire,0", "line 2: fps is 0.0; expected a number above 0"),
    ("video,label,frames|a,fire,1.5", "line 2: frames is 1.5; expected a whole number above 0"),
    ("video,label,start,end,frames|a,fire,1,30,20", "line 2: a segment of a ends after its 20 frames"),
    ("video,class|a,fire", "columns video, class; expected path,label or video,label"),
    ("video,label", "holds no video"),
    ("", "columns none"),
]


@pytest.mark.parametrize(("text", "line"), WRONG)
def test_what_is_wrong_with_a_table_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    put(tmp_path / "a.npy")
    path = write(tmp_path / "mine.csv", *text.split("|"))
    with pytest.raises(ValueError, match=r".") as caught:
        read_videos(path)
    assert line in str(caught.value) and "mine.csv" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"video": "a", "label": "fire"', "line 1: no JSON"),
        ("[1]", 'line 1: expected an object with "video" and "label"'),
        ('{"video": "a"}', "line 1: expected a video and a label"),
        ('{"video": "a", "label": [3]}', "line 1: label [3]; expected a class"),
        ('{"video": "a", "label": ["fire", "normal"]}', "expected normal, or anomalous classes alone"),
        ('{"video": "a", "label": "fire", "segments": [[1, 2]]}', "segments [[1, 2]]; expected [[start, end, class]"),
        ('{"video": "a", "label": "fire", "segments": [[1, 2, "x"]]}', "a segment is x, which is not among the labels"),
        ('{"video": "a", "label": "fire", "features": 3}', "features 3; expected paths"),
    ],
)
def test_what_is_wrong_with_a_line_of_json_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    put(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r".") as caught:
        read_videos(write(tmp_path / "mine.jsonl", text))
    assert line in str(caught.value)


def test_two_files_of_one_video_are_named(tmp_path: Path) -> None:
    put(tmp_path / "x" / "a.npy"), put(tmp_path / "y" / "a.npy")
    with pytest.raises(ValueError, match=r"line 2: two files of features of a: .*x.a\.npy and .*y.a\.npy"):
        read_videos(write(tmp_path / "mine.csv", "video,label", "a,fire"))
    put(tmp_path / "z" / "p" / "b.npy"), put(tmp_path / "z" / "q" / "b.npy")
    with pytest.raises(ValueError, match=r"two files of features of b"):
        read_videos(tmp_path / "z" / "..", root=tmp_path)
    with pytest.raises(ValueError, match=r"is no folder"):
        read_videos(tmp_path / "mine.csv", root=tmp_path / "none")


# Files of features


def files(folder: Path, array: np.ndarray) -> list[Path]:
    np.save(folder / "a.npy", array)
    np.savez_compressed(folder / "a.npz", features=array, other=np.zeros(2))
    save_file({"features": array}, folder / "a.safetensors")
    return [folder / f"a{s}" for s in (".npy", ".npz", ".safetensors")]


@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4)])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_all_kinds_of_files_say_the_same(shape: tuple[int, ...], kind: type, tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(kind)
    for path in files(tmp_path, array):
        crops, steps, width = shape_of(path)
        assert (crops, steps, width) == (shape[0] if len(shape) == 3 else 1, 5, 4)
        found = read_features(path)
        assert found.dtype == np.float32 and found.shape == (crops, 5, 4)
        assert np.array_equal(found.reshape(shape), array.astype(np.float32))


@pytest.mark.parametrize(
    "array", [np.zeros(4, np.float32), np.zeros((0, 4), np.float32), np.zeros((2, 3), np.int32)], ids=["1d", "0", "int"]
)
def test_features_of_another_shape_or_kind_are_named(array: np.ndarray, tmp_path: Path) -> None:
    for path in files(tmp_path, array):
        with pytest.raises(ValueError, match=rf"{path.name}: features .*expected \(n, D\) or \(crops, n, D\)"):
            shape_of(path)


def test_numbers_that_are_not_finite_are_named(tmp_path: Path) -> None:
    array = np.zeros((5, 4), np.float32)
    array[1, 2], array[3, 3] = np.nan, np.inf
    for path in files(tmp_path, array):
        with pytest.raises(ValueError, match=rf"{path.name}: 2 numbers of the features are not finite"):
            read_features(path)


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(b"nothing of the kind"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
)
def test_damaged_files_are_one_line(harm: Callable[[Path], object], tmp_path: Path) -> None:
    for path in files(tmp_path, np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)):
        harm(path)
        with pytest.raises(ValueError, match=rf"{path.name}: no features that can be read") as caught:
            read_features(path)
        assert "\n" not in str(caught.value)


def test_pickled_and_misnamed_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2)))
    save_file({"x": np.zeros((2, 2))}, tmp_path / "a.safetensors")
    for name, line in (
        (".npy", "no features"),
        (".npz", "it holds x; expected"),
        (".safetensors", "it holds x; expec"),
    ):
        with pytest.raises(ValueError, match=line):
            read_features(tmp_path / f"a{name}")


def test_one_width_over_all(tmp_path: Path) -> None:
    paths = [put(tmp_path / "a.npy"), put(tmp_path / "b.npy", width=5)]
    with pytest.raises(ValueError, match=r"b\.npy: features of width 5; .*a\.npy has 4"):
        shapes_of(paths)


# Splits


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gate_03", "gate"),
        ("gate-12_4", "gate"),
        ("gate 3 (2)", "gate"),
        ("gate_clip_7", "gate"),
        ("gate__3", "gate"),
        ("fi001", "fi001"),
        ("007", "007"),
        ("Abuse001_x264", "Abuse001_x264"),
        ("Normal_Videos_003_x264", "Normal_Videos_003_x264"),
        ("Normal_Videos_003", "Normal_Videos_003"),
        (FILM, "Bad.Boys.1995"),
    ],
)
def test_sources_by_name(name: str, source: str) -> None:
    assert source_of(name) == source


def many() -> list[WeakVideo]:
    """Sources of one to four videos, two classes and normal."""
    labels = [(), ("fire",), (), ("fight",), (), ("fire", "fight")]
    return [video(f"{n}_{i}", *labels[n % 6], source=f"s{n}") for n in range(36) for i in range(1 + n % 4)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_split_keeps_sources_whole_and_classes_alike(seed: int, share: float) -> None:
    videos = many()
    rest, held = split_by_source(videos, share, seed)
    assert not {v.source for v in rest} & {v.source for v in held}
    assert sorted(v.name for v in rest + held) == sorted(v.name for v in videos)
    for label in ("fire", "fight", None):
        of = [v for v in videos if (label in v.labels if label else not v.labels)]
        assert abs(sum(v in held for v in of) / len(of) - share) < 0.1
    turned = split_by_source(videos[::-1], share, seed)[1]
    assert {v.name for v in turned} == {v.name for v in held}
    assert split_by_source(videos, share, seed + 10)[1] != held


def test_a_split_of_few_videos_has_both_kinds_on_both_sides() -> None:
    videos = [video("a"), video("b"), video("c", "fire"), video("d", "fight")]
    for share in (0.01, 0.3, 0.9):
        for side in split_by_source(videos, share):
            assert {bool(v.labels) for v in side} == {True, False}


def test_folds_hold_every_video_back_once() -> None:
    videos = many()
    found = folds(videos, 5)
    assert sorted(v.name for _, held in found for v in held) == sorted(v.name for v in videos)
    for rest, held in found:
        assert not {v.source for v in rest} & {v.source for v in held} and len(rest) + len(held) == len(videos)
        assert abs(len(held) - len(videos) / 5) <= 3
        assert {bool(v.labels) for v in held} == {True, False}
    assert [{v.name for v in held} for _, held in folds(videos[::-1], 5)] == [{v.name for v in h} for _, h in found]


def test_what_cannot_be_split_is_said() -> None:
    one = [video("a", source="x"), video("b", source="x"), video("c", "fire"), video("d", "fire")]
    with pytest.raises(ValueError, match=r"normal videos come from 1 sources \(x, \.\.\.\).*too few for 2 parts"):
        split_by_source(one, 0.5)
    with pytest.raises(ValueError, match=r"anomalous ones from 2 \(c, \.\.\.\): too few for 3 parts"):
        folds([*one, video("e"), video("f")], 3)
    with pytest.raises(ValueError, match="2 videos, 0 of them normal; a split needs both kinds"):
        split_by_source([video("c", "fire"), video("d", "fire")], 0.5)
    with pytest.raises(ValueError, match=r"share is 1\.0"):
        split_by_source(one, 1.0)
    with pytest.raises(ValueError, match=r"k is 1"):
        folds(one, 1)
