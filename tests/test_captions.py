"""Captions of many videos: what is written, that nothing is lost, that it goes on."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caption_fakes import FakeLook, HerePool
from chat_fakes import nothing, one_event
from cli_fakes import make_analysis

from chat.captions import engine, outputs
from chat.captions.engine import answers_about
from chat.captions.files import json_line, write_failures
from chat.captions.words import STYLES, Wanted, event_caption, record_of, video_caption
from chat.session import Answer
from tvad import api
from tvad.api import Captioned
from tvad.batch import follow
from tvad.batch.journal import OutputFull

HERE = Path(__file__).parent
PROGRAM = [sys.executable, str(HERE / "caption_fakes.py")]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parent)}


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engine, "Look", FakeLook)
    monkeypatch.setattr(engine, "Pool", HerePool)
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("1", "2", "3", "unfit", "10"):
        (folder / f"{name}.mp4").write_text(name)
    return folder


def caption(*given: object, out: Path, **options: Any) -> Captioned:
    return api.caption([str(g) for g in given], out, explain="report", workers=options.pop("workers", 1), **options)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


# Words


def test_an_event_is_told_by_what_how_when_where_and_why() -> None:
    evidence = one_event()
    event = evidence.events[0]
    short, detailed = event_caption(evidence, event), event_caption(evidence, event, detailed=True)
    track = evidence.track(event.tracks[0])
    assert detailed.startswith(short)
    for part in (track.label, track.motion.summary, f"{event.start_s:.1f} to {event.end_s:.1f} s"):
        assert part in short
    assert "of the picture" in detailed and "Raised by" in detailed and f"{event.score:.2f}" in detailed


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("anomalous", [True, False])
def test_every_style_tells_of_every_video(style: str, anomalous: bool) -> None:
    evidence = make_analysis("a.mp4", anomalous).evidence
    wanted = Wanted(style)
    answers = answers_about(engine.Looked(evidence), wanted)
    record = record_of(evidence, wanted, answers)
    assert record["caption"].strip() and "Uncalibrated" not in record["caption"]
    assert ("bicycle" in record["caption"]) == (anomalous and style != "qa") or style == "qa"
    assert len(record.get("answers", ())) == (len(STYLES["qa"]) if style == "qa" else 0)
    assert json.loads(json_line(record)) == json.loads(json.dumps(record))
    assert record["has_anomaly"] == anomalous == bool(record["events"])


def test_a_prompt_is_asked_instead() -> None:
    evidence = make_analysis("a.mp4", True).evidence
    wanted = Wanted("short", "report", "When does it happen?")
    record = record_of(evidence, wanted, answers_about(engine.Looked(evidence), wanted))
    assert "0.5 to 1.2 s" in record["caption"] and record["prompt"] == "When does it happen?"
    with pytest.raises(ValueError, match="--style"):
        Wanted("long")
    with pytest.raises(ValueError, match="--prompt"):
        Wanted(prompt=" ")


def test_a_timeline_has_a_line_an_event() -> None:
    evidence = make_analysis("a.mp4", True).evidence
    assert video_caption(evidence, "timeline").startswith("0:00.5-0:01.2 A ")
    assert video_caption(make_analysis("a.mp4", False).evidence, "timeline") == "0:00.0-0:01.6 Nothing anomalous."


def test_json_lines_are_harmless_and_mean_the_same() -> None:
    odd = '<script>"\x1b[31m\u2028\u202e\x85&日本\\'
    line = json_line(odd)
    assert line.count("\n") == 1 and len(line.splitlines()) == 1
    assert all(c.isprintable() for c in line[:-1]) and not set(line) & set("<>&")
    assert json.loads(line) == odd
    assert json.loads(json_line("a\udcff")) == "a\\udcff"


# The batch


def test_good_ones_are_captioned_in_order_and_the_bad_one_is_told(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.jsonl"
    done = caption(clips, clips / "gone.mp4", out=out)
    assert [Path(r["video"]["path"]).stem for r in rows(out)] == ["1", "2", "3", "10", "gone"]
    assert [r["has_anomaly"] for r in rows(out)] == [True, False, True, False, False]
    (failed,) = rows(tmp_path / "failures.jsonl")
    assert (failed["output"], failed["reason"], failed["kind"]) == ("c.jsonl", "it is damaged", "unreadable")
    assert (done.count.done, done.count.failed, done.failed_before) == (5, 1, 0)
    assert done.failures == tmp_path / "failures.jsonl"


def test_what_is_done_is_not_done_again_and_failures_only_when_told(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.jsonl"
    caption(clips, out=out)
    before = out.read_bytes()
    again = caption(clips, out=out)
    assert (again.count.done, again.count.before, again.failed_before) == (0, 5, 1)
    assert out.read_bytes() == before
    tried = caption(clips, out=out, retry_failed=True)
    assert (tried.count.done, tried.count.failed) == (0, 1)
    (clips / "unfit.mp4").rename(clips / "7.mp4")
    caption(clips, out=out, retry_failed=True)
    assert [Path(r["video"]["path"]).stem for r in rows(out)] == ["1", "2", "3", "7", "10"]


def test_a_changed_video_is_captioned_anew_and_others_stay(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.jsonl"
    caption(clips / "1.mp4", clips / "2.mp4", out=out)
    (clips / "1.mp4").write_text("another")
    done = caption(clips / "1.mp4", out=out)
    assert done.count.done == 1
    assert [Path(r["video"]["path"]).stem for r in rows(out)] == ["1", "2"]


def test_limit_and_shards(clips: Path, tmp_path: Path) -> None:
    caption(clips, out=tmp_path / "first.jsonl", limit=2)
    assert len(rows(tmp_path / "first.jsonl")) == 2
    for n in (1, 2):
        caption(clips, out=tmp_path / f"{n}.jsonl", shard=f"{n}/2")
    shares = [r["video"]["path"] for n in (1, 2) for r in rows(tmp_path / f"{n}.jsonl")]
    caption(clips, out=tmp_path / "all.jsonl")
    assert sorted(shares) == sorted(r["video"]["path"] for r in rows(tmp_path / "all.jsonl"))
    failed = rows(tmp_path / "failures.jsonl")  # of several outputs, none lost
    assert sorted(f["output"] for f in failed) == ["1.jsonl", "all.jsonl"]


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"style": "long"}, "--style"),
        ({"shard": "3/2"}, "--shard"),
        ({"formats": ("xml",)}, "--format"),
        ({"workers": 0}, "--workers"),
    ],
)
def test_wrong_usage_leaves_nothing_behind(clips: Path, tmp_path: Path, options: dict[str, Any], flag: str) -> None:
    with pytest.raises(ValueError, match=flag):
        caption(clips, out=tmp_path / "o" / "c.jsonl", **options)
    with pytest.raises(ValueError, match="jsonl"):
        caption(clips, out=tmp_path / "o" / "c.csv")
    assert not (tmp_path / "o").exists()


def test_failures_of_other_outputs_stay(tmp_path: Path) -> None:
    path = tmp_path / "failures.jsonl"
    write_failures(path, "a.jsonl", [{"reason": "x"}])
    assert write_failures(path, "b.jsonl", [{"reason": "y"}, {"reason": "z"}]) == 2
    assert write_failures(path, "b.jsonl", []) == 0
    assert [f["reason"] for f in rows(path)] == ["x"]
    write_failures(path, "a.jsonl", [])
    assert not path.exists()


# What comes later


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK_S", 0.02)
    monkeypatch.setattr(outputs, "REFRESH_S", 0.0)
    monkeypatch.setattr(outputs, "REFRESH_SHARE", 1.0)


def test_what_a_recorder_writes_is_captioned_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quickly: None
) -> None:
    monkeypatch.setattr(engine, "Look", FakeLook)  # real workers
    folder, out, seen = tmp_path / "camera", tmp_path / "c.jsonl", []
    folder.mkdir()

    def recorder(count: engine.Count) -> None:
        if count.done not in seen:
            seen.append(count.done)
            (folder / f"{count.done + 1}.mp4").write_text("x")
        if count.done == 3:
            assert [Path(r["video"]["path"]).stem for r in rows(out)][:2] == ["1", "2"]  # readable meanwhile
            raise KeyboardInterrupt

    done = caption(folder, out=out, formats=("csv",), follow=follow.Follow(0.1), progress=recorder)
    assert [Path(r["video"]["path"]).stem for r in rows(out)] == ["1", "2", "3"]
    assert done.count.done == 3 and done.failures is None and seen == [0, 1, 2, 3]
    monkeypatch.setattr(engine, "Pool", HerePool)  # enough of them
    caption(folder, out=tmp_path / "all.jsonl", formats=("csv",))
    done = caption(
        folder, out=out, formats=("csv",), follow=follow.Follow(0.1, idle_s=0.2)
    )  # goes on, and ends by itself
    assert (done.count.done, done.count.left) == (1, 0)
    assert out.read_bytes() == (tmp_path / "all.jsonl").read_bytes()
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()


def test_a_failure_that_is_mended_while_following_is_none_at_the_end(
    clips: Path, tmp_path: Path, quickly: None
) -> None:
    out, half = tmp_path / "c.jsonl", clips / "half4.mp4"
    (clips / "unfit.mp4").unlink()
    half.write_text("half")  # a recorder that paused

    def recorder(count: engine.Count) -> None:
        if count.failed and half.read_text() == "half":
            half.write_text("whole")

    done = caption(clips, out=out, follow=follow.Follow(0.05, idle_s=0.2), progress=recorder)
    assert [Path(r["video"]["path"]).stem for r in rows(out)] == ["1", "2", "3", "10", "half4"]
    assert (done.count.failed, done.failures, done.failed_before) == (1, None, 0)
    assert not (tmp_path / "failures.jsonl").exists()


def test_what_cannot_be_followed_is_refused(clips: Path, tmp_path: Path) -> None:
    for options in ({"limit": 2}, {"shard": "1/2"}, {"engine": "ray"}):
        with pytest.raises(ValueError, match="--follow"):
            caption(clips, out=tmp_path / "o" / "c.jsonl", follow=follow.Follow(), **options)
    assert not (tmp_path / "o").exists()


# Kills and full disks


def made(tmp_path: Path, count: int = 30) -> list[str]:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(count):
        (folder / f"{n}.mp4").write_text(str(n))
    return [str(folder / f"{n}.mp4") for n in range(count)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captions without workers in this process; what is started as a program has them."""
    monkeypatch.setattr(engine, "Look", FakeLook)
    monkeypatch.setattr(engine, "Pool", HerePool)


@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_ends_as_if_undisturbed(tmp_path: Path, here: None, kills: int) -> None:
    videos = made(tmp_path)
    caption(*videos, out=tmp_path / "whole" / "c.jsonl", formats=("csv", "srt"))
    undisturbed = contents(tmp_path / "whole")
    del undisturbed["c.jsonl.journal"]
    rng = random.Random(kills)
    for n in range(kills):
        out = tmp_path / f"killed{n}" / "c.jsonl"
        journal = out.with_name("c.jsonl.journal")
        run = subprocess.Popen([*PROGRAM, str(out), *videos], env=ENVIRONMENT, start_new_session=True)
        lines = rng.randrange(1, len(videos))
        while run.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > lines):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert journal.read_bytes().count(b"\n") > lines
        caption(*videos, out=out, formats=("csv", "srt"))
        left = contents(out.parent)
        assert left.pop("c.jsonl.journal").count(b"\n") == len(videos) + 1  # nothing was done twice
        assert {k: v for k, v in left.items() if not Path(k).name.startswith(".")} == undisturbed


def test_without_room_it_stops_whole_and_goes_on_later(tmp_path: Path, here: None) -> None:
    videos, out = made(tmp_path), tmp_path / "o" / "c.jsonl"

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    full = subprocess.run(
        [*PROGRAM, str(out), *videos], env=ENVIRONMENT, preexec_fn=little_room, capture_output=True, text=True
    )
    assert full.returncode != 0 and "OutputFull" in full.stderr
    journal = (tmp_path / "o" / "c.jsonl.journal").read_bytes()
    assert journal.endswith(b"\n") and len(journal) <= 6000 and journal.count(b"\n") > 1
    assert not list((tmp_path / "o").glob(".*"))
    caption(*videos, out=out, formats=("csv", "srt"))
    assert [Path(r["video"]["path"]).stem for r in rows(out)] == [str(n) for n in range(30)]


def test_without_room_for_the_files_that_is_said_and_nothing_is_half(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "o" / "c.jsonl"
    caption(clips / "1.mp4", out=out)
    before = out.read_bytes()

    def full(path: Path, lines: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        monkeypatch.context() as patched,
        pytest.raises(OutputFull, match=r"c\.jsonl cannot be written: No space left"),
    ):
        patched.setattr(outputs, "write_lines", full)
        caption(clips, out=out)
    assert out.read_bytes() == before
    assert caption(clips, out=out).count.before == 5


def test_what_is_there_and_not_ours_is_not_overwritten(clips: Path, tmp_path: Path) -> None:
    out, table, folder = tmp_path / "c.jsonl", tmp_path / "c.csv", tmp_path / "c.srt"
    for mine, formats in ((out, ()), (table, ("csv",)), (folder / "mine.srt", ("srt",))):
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
        with pytest.raises(ValueError, match=r"without a journal.*--restart"):
            caption(clips, out=out, formats=formats)
        assert mine.read_text() == "mine"
        mine.unlink()
    folder.rmdir()
    out.write_text("mine")
    caption(clips, out=out, restart=True)
    assert len(rows(out)) == 4
    folder.write_text("")
    (tmp_path / "d.jsonl").mkdir()
    for name, formats in (("c.jsonl", ("srt",)), ("d.jsonl", ())):
        with pytest.raises(ValueError, match="choose another name"):
            caption(clips, out=tmp_path / name, formats=formats)


def test_a_models_verdict_is_the_records() -> None:
    evidence = nothing()
    said = Answer("There is a cyclist.", yes=0.84, verdict=True)
    record = record_of(evidence, Wanted(explain="lvlm"), [said])
    assert (record["has_anomaly"], record["confidence"], record["category"]) == (True, 0.84, "unspecified")
    named = replace(evidence, kind="fighting", class_probs={"normal": 0.2, "fighting": 0.8})
    assert record_of(named, Wanted(explain="lvlm"), [said])["category"] == "fighting"
    record = record_of(evidence, Wanted(explain="lvlm"), [replace(said, yes=0.1, verdict=False)])
    assert (record["has_anomaly"], record["confidence"], record["category"]) == (False, 0.9, "ordinary")
    record = record_of(evidence, Wanted(explain="lvlm"), [replace(said, yes=None, verdict=None)])
    assert (record["has_anomaly"], record["confidence"]) == (False, evidence.confidence)
