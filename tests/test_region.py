"""Questions about a place in the picture: its evidence alone, a dialogue of its own, what is no place."""

from collections.abc import Callable
from pathlib import Path

import pytest
from desk_fakes import make_desk, ready, said

from chat.region import Region
from chat.session import Session

Make = Callable[..., Path]


def test_a_place_is_answered_for_alone(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case = ready(desk, tiny_video())
    # Track 2 goes up at the right from 12 s on, track 1 has left by then.
    right = said(desk, case, "What is anomalous?", region=Region(13.0, (0.75, 0.0, 0.95, 1.0)))
    assert "(at 0:13.0, at the right of the picture" in right and "red" in right and "bicycle" not in right
    left = said(desk, case, "What is anomalous?", region=Region(13.0, (0.0, 0.0, 0.2, 0.3)))
    assert "highest heat there 0.20" in left and "red" not in left
    middle = said(desk, case, "What is anomalous?", region=Region(13.0, (0.4, 0.4, 0.6, 0.6)))
    assert "highest heat there 0.70" in middle
    assert [q.endswith("of the picture)") for q in case.asked] == [True] * 3
    assert "nothing that stands out was followed here then" in left and "nothing that stands out" in middle
    assert case.session and len(case.session.evidence.events) == 3  # the whole video is as it was


def test_words_about_the_video_are_said_to_be_about_the_place(
    tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch)
    case, right = ready(desk, tiny_video()), Region(13.0, (0.75, 0.0, 0.95, 1.0))
    monkeypatch.setattr(Session, "_by_model", lambda self, read, said: True)
    monkeypatch.setattr(Session, "_worded", lambda self, read, said, heard: iter([words]))
    words = "No, there is no anomaly in the video."
    asked = said(desk, case, "Is there an anomaly?", region=right)
    assert asked.endswith(f'{words} ["The video" here is the marked region alone.]')
    assert case.said[-1][1].text == asked and case.talk(right).turns[-1].answer == words
    assert "marked region" not in said(desk, case, "Is there an anomaly?")
    words = "There is a person in a red top. Uncalibrated: judged against the clip's own frequent patterns."
    assert said(desk, case, "What is here?", region=right).endswith(words)


def test_a_place_has_a_dialogue_of_its_own(tiny_video: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said about the whole picture is not true of a place, and the other way about."""
    desk = make_desk(tmp_path, monkeypatch)
    case, right = ready(desk, tiny_video()), Region(13.0, (0.75, 0.0, 0.95, 1.0))
    said(desk, case, "What is anomalous?")
    before = desk._session(case).conversation
    first = said(desk, case, "What is here?", region=right)
    assert desk._session(case).conversation == before and "Uncalibrated" not in first
    said(desk, case, "Which way does it go?", region=right)
    assert [t.question for t in case.talk(right).turns] == ["What is here?", "Which way does it go?"]
    said(desk, case, "When?", region=Region(13.0, (0.0, 0.0, 0.2, 0.3)))
    assert len(case.talk(right).turns) == 2 and case.talk() == before and len(case.said) == 4
    desk.take_back(case, 2)
    assert [t.question for t in case.talk(right).turns] == ["What is here?"] and len(case.said) == 2


@pytest.mark.parametrize(
    "given",
    [None, {}, {"t": 1}, {"t": 1, "box": [0, 0, 1]}, {"t": 1, "box": [0.5, 0, 0.4, 1]}, {"t": -1, "box": [0, 0, 1, 1]},
     {"t": "nan", "box": [0, 0, 1, 1]}, {"t": 1, "box": [0, 0, 2, 1]}, {"t": 1, "box": "abcd"}, 7, "x"],
)  # fmt: skip
def test_what_is_no_region(given: object) -> None:
    assert Region.of(given) is None
