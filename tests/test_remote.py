"""A language model on a server: a real process is asked, which looks at what it gets and misbehaves in every way."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chat_fakes import nothing, one_event, three_events
from cli_fakes import make_analysis, write_video
from lvlm_process import Server, running

from chat.keyframes import key_frames
from chat.session import BLIND, Answer, Session
from tvad import api, remote
from tvad.evidence import Evidence
from tvad.remote import Remote, RemoteError, RemoteSpeaker
from tvad.video import VideoError

HELLO = [{"role": "system", "content": "Findings:"}, {"role": "user", "content": "what is anomalous?"}]


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def server(process: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name in ("TVAD_LVLM_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(remote, "BACK_OFF_S", 0.01)
    return process


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("remote") / "clip.mp4")


def said(where: Remote) -> str:
    return "".join(RemoteSpeaker(where).stream(HELLO))


def ask(session: Session, *questions: str) -> Answer:
    for question in questions:
        assert "".join(session.ask(question)) == session.last.text
    return session.last


def told(evidence: Evidence, where: Remote) -> Session:
    return Session(evidence, "text", RemoteSpeaker(where), frames=lambda: ())


# What is sent


def test_a_server_is_shown_marked_pictures_and_told_the_findings(server: Server, video: Path) -> None:
    session = api.open_session(make_analysis(str(video), True), remote=Remote(server.url("ok")))
    answer = ask(session, "is there an anomaly?")
    shown = "Yes, event 1 is a bicycle from 0.5 to 1.2 s. It is track 1, a red, small bicycle. I was shown 3"
    assert answer.text.startswith(shown)
    assert answer.citations == ("event 1, 0.5-1.2 s", "track 1")
    assert answer.conflicts == ()
    got = server.asked()[-1]
    assert [picture[:2] for picture in got["pictures"]] == [[64, 48]] * 3
    words = [text for role, text in got["words"] if role == "user"]
    assert any("event 1, its beginning" in text and "boxes carry the numbers" in text for text in words)
    assert any("warm colours" in text for text in words)
    assert words[-1].startswith("is there an anomaly?")
    assert got["order"] == {"model": "tiny-vlm", "stream": True, "max_tokens": 400, "temperature": 0}
    assert not any(str(video) in text or video.name in text for _, text in got["words"]), "not where the video lies"


def test_turns_follow_pictures_that_stay_where_they_are(server: Server, video: Path) -> None:
    session = api.open_session(make_analysis(str(video), True), remote=Remote(server.url("ok"), pictures=2))
    ask(session, "what is anomalous?", "which way does it go?")
    first, second = server.asked()[-2:]
    assert (first["roles"], second["roles"]) == (["system", "user"], ["system", "user", "assistant", "user"])
    same = len([w for w in first["words"] if w[0] in ("system", "user")]) - 1
    assert second["words"][:same] == first["words"][:same], "a server can keep what it has read"
    assert second["pictures"] == first["pictures"] and len(first["pictures"]) == 2
    assert second["words"][-2][1].startswith("Yes, event 1 is a bicycle"), "its own words come back to it"
    assert "moves right" in second["words"][-1][1]


def test_no_pictures_on_request(server: Server, video: Path) -> None:
    session = api.open_session(make_analysis(str(video), True), remote=Remote(server.url("blind"), pictures=0))
    assert "0 pictures" in ask(session, "what is anomalous?").text
    session = api.open_session(make_analysis(str(video), True), remote=Remote(server.url("blind"), pictures=1))
    text = ask(session, "what is anomalous?").text
    assert "400: this model takes text only; does this model read pictures? (--lvlm-pictures 0" in text
    assert "from the evidence:] " in text and "(event 1, score 0.91; track 1)" in text


def test_a_video_that_is_gone_is_said_and_the_findings_are_told(server: Server, tmp_path: Path) -> None:
    analysis = make_analysis(str(tmp_path / "gone.mp4"), True)
    with pytest.raises(VideoError):
        key_frames(analysis, tmp_path / "gone.mp4", 2)
    text = ask(api.open_session(analysis, remote=Remote(server.url("ok"))), "what is anomalous?").text
    assert text.startswith(BLIND + "Yes, event 1")


def test_a_video_without_anomaly_is_looked_at_too(server: Server, video: Path) -> None:
    session = api.open_session(make_analysis(str(video), False), remote=Remote(server.url("ok")))
    answer = ask(session, "is there an anomaly?")
    assert answer.text.startswith("No, there is no anomaly in the findings. I was shown 4 pictures.")
    assert answer.conflicts == ()


def test_what_it_claims_is_checked(server: Server) -> None:
    answer = ask(told(one_event(), Remote(server.url("wrong"))), "is there an anomaly?")
    assert answer.text.startswith("No, there is no anomaly. Event 9 goes to the left at 99 s.")
    assert len(answer.conflicts) >= 2
    assert any("event 9" in conflict for conflict in answer.conflicts)


def test_all_events_are_told_or_counted(server: Server) -> None:
    many = three_events()
    events = tuple(replace(many.events[0], id=i, score=0.5 + i / 100) for i in range(1, 21))
    ask(told(replace(many, events=events), Remote(server.url("ok"))), "what is anomalous?")
    system = server.asked()[-1]["words"][0][1]
    assert system.count("\nEvent ") == 12 and "8 weaker events not listed" in system


# What comes back


@pytest.mark.parametrize("behaviour", ["ok", "whole", "busy", "early", "newer", "thinks"])
def test_an_answer(server: Server, behaviour: str) -> None:
    assert said(Remote(server.url(behaviour))) == "No, there is no anomaly in the findings. I was shown 0 pictures."


def test_an_answer_comes_piece_by_piece_and_whoever_stops_is_heard(server: Server) -> None:
    began_s = time.monotonic()
    pieces = RemoteSpeaker(Remote(server.url("slow"))).stream(HELLO)
    assert next(pieces) == "word "
    assert time.monotonic() - began_s < 5, "200 words at 0.05 s would take 10"
    pieces.close()
    until_s = time.monotonic() + 5
    while not server.asked()[-1]["hung_up"] and time.monotonic() < until_s:
        time.sleep(0.05)
    assert server.asked()[-1]["hung_up"], "the server learns that nobody listens"


def test_an_answer_at_its_limit_says_so(server: Server) -> None:
    assert said(Remote(server.url("limited"))) == "Yes, there is a ..."


def test_the_model_is_asked_for_once_or_named(server: Server) -> None:
    speaker = RemoteSpeaker(Remote(server.url("ok")))
    before = len(server.log())
    for _ in range(2):
        "".join(speaker.stream(HELLO))
    assert [e["path"].rsplit("/", 1)[1] for e in server.log()[before:]] == ["models", "completions", "completions"]
    with pytest.raises(RemoteError, match=r"has one, other; name one \(--lvlm-model\)"):
        said(Remote(server.url("two")))
    assert said(Remote(server.url("two"), "other")) == "Yes, said by other."


def test_a_server_that_cannot_list_its_models_is_answered_with_what_to_do(server: Server) -> None:
    with pytest.raises(RemoteError, match=r"500 when asked for its models: no such folder; name one \(--lvlm-model\)"):
        said(Remote(server.url("listless"), tries=2))
    assert said(Remote(server.url("listless"), "tiny-vlm")).startswith("No, there is no anomaly")
    before = len(server.asked())
    with pytest.raises(RemoteError, match=r"404, no model 'x' there; is the path right\? \(--lvlm-url\)"):
        said(Remote(server.url("listless"), "x"))
    assert len(server.asked()) == before + 1, "a name that is wrong stays wrong"


FAILING = {
    "always_busy": r"429: slow down \(4 times\)",
    "broken": r"503: out of memory \(4 times\)",
    "locked": "401, it wants a key; set TVAD_LVLM_KEY",
    "gone": r"404, no model 'x' there; it has another-model \(--lvlm-model\)",
    "redirect": "points to localhost:.*not named; nothing was sent there",
    "garbage": "the answer is text/html, not a stream",
    "endless": "no stream of lines",
    "inside": "the server broke off: CUDA out of memory",
}


@pytest.mark.parametrize(("behaviour", "line"), FAILING.items())
def test_no_answer_is_one_clear_line(server: Server, behaviour: str, line: str) -> None:
    with pytest.raises(RemoteError, match=line) as caught:
        said(Remote(server.url(behaviour), "x"))
    assert str(caught.value).startswith(f"127.0.0.1:{server.port}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("behaviour", "line"),
    [
        ("cut", "was cut in the middle"),
        ("nonsense", "what is no piece of an answer: '%%%'"),
        ("filtered", "the server's filter held the answer back"),
    ],
)
def test_what_was_said_before_the_trouble_stands_and_the_narrator_goes_on(
    server: Server, behaviour: str, line: str
) -> None:
    before = len(server.asked())
    answer = ask(told(one_event(), Remote(server.url(behaviour), "x")), "which way does it go?")
    assert answer.text[:2] in ("Ye", "A ")
    assert f"[The language model failed (127.0.0.1:{server.port}: " in answer.text and line in answer.text
    assert "from the evidence:] The bicycle (track 1) moves right" in answer.text
    assert len(server.asked()) == before + 1, "words that were shown are not asked for again"


def test_an_empty_answer(server: Server) -> None:
    assert "said nothing; from the evidence:]" in ask(told(nothing(), Remote(server.url("empty"))), "well?").text


def test_nobody_there() -> None:
    session = told(one_event(), Remote("http://127.0.0.1:9"))
    began_s = time.monotonic()
    text = ask(session, "which way does it go?").text
    assert text.startswith("[The language model failed (127.0.0.1:9: cannot be reached (") and "(2 times)" in text
    assert "moves right" in text
    assert time.monotonic() - began_s < 5


def test_waiting_has_an_end(server: Server) -> None:
    began_s = time.monotonic()
    with pytest.raises(RemoteError, match=r"no word within 0\.3 s.*--lvlm-timeout"):
        said(Remote(server.url("silent"), "x", first_s=0.3))
    with pytest.raises(RemoteError, match=r"no word within 0\.3 s .*--lvlm-timeout"):
        said(Remote(server.url("wordless"), "x", first_s=0.3))
    with pytest.raises(RemoteError, match=r"the answer took too long \(--lvlm-timeout\)"):
        said(Remote(server.url("slow"), "x", first_s=0.3, whole_s=0.6))
    assert time.monotonic() - began_s < 5


# Keys and hosts


def test_a_key_comes_from_the_environment_and_is_never_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TVAD_LVLM_KEY", "right-key")
    assert said(Remote(server.url("locked"))).startswith("No, ")
    assert server.asked()[-1]["authorization"] == "Bearer right-key"
    monkeypatch.setenv("TVAD_LVLM_KEY", "wrong-key-77")
    text = ask(told(one_event(), Remote(server.url("locked"))), "where is it?").text
    assert "401, the key is not accepted: the key Bearer *** is wrong" in text, "the server said it, it is not repeated"
    assert "key-77" not in caplog.text and "right-key" not in caplog.text
    assert caplog.text, "the libraries did log"
    assert "key-77" not in repr(Remote(server.url("locked")))


def test_the_key_of_openai_goes_to_openai_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    said(Remote(server.url("ok")))
    assert server.asked()[-1]["authorization"] == ""
    assert Remote("https://api.openai.com").key == "sk-openai"
    assert Remote("http://api.openai.com").key is None
    assert Remote("https://api.openai.com.example").key is None
    monkeypatch.setenv("TVAD_LVLM_KEY", "mine")
    assert Remote("https://api.openai.com/v1").key == "mine"


def test_nothing_goes_to_a_host_that_was_not_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(server.log())
    with pytest.raises(RemoteError, match="nothing was sent there"):
        said(Remote(server.url("redirect"), "x"))
    assert [entry["path"] for entry in server.log()[before:]] == ["/redirect/v1/chat/completions"]
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there: what went to it would fail
    monkeypatch.setenv("NO_PROXY", "")
    assert said(Remote(server.url("ok"))).startswith("No, ")


def test_what_is_sent_where_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TVAD_LVLM_KEY", raising=False)
    assert Remote("http://gpu:8000").notes == (
        "note: findings and key frames of the video go to gpu:8000 with each question (--lvlm-url)",
    )
    assert "findings of the video go" in Remote("http://gpu:8000", pictures=0).notes[0]
    monkeypatch.setenv("TVAD_LVLM_KEY", "mine")
    assert "in the clear" in Remote("http://gpu:8000").notes[1]
    assert len(Remote("http://localhost:8000").notes) == len(Remote("https://gpu").notes) == 1


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://host/api/v3/", "https://host/api/v3"),
        ("http://[::1]:11434", "http://[::1]:11434/v1"),
    ],
)
def test_the_base_of_a_server(given: str, meant: str) -> None:
    assert Remote(given).url == meant


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host", "http://", "http://host:x", "http://me:pass@host", "http://host?key=1"]
)
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(ValueError, match="--lvlm-url"):
        Remote(url)


def test_limits_that_are_none() -> None:
    with pytest.raises(ValueError, match="--lvlm-pictures"):
        Remote("http://host", pictures=-1)
    with pytest.raises(ValueError, match="--lvlm-timeout"):
        Remote("http://host", whole_s=0)
