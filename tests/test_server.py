"""What the page gets by HTTP: a visit's own videos and nobody else's, few names of files, a login where one is set."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from desk_fakes import make_desk

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from chat.case import Limits
from chat.desk import Desk
from chat.openai_api import Limits as ApiLimits
from chat.server import COOKIE, Login, make_app
from chat.turns import Turns
from tvad.settings import Settings

Make = Callable[..., Path]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return make_desk(tmp_path, monkeypatch, Limits(upload_mb=2))


def client(desk: Desk, visit: str = "a", **more: object) -> TestClient:
    made = TestClient(make_app(desk, **more))  # type: ignore[arg-type]
    if visit:
        made.cookies.set(COOKIE, visit)
    return made


def uploaded(page: TestClient, video: Path, name: str = "clip.mp4") -> str:
    answer = page.post("/upload", params={"name": name}, content=video.read_bytes())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def analysed(desk: Desk, page: TestClient, video: Path, visit: str = "a") -> str:
    number = uploaded(page, video)
    desk.analyse(desk.case(visit, number), Settings(), lambda share, note: None)
    return number


def test_health_says_what_runs(desk: Desk) -> None:
    said = client(desk, "").get("/health").json()
    assert said["status"] == "ok" and said["preset"] == "mini" and (said["running"], said["waiting"]) == (0, 0)


def test_a_video_goes_in_and_its_parts_come_out(desk: Desk, tiny_video: Make) -> None:
    page, video = client(desk), tiny_video("clip.mp4")
    number = uploaded(page, video)
    before = page.get(f"/case/{number}").json()
    assert before["state"] == "received" and "events" not in before
    assert page.get(f"/case/{number}/file/video.mp4").content == video.read_bytes()
    part = page.get(f"/case/{number}/file/video.mp4", headers={"Range": "bytes=0-99"})
    assert part.status_code == 206 and part.content == video.read_bytes()[:100]
    desk.analyse(desk.case("a", number), Settings(), lambda share, note: None)
    after = page.get(f"/case/{number}").json()
    assert len(after["events"]) == 3 and after["heat"]["pictures"] == 1
    assert page.get(f"/case/{number}/file/heat-0.png").headers["content-type"] == "image/png"
    cut = page.post(f"/case/{number}/threshold", json={"per_hour": 500})
    assert cut.status_code == 200 and len(cut.json()["events"]) == 1
    assert page.delete(f"/case/{number}").status_code == 204
    assert page.get(f"/case/{number}").status_code == 404


def test_another_visit_gets_nothing(desk: Desk, tiny_video: Make) -> None:
    number = analysed(desk, client(desk), tiny_video("clip.mp4"))
    for other in (client(desk, "b"), client(desk, "")):
        for path in ("", "/file/video.mp4", "/file/heat-0.png", "/export/evidence", "/export/report"):
            answer = other.get(f"/case/{number}{path}")
            assert answer.status_code == 404 and "no longer here" in answer.json()["error"]
        assert other.post(f"/case/{number}/threshold", json={"per_hour": 2}).status_code == 404
        assert other.delete(f"/case/{number}").status_code == 404
    assert client(desk).get(f"/case/{number}").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/secret.txt", "secret.txt", "video.mp4/..", ".hidden.mp4",
     "video.mp4%00", "heat-0.png/../../secret.txt", "/etc/passwd", "link.mp4", "video.html"],
)  # fmt: skip
def test_no_path_leaves_the_folder(name: str, desk: Desk, tiny_video: Make) -> None:
    page = client(desk)
    number = analysed(desk, page, tiny_video("clip.mp4"))
    folder = desk.case("a", number).folder
    (desk.root / "secret.txt").write_text("secret")
    (folder / "secret.txt").write_text("secret")
    (folder / "video.html").write_text("secret")
    (folder / "link.mp4").symlink_to(desk.root / "secret.txt")
    answer = page.get(f"/case/{number}/file/{name}")
    assert answer.status_code in (404, 405) and "secret" not in answer.text and "root:" not in answer.text


def test_a_link_under_a_good_name_is_not_followed(desk: Desk, tiny_video: Make) -> None:
    page = client(desk)
    number = uploaded(page, tiny_video("clip.mp4"))
    folder = desk.case("a", number).folder
    (desk.root / "secret.txt").write_text("secret")
    (folder / "shown.mp4").symlink_to(desk.root / "secret.txt")
    assert page.get(f"/case/{number}/file/shown.mp4").status_code == 404


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 422, "is empty"),
        (b"<html>" * 50, 422, "cannot be read as a video"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", 422, "cannot be read as a video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 422, "cannot be read as a video"),
        (b"0" * 3_000_000, 422, "larger than 2 MB"),
    ],
)
def test_bad_uploads_get_a_sentence(data: bytes, status: int, words: str, desk: Desk, tmp_path: Path) -> None:
    page = client(desk)
    answer = page.post("/upload", params={"name": "<img src=x onerror=alert(1)>.mp4"}, content=data)
    assert answer.status_code == status and words in answer.json()["error"]
    assert "Traceback" not in answer.text and str(tmp_path) not in answer.text
    assert answer.headers["content-type"] == "application/json"
    assert not desk.root.exists() or list(desk.root.iterdir()) == []


def test_bytes_in_pieces_count_together(desk: Desk) -> None:
    def pieces() -> object:
        for _ in range(40):
            yield b"0" * 100_000

    answer = client(desk).post("/upload", content=pieces())  # no length is said before
    assert answer.status_code == 422 and "larger than 2 MB" in answer.json()["error"]
    assert list(desk.root.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"per_hour": "x"}',
        b'{"per_hour": null}',
        b"\xff",
        b'{"per_hour": -1}',
        b'{"per_hour": 1e400}',
    ],
)
def test_a_wrong_threshold_changes_nothing(body: bytes, desk: Desk, tiny_video: Make) -> None:
    page = client(desk)
    number = analysed(desk, page, tiny_video("clip.mp4"))
    version = desk.case("a", number).version
    answer = page.post(f"/case/{number}/threshold", content=body)
    assert answer.status_code == 422 and answer.json()["error"]
    assert desk.case("a", number).version == version


@pytest.mark.parametrize(
    "kind", ["report", "pdf", "evidence", "transcript", "dialogue", "srt", "vtt", "overlay", "clips"]
)
def test_every_export_is_a_file_of_its_kind(kind: str, desk: Desk, tiny_video: Make) -> None:
    page = client(desk)
    number = uploaded(page, tiny_video("clip.mp4", count=240 if kind == "clips" else 40, fps=8), 'my "clip" <b>ü.mp4')
    assert page.get(f"/case/{number}/export/{kind}").status_code == 422
    desk.analyse(desk.case("a", number), Settings(), lambda share, note: None)
    list(desk.ask(desk.case("a", number), "What is anomalous?"))
    answer = page.get(f"/case/{number}/export/{kind}")
    assert answer.status_code == 200 and len(answer.content) > 50, answer.text
    kept = answer.headers["content-disposition"]
    assert kept.startswith("attachment; filename=tvad-my_clip_b") and '"' not in kept and "<" not in kept
    begin = {
        "clips": b"PK",
        "report": b"<!",
        "pdf": b"%PDF",
        "evidence": b"{",
        "dialogue": b"{",
        "srt": b"1",
        "vtt": b"WEBVTT",
    }
    assert answer.content.startswith(begin.get(kind, b""))
    assert page.get(f"/case/{number}/export/{kind}x").status_code == 422


def test_an_export_of_a_video_that_ends_early_is_refused(desk: Desk, tiny_video: Make, tmp_path: Path) -> None:
    page = client(desk)
    number = analysed(desk, page, tiny_video("clip.mp4", count=10))
    answer = page.get(f"/case/{number}/export/clips")
    assert answer.status_code == 422 and "cannot be read" in answer.json()["error"]
    assert str(tmp_path) not in answer.text


def test_an_event_has_a_picture_and_takes_a_judgement(desk: Desk, tiny_video: Make, tmp_path: Path) -> None:
    page = client(desk)
    number = analysed(desk, page, tiny_video("clip.mp4", count=200))
    picture = page.get(f"/case/{number}/event/1.jpg")
    assert picture.status_code == 200 and picture.content.startswith(b"\xff\xd8")
    assert page.get(f"/case/{number}/event/9.jpg").status_code == 422
    assert page.get(f"/case/{number}/trajectory.jpg").content.startswith(b"\xff\xd8")
    assert client(desk, "b").get(f"/case/{number}/trajectory.jpg").status_code == 404
    assert client(desk, "b").get(f"/case/{number}/event/1.jpg").status_code == 404
    assert page.post(f"/case/{number}/event/1", json={"right": True}).status_code == 422  # no file to keep it in
    desk.feedback = tmp_path / "said.jsonl"
    assert page.post(f"/case/{number}/event/1", json={"right": True}).status_code == 204
    for wrong in ({}, {"right": 1}, {"right": True, "label": 3}, [], None):
        assert page.post(f"/case/{number}/event/1", json=wrong).status_code == 422
    assert client(desk, "b").post(f"/case/{number}/event/1", json={"right": True}).status_code == 404
    assert len(desk.feedback.read_text().splitlines()) == 1


def test_ordinary_clips_come_and_go(desk: Desk, tiny_video: Make) -> None:
    page, video = client(desk), tiny_video("clip.mp4")
    assert page.get("/normal").json() == {"clips": [], "learnt": ""}
    number = page.post("/normal", params={"name": "../a <b>.mp4"}, content=video.read_bytes()).json()["id"]
    assert page.get("/normal").json()["clips"] == [{"id": number, "name": "a <b>.mp4"}]
    assert client(desk, "b").get("/normal").json()["clips"] == []
    assert client(desk, "b").delete(f"/case/{number}").status_code == 404
    assert page.post("/normal", content=b"no video").status_code == 422
    assert page.post("/normal", content=b"0" * 3_000_000).status_code == 422
    assert page.delete(f"/case/{number}").status_code == 204 and page.get("/normal").json()["clips"] == []


def test_the_example_is_a_video_of_ones_own(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = client(desk).post("/example")
    assert said.status_code == 200 and said.json()["name"] == "plaza.mp4"
    assert client(desk, "b").get(f"/case/{said.json()['id']}").status_code == 404
    monkeypatch.setattr("chat.server.EXAMPLE", tmp_path / "none.mp4")
    assert client(desk).post("/example").status_code == 422


def test_what_reads_a_video_again_waits_in_the_same_line(
    tmp_path: Path, tiny_video: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk(tmp_path, monkeypatch, Limits(waiting=1))
    page = client(desk)
    number = analysed(desk, page, tiny_video("clip.mp4"))
    monkeypatch.setattr(desk, "turns", Turns(waiting=0))
    with desk.turns.turn():
        answer = page.get(f"/case/{number}/export/evidence")
    assert answer.status_code == 503 and "computing" in answer.json()["error"]


def test_a_login_guards_everything_but_health(desk: Desk) -> None:
    page = client(desk, login=Login("me", "a:secret"))
    assert page.get("/health").status_code == 200
    for path in ("/page/board.js", "/case/x", "/v1/models", "/x/health", "/", "/upload"):
        answer = page.get(path)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic")
    for wrong in ("me:other", "you:a:secret", "me", ""):
        coded = base64.b64encode(wrong.encode()).decode()
        assert page.get("/page/board.js", headers={"Authorization": f"Basic {coded}"}).status_code == 401
    assert page.get("/page/board.js", headers={"Authorization": "Basic ???"}).status_code == 401
    assert page.get("/page/board.js", auth=("me", "a:secret")).status_code == 200


def test_programs_need_their_key_instead(desk: Desk) -> None:
    page = client(desk, login=Login("me", "secret"), api=ApiLimits(api_key="key"))
    assert page.get("/v1/models").status_code == 401
    assert page.get("/v1/models", headers={"Authorization": "Bearer key"}).json()["data"][0]["id"]
    assert page.get("/page/board.js", headers={"Authorization": "Bearer key"}).status_code == 401
    assert page.get("/v1/../page/board.js", headers={"Authorization": "Bearer key"}).status_code in (401, 404)


def test_other_sites_cannot_make_a_browser_write(desk: Desk, tiny_video: Make) -> None:
    page, video = client(desk), tiny_video("clip.mp4")
    for site in ("cross-site", "same-site"):
        answer = page.post("/upload", content=video.read_bytes(), headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    assert (
        page.post("/upload", content=video.read_bytes(), headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    )


def test_answers_keep_browsers_on_this_site(desk: Desk) -> None:
    answer = client(desk).get("/page/board.css")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http:" not in policy and "https:" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["referrer-policy"] == "no-referrer"
    assert client(desk).get("/page/../server.py").status_code == 404
    assert client(desk).get("/page/nothing.js").status_code == 404
