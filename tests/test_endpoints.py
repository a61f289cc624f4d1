"""Named endpoints: driven by gradio_client over a real socket; what they take, whose it is, and what they refuse."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from desk_fakes import make_desk, opened, ready

pytest.importorskip("gradio")
pytest.importorskip("gradio_client")
pytest.importorskip("uvicorn")

import gradio_client as client
import uvicorn
from starlette.testclient import TestClient

from chat.case import Limits, Refused
from chat.desk import Desk
from chat.endpoints import Endpoints
from chat.server import COOKIE
from chat.ui import ENDPOINTS, page

Make = Callable[..., Path]
Put = Callable[..., str]
WHO, OTHER = (SimpleNamespace(cookies={}, session_hash=f"session-{name}-of-a-program") for name in "ab")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    (tmp_path / "gradio").mkdir()
    return make_desk(tmp_path, monkeypatch)


@pytest.fixture
def sent(tmp_path: Path, tiny_video: Make) -> Put:
    """A video as gradio has it after it was sent."""

    def put(name: str = "sent.mp4", **more: object) -> str:
        path = tmp_path / "gradio" / name
        path.write_bytes(tiny_video(f"own-{name}", **more).read_bytes())
        return str(path)

    return put


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(page(desk), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def program(address: str, folder: Path) -> Any:
    return client.Client(address, verbose=False, download_files=folder)


def last(stream: Iterator[Any]) -> Any:
    return list(stream)[-1]


def analysed(ends: Endpoints, path: str, who: Any = WHO) -> str:
    return str(last(ends.analyse(path, request=who))["video"])


def test_a_program_goes_from_a_video_to_a_report(address: str, desk: Desk, tiny_video: Make, tmp_path: Path) -> None:
    own, other = program(address, tmp_path / "got"), program(address, tmp_path / "got")
    clip = client.handle_file(tiny_video("clip.mp4"))
    *steps, found = list(own.submit(clip, api_name="/analyse"))
    assert found["state"] == "ready" and len(found["events"]) == 3 and found["name"] == "clip.mp4"
    assert len(found["times_s"]) == len(found["scores"]) and all(s["state"] == "working" for s in steps)
    number = found["video"]
    # A dialogue, streamed, that remembers; one about a place.
    *pieces, (text, told) = list(own.submit(number, "What is anomalous?", api_name="/ask"))
    assert text.startswith("From 5.0") and told["citations"]
    assert all(t is None and text.startswith(p) for p, t in pieces)
    region = {"t": 13.0, "box": [0.75, 0.0, 0.95, 1.0]}
    assert own.predict(number, "What is here?", region, api_name="/ask")[0].startswith("In the marked region")
    assert [turn["question"] for turn in own.predict(number, api_name="/dialogue")] == [
        "What is anomalous?",
        "What is here? (at 0:13.0, at the right of the picture)",
    ]
    assert len(own.predict(number, 1, api_name="/dialogue")) == 1
    # Other events of the same heat; the heat; a report.
    assert len(own.predict(number, 500, api_name="/events")["events"]) == 1
    assert desk.case(*_own(desk, number)).looked == 1
    picture, heat = own.predict(number, 0.5, api_name="/heat")
    assert Path(picture).read_bytes()[:3] == b"\xff\xd8\xff"
    assert heat["t_s"] == 0.5 and heat["score"] == 0.2 and (len(heat["map"]), len(heat["map"][0])) == (9, 12)
    assert max(map(max, heat["map"])) == 0.7
    assert "<html" in Path(own.predict(number, "report", api_name="/export")).read_text().lower()
    assert json.loads(Path(own.predict(number, "evidence", api_name="/export")).read_text())["events"]
    # Another session knows nothing of it.
    assert [v["name"] for v in own.predict(api_name="/videos")] == ["clip.mp4"]
    assert other.predict(api_name="/videos") == []
    for name, more in {"events": (), "ask": ("What?",), "export": (), "heat": (), "dialogue": (), "forget": ()}.items():
        with pytest.raises(client.exceptions.AppError, match="no longer here"):
            other.predict(number, *more, api_name=f"/{name}")
    own.predict(number, api_name="/forget")
    assert own.predict(api_name="/videos") == [] and list(desk.root.iterdir()) == []


def _own(desk: Desk, number: str) -> tuple[str, str]:
    return desk._cases[number].visit, number


def test_types_are_told(address: str) -> None:
    told = client.Client(address, verbose=False).view_api(return_format="dict")["named_endpoints"]
    assert sorted(told) == sorted(f"/{name}" for name in ENDPOINTS)
    export = {p["parameter_name"]: p for p in told["/export"]["parameters"]}
    assert export["kind"]["python_type"]["type"].startswith("Literal['report', 'pdf',")
    assert told["/analyse"]["parameters"][0]["python_type"]["type"] == "filepath"
    assert told["/heat"]["returns"][0]["python_type"]["type"] == "filepath"
    needed = {
        name: [p["parameter_name"] for p in e["parameters"] if not p["parameter_has_default"]]
        for name, e in told.items()
    }
    assert needed["/analyse"] == ["video"] and needed["/ask"] == ["video"] and needed["/calibrate"] == []
    assert "http" not in json.dumps(told)


def test_no_file_of_this_machine_is_taken(desk: Desk, tiny_video: Make, tmp_path: Path, sent: Put) -> None:
    ends = Endpoints(desk)
    outside = [str(tiny_video("mine.mp4")), "/etc/passwd", "", None, str(tmp_path / "gradio" / ".." / "mine.mp4")]
    link = tmp_path / "gradio" / "link.mp4"
    link.symlink_to(tiny_video("linked.mp4"))
    for path in [*outside, str(link)]:
        with pytest.raises(Refused, match="a video is missing"):
            ends.describe(path, "What?")  # type: ignore[arg-type]
        with pytest.raises(Refused, match="a video is missing"):
            last(ends.analyse(path, request=WHO))  # type: ignore[arg-type]
        with pytest.raises(Refused, match=r"a video is missing"):
            last(ends.calibrate([path], request=WHO))  # type: ignore[list-item]
    found = ends.describe(sent())
    assert found["answer"].startswith("From 5.0") and len(found["events"]) == 3
    assert desk.cases("") == [] and list(desk.root.iterdir()) == []


def test_a_session_has_its_own_videos(desk: Desk, tiny_video: Make, sent: Put) -> None:
    ends, browsers = Endpoints(desk), ready(desk, tiny_video("page.mp4"), visit="cookie")
    number = analysed(ends, sent())
    for who, video in ((OTHER, number), (WHO, browsers.id), (WHO, "nothing"), (WHO, "../" + number)):
        for call in (ends.events, ends.heat, ends.export, ends.dialogue, ends.forget):
            with pytest.raises(Refused, match="no longer here"):
                call(video, request=who)
        for stream in (ends.ask(video, "What?", request=who), ends.look_again(video, request=who)):
            with pytest.raises(Refused, match="no longer here"):
                last(stream)
        with pytest.raises(Refused, match="no longer here"):
            last(ends.calibrate(None, video, request=who))
    # A browser's cookie is a visit here as well; a session that could be guessed is none.
    browser = SimpleNamespace(cookies={COOKIE: "cookie"}, session_hash="x")
    assert [v["video"] for v in ends.videos(browser)] == [browsers.id]
    for request in (
        SimpleNamespace(cookies={}, session_hash="abc"),
        SimpleNamespace(cookies={}, session_hash=None),
        None,
    ):
        with pytest.raises(Refused, match="gradio_client"):
            ends.videos(request)


def test_what_is_handed_out_cannot_be_guessed_nor_listed(desk: Desk, sent: Put, tmp_path: Path) -> None:
    ends, web = Endpoints(desk), TestClient(page(desk))
    number = analysed(ends, sent("a b<c>.mp4"))
    first, second = (Path(ends.export(number, "evidence", WHO)) for _ in range(2))
    assert first.parent != second.parent and len(first.parent.name) > 40 and first.name == "tvad-a b<c>.json"
    assert first.is_relative_to(tmp_path / "gradio") and first.parent.stat().st_mode & 0o777 == 0o700
    assert web.get(f"/gradio_api/file={first}").status_code == 200
    for place in (first.parent, tmp_path / "gradio", f"{first.parent}/../{second.parent.name}/nothing"):
        assert web.get(f"/gradio_api/file={place}").status_code in (403, 404)


def test_what_cannot_be_had_is_a_sentence(desk: Desk, sent: Put) -> None:
    ends = Endpoints(desk)
    number = analysed(ends, sent())
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: ends.heat(number, -1.0, WHO), "t_s is -1"),
        (lambda: ends.heat(number, float("nan"), WHO), "t_s is nan"),
        (lambda: ends.heat(number, 99.0, WHO), "t_s is 99"),
        (lambda: ends.export(number, "../report", WHO), "no export"),
        (lambda: ends.events(number, -5.0, WHO), "false"),
        (lambda: last(ends.ask(number, " ", request=WHO)), "question is missing"),
        (lambda: last(ends.ask(number, "What?", {"t": 1}, request=WHO)), "a region is"),
        (lambda: last(ends.calibrate([], "", request=WHO)), "either"),
        (lambda: last(ends.calibrate(None, number, 0.0, 2.0, request=WHO)), "cannot be learnt"),
    ]
    for call, words in calls:
        with pytest.raises(Refused, match=words):
            call()
    waiting = opened(desk, Path(sent("later.mp4")), visit=f"program {WHO.session_hash}")
    for early in (ends.events, ends.heat, ends.export):
        with pytest.raises(Refused, match="not been analysed"):
            early(waiting.id, request=WHO)
    with pytest.raises(Refused):
        last(ends.analyse(sent("x.mp4"), per_hour=-1.0, request=WHO))
    assert [v["name"] for v in ends.videos(WHO)] == ["sent.mp4", "later.mp4"]  # what was refused is not kept


def test_uploads_have_their_limits_here_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk, sent: Put
) -> None:
    small = Endpoints(make_desk(tmp_path / "small", monkeypatch, Limits(upload_mb=0.001, normals=1)))
    for stream in (small.analyse(sent(), request=WHO), small.calibrate([sent()], request=WHO)):
        with pytest.raises(Refused, match=re.escape("larger than 0.001 MB")):
            last(stream)
    assert list(small.desk.root.iterdir()) == []


def test_a_program_that_leaves_stops_its_work(desk: Desk, sent: Put) -> None:
    stream = Endpoints(desk).analyse(sent(), request=WHO)
    assert isinstance(next(stream), dict)
    stream.close()  # type: ignore[attr-defined]
    for _ in range(500):
        if not desk.turns.running:
            break
        time.sleep(0.01)
    assert not desk.turns.running and desk.cases(f"program {WHO.session_hash}") == []


def test_ordinary_clips_are_learnt_for_the_session(desk: Desk, sent: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    ends, learnt = Endpoints(desk), []
    monkeypatch.setattr(desk, "learn", lambda cases, span, tell, stop: learnt.append(([c.name for c in cases], span)))
    number = analysed(ends, sent())
    last(ends.calibrate([sent("one.mp4"), sent("two.mp4")], request=WHO))
    last(ends.calibrate(None, number, 1.0, 0.0, request=WHO))
    last(ends.calibrate(None, number, request=WHO))
    assert learnt == [(["one.mp4", "two.mp4"], None), (["sent.mp4"], (1.0, float("inf"))), (["sent.mp4"], None)]
    assert desk.normals(f"program {WHO.session_hash}") == [] and len(ends.videos(WHO)) == 1
    assert last(ends.look_again(number, "cart, dog", request=WHO))["events"]
    assert desk.case(*_own(desk, number)).settings.anomaly == ("cart", "dog")
    assert "forgotten" in ends.uncalibrate(WHO)
