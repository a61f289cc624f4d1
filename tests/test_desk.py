"""The desk: videos of many visits, none of which reaches another's; stopping stops; nothing stays that was refused."""

import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from desk_fakes import make_desk, opened, ready, said

from chat.case import Case, Limits, Refused, clean_name
from chat.playable import Stopped, copy_playable, is_playable
from chat.turns import Busy
from training.datasets.weak import read_videos
from tvad.progress import Progress
from tvad.settings import Settings
from tvad.video import VideoReader

Make = Callable[..., Path]


def nothing(share: float, note: str) -> None:
    pass


def test_a_video_is_received_looked_at_and_asked_about(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = opened(desk, tiny_video("clip.mp4"))
    assert (case.state, case.shown, case.name) == ("received", "video.mp4", "clip.mp4")
    told: list[tuple[float, str]] = []
    desk.analyse(case, Settings(), lambda share, note: told.append((share, note)))
    shares = [share for share, note in told if note.startswith("Looking")]
    assert case.state == "ready" and shares == sorted(shares) and shares[-1] == 1.0
    assert case.analysis and case.analysis.evidence.video.path == "clip.mp4"
    assert (case.folder / "heat-0.png").is_file()
    assert said(desk, case, "What is anomalous?").startswith("From 5.0 to 10.0 s a small dark blue and white bicycle")
    assert [q for q, _ in case.said] == ["What is anomalous?"]
    assert len(desk.suggestions(case)) == 3 and "What is anomalous?" not in desk.suggestions(case)
    board = desk.board(case)
    assert board["state"] == "ready" and len(board["events"]) == 3 and str(tmp_path) not in str(board)  # type: ignore[arg-type]


def test_no_visit_reaches_anothers_video(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = opened(desk, tiny_video())
    assert desk.case("a", case.id) is case
    messages = set()
    for visit, number in (("b", case.id), ("", case.id), ("a", "other"), ("ä", case.id)):
        with pytest.raises(Refused) as caught:
            desk.case(visit, number)
        messages.add(str(caught.value))
    assert len(messages) == 1


@pytest.mark.parametrize(
    ("data", "limits", "message"),
    [
        (b"", Limits(), "is empty"),
        (b"not a video at all" * 20, Limits(), "cannot be read as a video"),
        (b"x" * 3_000_000, Limits(upload_mb=1), "larger than 1 MB"),
    ],
)
def test_what_is_refused_leaves_nothing(
    data: bytes, limits: Limits, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch, limits)
    with pytest.raises(Refused, match=message) as caught:
        desk.receive("a", "../../x.mp4", [data[:100], data[100:]])
    assert str(tmp_path) not in str(caught.value)
    assert desk.cases("a") == [] and list(desk.root.iterdir()) == []


def test_long_videos_are_refused(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch, Limits(minutes=0.001))
    with pytest.raises(Refused, match=r"minutes long; at most 0\.001"):
        opened(desk, tiny_video())


def test_the_oldest_makes_room_and_its_files_go(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch, Limits(cases=2))
    video = tiny_video()
    first, second, third = (opened(desk, video) for _ in range(3))
    assert desk.cases("a") == [second, third] and not first.folder.exists() and third.folder.exists()
    other = opened(desk, video, "b")
    assert desk.cases("b") == [other] and len(desk.cases("a")) == 2
    desk.close()
    assert list(desk.root.iterdir()) == []


def test_visits_and_age_have_limits(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch, Limits(visits=2, age_s=1000))
    video = tiny_video()
    a, b = opened(desk, video, "a"), opened(desk, video, "b")
    desk.case("a", a.id)
    c = opened(desk, video, "c")
    assert desk.cases("b") == [] and desk.cases("a") == [a] and desk.cases("c") == [c]
    assert not b.folder.exists()
    a.touched_s -= 2000
    opened(desk, video, "c")
    assert desk.cases("a") == []


def test_stopping_stops_the_analysis(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    desk = make_desk(tmp_path, monkeypatch, hook=step)
    case = opened(desk, tiny_video())
    with pytest.raises(Stopped):
        desk.analyse(case, Settings(), nothing, lambda: steps >= 2)
    assert steps == 2 and case.state == "received" and desk.turns.running == 0
    desk.analyse(case, Settings(), nothing)
    assert case.state == "ready"


def test_one_computes_and_the_line_has_an_end(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go.wait(20)

    desk = make_desk(tmp_path, monkeypatch, Limits(waiting=1), hook=wait)
    cases = [opened(desk, tiny_video(), visit) for visit in "abc"]
    told: list[str] = []
    threads = [threading.Thread(target=desk.analyse, args=(cases[0], Settings(), nothing))]
    threads[0].start()
    assert begun.wait(20)
    tell = threading.Event()

    def note(share: float, words: str) -> None:
        told.append(words)
        tell.set()

    threads.append(threading.Thread(target=desk.analyse, args=(cases[1], Settings(), note)))
    threads[1].start()
    assert tell.wait(20) and told[0] == "Waiting: 1 of 1 in line"
    with pytest.raises(Busy, match="1 computing, 1 waiting"):
        desk.analyse(cases[2], Settings(), nothing)
    go.set()
    for thread in threads:
        thread.join(20)
    assert [c.state for c in cases] == ["ready", "ready", "received"]


def test_another_rate_cuts_other_events_and_keeps_the_dialogue(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = opened(desk, tiny_video())
    with pytest.raises(Refused, match="not been analysed"):
        desk.recut(case, 2.0)
    desk.analyse(case, Settings(), nothing)
    said(desk, case, "What is anomalous?")
    version = case.version
    desk.recut(case, 500.0)
    assert case.analysis and len(case.analysis.evidence.events) == 1 and case.version == version + 1
    assert case.session and len(case.session.conversation.turns) == 1
    assert said(desk, case, "How many events are there?").startswith("1 ")
    for wrong in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(Refused, match="false alarms"):
            desk.recut(case, wrong)
    desk.recut(case, 1.0)
    assert len(case.analysis.evidence.events) == 3


def test_events_cut_again_during_an_answer_keep_it(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = ready(desk, tiny_video())
    answer = desk.ask(case, "What is anomalous?")
    next(answer)
    desk.recut(case, 500.0)
    list(answer)
    assert case.session and [t.question for t in case.session.conversation.turns] == case.asked == [
        "What is anomalous?"
    ]


def test_what_is_looked_at_makes_no_room(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch, Limits(cases=1))
    video = tiny_video()
    first = opened(desk, video)
    first.state = "working"
    second = opened(desk, video)
    assert first.folder.exists() and desk.cases("a") == [first, second]
    first.state = "ready"
    third = opened(desk, video)
    assert desk.cases("a") == [third] and not first.folder.exists()


def test_taking_back_forgets_questions(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = ready(desk, tiny_video())
    for question in ("What is anomalous?", "And the second one?", "Which way?"):
        said(desk, case, question)
    desk.take_back(case, 1)
    assert case.session and [t.question for t in case.session.conversation.turns] == ["What is anomalous?"]
    assert case.asked == ["What is anomalous?"]


def test_an_answer_that_was_stopped_was_not_said(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = ready(desk, tiny_video())
    answer = desk.ask(case, "What is anomalous?")
    next(answer)
    assert desk.turns.running == 1
    answer.close()  # type: ignore[attr-defined]
    assert desk.turns.running == 0 and case.said == [] and case.session and not case.session.conversation.turns


def test_names_are_cleaned() -> None:
    assert clean_name("/etc/passwd") == "passwd" and clean_name("..\\..\\a\x00b\n.mp4") == "ab.mp4"
    assert clean_name("") == "video" and clean_name("..") == ".."
    assert len(clean_name("a" * 500 + ".mp4")) <= 120 and clean_name("a" * 500 + ".mp4").endswith(".mp4")


def test_what_browsers_do_not_play_is_copied(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    video = tiny_video("clip.mkv")
    assert not is_playable(video)
    case = opened(desk, video)
    assert case.shown == ""
    desk.analyse(case, Settings(), nothing)
    assert case.shown == "shown.mp4" and is_playable(case.folder / case.shown)
    ours, theirs = (VideoReader(p, fps=None) for p in (case.folder / case.shown, video))
    assert [round(t, 3) for c in ours for t in c.times_s.tolist()] == [
        round(t, 3) for c in theirs for t in c.times_s.tolist()
    ]
    out = tmp_path / "stopped.mp4"
    with pytest.raises(Stopped):
        copy_playable(video, out, lambda: True)
    assert not out.exists()
    shares: list[float] = []
    copy_playable(video, out, tell=shares.append)
    assert shares == sorted(shares) and 0.5 < shares[-1] <= 1


def test_judgements_are_a_list_that_training_reads(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = ready(desk, tiny_video("gate one.mp4"))
    with pytest.raises(Refused, match="--feedback FILE"):
        desk.judge(case, 1, True)
    desk.feedback = tmp_path / "said.jsonl"
    desk.judge(case, 1, True)
    desk.judge(case, 2, False)
    desk.judge(case, 3, True, " a  dropped\nbag ")
    with pytest.raises(Refused, match="no event 9"):
        desk.judge(case, 9, True)
    lines = [json.loads(line) for line in desk.feedback.read_text().splitlines()]
    events = case.analysis.evidence.events if case.analysis else ()
    assert [line["label"] for line in lines] == [events[0].category, "normal", "a dropped bag"]
    name = lines[0]["video"]
    np.save(tmp_path / f"{name}.npy", np.zeros((40, 4), np.float32))
    (video,) = read_videos(desk.feedback, tmp_path)
    assert video.segments is not None and len(video.segments) == 2
    assert video.segments[0][0] == math.floor(events[0].start_s * 25)


def test_what_is_learnt_is_the_visits_own(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = opened(desk, tiny_video())
    asked: list[tuple[object, Settings]] = []

    def learnt(paths: list[Path], out: Path, settings: Settings, progress: Callable[[Progress], None]) -> Any:
        asked.append((paths, settings))
        progress(Progress(1.0, 2.0, 8))
        out.write_bytes(b"scene")
        return SimpleNamespace(seconds=30.0)

    monkeypatch.setattr("chat.scenes.calibrate", learnt)
    told: list[tuple[float, str]] = []
    desk.learn([case], (1.0, 2.0), lambda share, note: told.append((share, note)))
    assert told == [(0.5, "Learning what is normal here")]
    assert asked[0][0] == [case.source] and (asked[0][1].start_s, asked[0][1].end_s) == (1.0, 2.0)
    own, other = desk.settings_of("a", ["dog"]), desk.settings_of("b")
    assert own.scene and Path(own.scene).read_bytes() == b"scene" and own.anomaly == ("dog",)
    assert (
        own.parts == ("memory", "words", "falls")
        and other.scene is None
        and other.parts == ("memory", "words", "head", "falls")
    )
    desk.analyse(case, own, nothing)
    assert case.analysis and str(tmp_path) not in case.analysis.evidence.to_json()
    first = Path(own.scene)
    desk.learn([case], None, nothing)
    assert not first.exists() and asked[1][1].start_s is None
    with pytest.raises(Stopped):
        desk.learn([case], None, nothing, lambda: True)
    assert desk.settings_of("a").scene and desk.turns.running == 0
    assert desk.learnt("a") == f"Learnt as normal: {case.name}." and desk.learnt("b") == ""
    desk.unlearn("a")
    assert desk.settings_of("a") == desk.settings and not list(desk.root.glob("*.scene.safetensors"))


def test_a_stretch_that_is_too_short_is_refused(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = opened(desk, tiny_video())
    for stretch in ((0.0, 0.0), (900.0, 901.0), (-1.0, 1.0)):
        with pytest.raises(Refused, match="cannot be learnt as normal") as caught:
            desk.learn([case], stretch, nothing)
        assert str(tmp_path) not in str(caught.value)


def test_limits_are_above_nothing() -> None:
    for wrong in ({"upload_mb": 0}, {"minutes": -1}, {"cases": 0}, {"visits": 0}, {"age_s": 0}):
        with pytest.raises(ValueError, match="above 0"):
            replace(Limits(), **wrong)  # type: ignore[arg-type]


def test_ordinary_clips_are_the_visits_own_and_counted(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch, Limits(normals=2, cases=1))
    data = tiny_video().read_bytes()

    def normal(visit: str = "a") -> Case:
        incoming = desk.begin(visit, "street.mp4", is_normal=True)
        incoming.write(data)
        return incoming.finish()

    first, second = normal(), normal()
    assert desk.normals("a") == [first, second] and desk.normals("b") == [] and desk.cases("a") == []
    with pytest.raises(Refused, match="2 ordinary clips already"):
        desk.begin("a", "street.mp4", is_normal=True)
    opened(desk, tiny_video())
    assert desk.normals("a") == [first, second]  # videos make no room among them
    desk.forget(first)
    assert normal() in desk.normals("a") and normal("b") in desk.normals("b")
    with pytest.raises(Refused, match="no clips to learn from"):
        desk.learn([], None, nothing)


def test_a_server_that_words_answers_can_be_chosen(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    desk.explain = None
    assert desk.ways()[0] == "lvlm"
    desk.remote = SimpleNamespace()  # type: ignore[assignment]
    assert desk.ways()[0] == "text"
    monkeypatch.setattr("tvad.weights.Weight.find", lambda weight: None)
    assert desk.ways() == ["text", "report"]
    desk.remote = None
    assert desk.ways() == ["report"]
    desk.explain = "report"
    case = ready(desk, tiny_video())
    said(desk, case, "What is anomalous?")
    with pytest.raises(Refused, match="nobody answers by 'lvlm' here; there are report"):
        desk.answer_by(case, "lvlm")
    desk.answer_by(case, "report")
    assert case.session and len(case.session.conversation.turns) == 1
