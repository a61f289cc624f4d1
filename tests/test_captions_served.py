"""Captions in the words of a server: it is shown every video, and costs none its caption when it goes away."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from caption_fakes import FakeLook, HerePool
from lvlm_process import Server, running

from chat.captions import engine
from chat.captions.served import shown
from tvad import api
from tvad.api import Captioned
from tvad.batch.journal import JournalError
from tvad.remote import Remote, RemoteError
from tvad.video import VideoError


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as process:
        yield process


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engine, "Look", FakeLook)
    monkeypatch.setattr(engine, "Pool", HerePool)
    monkeypatch.delenv("TVAD_LVLM_KEY", raising=False)
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("1", "2", "3"):
        (folder / f"{name}.mp4").write_text(name)
    return folder


def caption(clips: Path, remote: Remote, **options: Any) -> Captioned:
    return api.caption([clips], clips.parent / "c.jsonl", remote=remote, workers=1, **options)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_server_words_every_caption_and_the_record_says_which(clips: Path, server: Server) -> None:
    caption(clips, Remote(server.url("ok"), pictures=1))
    told = rows(clips.parent / "c.jsonl")
    assert [(r["explain"], r["model"]) for r in told] == [("text", "tiny-vlm")] * 3
    assert told[0]["caption"].startswith(
        "Yes, event 1 is a bicycle from 0.5 to 1.2 s. It is track 1, a red, small bicycle"
    )
    assert told[1]["caption"] == "No, there is no anomaly in the findings. I was shown 1 pictures."
    asked = server.asked()
    assert len(asked) == 3 and {len(entry["pictures"]) for entry in asked} == {1}
    caption(clips, Remote(server.url("ok"), pictures=1))
    assert len(server.asked()) == 3  # nothing is asked again


def test_a_video_without_an_answer_is_a_failure_and_tried_again(clips: Path, server: Server) -> None:
    done = caption(clips, Remote(server.url("picky")))
    assert (done.count.done, done.count.failed, done.count.anomalous) == (1, 2, 0)
    failed = rows(clips.parent / "failures.jsonl")
    assert [(f["kind"], Path(f["video"]["path"]).stem) for f in failed] == [("model", "1"), ("model", "3")]
    assert "too long" in failed[0]["reason"]
    done = caption(clips, Remote(server.url("ok")), retry_failed=True)
    assert (done.count.done, done.failures) == (2, None)
    assert [r["has_anomaly"] for r in rows(clips.parent / "c.jsonl")] == [True, False, True]


def test_a_server_that_is_gone_stops_the_run_and_fails_no_video(clips: Path, server: Server) -> None:
    caption(clips, Remote(server.url("ok")), limit=1)
    with pytest.raises(RemoteError, match="503"):
        caption(clips, Remote(server.url("broken")))
    assert not (clips.parent / "failures.jsonl").exists() and len(rows(clips.parent / "c.jsonl")) == 1
    assert caption(clips, Remote(server.url("ok"))).count.done == 2


def test_another_model_does_not_go_on(clips: Path, server: Server) -> None:
    caption(clips, Remote(server.url("two"), "one"), limit=1)
    with pytest.raises(JournalError, match="model 'one', now 'other'"):
        caption(clips, Remote(server.url("two"), "other"))
    with pytest.raises(RemoteError, match="--lvlm-model"):
        caption(clips, Remote(server.url("two")))
    for options in ({"explain": "lvlm"}, {"engine": "ray"}):
        with pytest.raises(ValueError, match="--lvlm-url"):
            caption(clips, Remote(server.url("ok")), **options)


def test_pictures_that_cannot_be_read_are_said_to_be_missing() -> None:
    assert shown([])() == []
    with pytest.raises(VideoError):
        shown(None)()
