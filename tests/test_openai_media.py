"""Getting the video of a request: what comes in, what is refused, and that hostile URLs lead nowhere."""

import asyncio
import base64
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clips import encode

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

from chat import openai_media  # noqa: E402
from chat.openai_media import Limits, Refused, check_video, obtain, unplaced  # noqa: E402

PUBLIC = "93.184.215.14"


def got(url: str, folder: Path, limits: Limits | None = None) -> Path:
    return asyncio.run(obtain(url, folder, limits or Limits()))


def refusal(url: str, folder: Path, limits: Limits | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        got(url, folder, limits)
    assert str(folder) not in str(caught.value)
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "inbox"
    made.mkdir()
    return made


# data: URLs


def test_a_data_url_becomes_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_media, "SLICE_CHARS", 8)
    data = bytes(range(256))
    url = "data:video/mp4;base64," + base64.b64encode(data).decode()
    assert got(url, folder).read_bytes() == data
    assert got("data:image/png;base64,AAAA", folder).suffix == ".png"
    assert got("DATA:;BASE64,AAAA", folder).suffix == ""


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("data:video/mp4,AAAA", 400),
        ("data:video/mp4;base64", 400),
        ("data:video/mp4;base64,AAA", 400),
        ("data:video/mp4;base64,AA==AAAA", 400),
        ("data:video/mp4;base64,AA AA", 400),
        ("data:video/mp4;base64,ÄÄÄÄ", 400),
        ("data:" + "x" * 1000 + ";base64,AAAA", 400),
        ("data:text/html;base64,AAAA", 415),
        ("data:../../x;base64,AAAA", 415),
        ("ftp://host/x.mp4", 400),
        ("gopher:x", 400),
        ("/etc/passwd", 400),
        ("", 400),
    ],
)
def test_other_urls_are_refused(url: str, status: int, folder: Path) -> None:
    assert refusal(url, folder).status == status


def test_too_much_base64_is_not_even_decoded(folder: Path) -> None:
    assert refusal("data:video/mp4;base64," + "A" * 2_000_000, folder, Limits(max_upload_mb=1)).status == 413
    assert list(folder.iterdir()) == []


# file: URLs


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    made = tmp_path / "shelf"
    (made / "deep").mkdir(parents=True)
    (made / "a clip.mp4").write_bytes(b"x" * 10)
    (made / "deep" / "50%.mp4").write_bytes(b"y")
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "shelf-2").mkdir()
    (tmp_path / "shelf-2" / "b.mp4").write_bytes(b"secret")
    (made / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (made / "away").symlink_to(tmp_path)
    (made / "in.mp4").symlink_to(made / "a clip.mp4")
    (made / "circle").symlink_to(made / "circle")
    os.mkfifo(made / "pipe.mp4")
    return made


def test_files_of_allowed_folders(shelf: Path, folder: Path) -> None:
    limits = Limits(allow_files=(folder, shelf))
    assert got(f"file://{shelf}/a%20clip.mp4", folder, limits).read_bytes() == b"x" * 10
    assert got(f"FILE://localhost{shelf}/deep/50%25.mp4", folder, limits).read_bytes() == b"y"
    assert got(f"file://{shelf}/in.mp4", folder, limits) == shelf / "a clip.mp4"
    assert got(f"file://{shelf}/deep/../a clip.mp4", folder, limits) == shelf / "a clip.mp4"


def test_a_large_file(shelf: Path, folder: Path) -> None:
    limits = Limits(allow_files=(shelf,), max_upload_mb=5 / 2**20)
    assert refusal(f"file://{shelf}/in.mp4", folder, limits).status == 413


@pytest.mark.parametrize(
    "path",
    [
        "{shelf}/../secret.mp4",
        "{shelf}/%2e%2e/secret.mp4",
        "{shelf}/%252e%252e/secret.mp4",
        "{shelf}/deep/..%2f..%2fsecret.mp4",
        "{shelf}/out.mp4",
        "{shelf}/away/secret.mp4",
        "{shelf}/circle",
        "{shelf}/pipe.mp4",
        "{shelf}/deep",
        "{shelf}",
        "{shelf}-2/b.mp4",
        "{shelf}/none.mp4",
        "{shelf}/a%20clip.mp4%00.mp4",
        "{shelf}/a clip.mp4\0",
        "{shelf}/%ff%fe.mp4",
        "{shelf}/a%20clip.mp4?x",
        "{shelf}/a%20clip.mp4#x",
        "host{shelf}/a%20clip.mp4",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "",
        "/" + "a" * 5000,
        "/[::1/",
        "[::1/x",
    ],
)
def test_nothing_else_is_reached(path: str, shelf: Path, folder: Path) -> None:
    refused = refusal("file://" + path.format(shelf=shelf), folder, Limits(allow_files=(shelf,)))
    # The same words whether it exists or not.
    assert (refused.status, str(refused)) == (400, "the file: URL names no file in a folder that this server allows")


def test_no_files_unless_allowed(shelf: Path, folder: Path) -> None:
    refused = refusal(f"file://{shelf}/a%20clip.mp4", folder)
    assert refused.status == 400
    assert str(shelf) not in str(refused)


# http: URLs


class Shop(BaseHTTPRequestHandler):
    """A host that gives a clip and several kinds of trouble."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host']} {self.path}")
        plain = self.path.split("?")[0]
        headers = {
            "/moved": {"Location": "/clip.mp4"},
            "/packed": {"Content-Encoding": "gzip"},
            "/declared": {"Content-Length": str(10**12)},
        }
        self.send_response({"/moved": 302, "/gone": 404}.get(plain, 200))
        for name, value in headers.get(plain, {}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for _ in range(64 if plain == "/large" else 1):
                self.wfile.write(b"z" * (65536 if plain == "/large" else 10))
            while plain == "/slow":
                time.sleep(0.02)
                self.wfile.write(b"z")
        except OSError:
            pass  # who asked has hung up

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[int]:
    """The port of a local host."""
    Shop.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Host name -> its addresses; numbers are what they are, other names are unknown."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        host = host.decode() if isinstance(host, bytes) else host
        if host in known:
            return [entry for address in known[host] for entry in real(address, port, *args, **kwargs)]
        if not host.replace(".", "").isdecimal() and ":" not in host:
            raise socket.gaierror("not known")
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_a_named_port_may_be_private(shop: int, names: dict[str, list[str]], folder: Path) -> None:
    names["camera.test"] = ["127.0.0.1"]
    limits = Limits(allow_hosts=(f"Camera.test:{shop}",))
    path = got(f"http://CAMERA.test:{shop}/clip.mp4?at=1", folder, limits)
    assert (path.read_bytes(), path.suffix, path.parent) == (b"z" * 10, ".mp4", folder)
    assert Shop.asked == [f"camera.test:{shop} /clip.mp4?at=1"]
    assert got(f"http://camera.test:{shop}/x.sh", folder, limits).suffix == ""


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/moved", 422, "redirect"),
        ("/gone", 422, "404"),
        ("/packed", 422, "gzip"),
        ("/declared", 413, "1 MB"),
        ("/large", 413, "1 MB"),
        ("/slow", 422, "longer than"),
    ],
)
def test_trouble_with_a_host(
    path: str, status: int, says: str, shop: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_media, "FETCH_S", 0.3 if path == "/slow" else 10.0)
    limits = Limits(allow_hosts=(f"127.0.0.1:{shop}",), max_upload_mb=1)
    refused = refusal(f"http://127.0.0.1:{shop}{path}", folder, limits)
    assert refused.status == status
    assert says in str(refused)
    assert len(Shop.asked) == 1


def test_a_host_that_does_not_answer(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = taken.getsockname()[1]
        refused = refusal(f"http://127.0.0.1:{port}/x", folder, Limits(allow_hosts=(f"127.0.0.1:{port}",)))
    assert (refused.status, "ConnectError" in str(refused)) == (422, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://other.test/x.mp4",
        "http://video.test:8080/x.mp4",
        "https://video.test:80/x.mp4",
        "http://video.test.evil.test/x.mp4",
        "http://localhost/x.mp4",
        "http://127.0.0.1/x.mp4",
        "http://2130706433/x.mp4",
        "http://0x7f.1/x.mp4",
        "http://[::1]/x.mp4",
        "http://169.254.169.254/latest/meta-data",
        "http://user:password@video.test/x.mp4",
        "http://video.test@evil.test/x.mp4",
        "http://evil.test\\@video.test/x.mp4",
        "http:///x.mp4",
        "http://",
        "http:video.test/x.mp4",
        "http://video.test\r\nX: y/x.mp4",
        "http://video.test:99999/x.mp4",
        "http://xn--/x.mp4",
    ],
)
def test_hosts_that_are_not_allowed(
    url: str, folder: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["video.test"] = [PUBLIC]
    monkeypatch.setattr(httpx.AsyncClient, "send", lambda *_, **__: pytest.fail("something was sent"))
    assert refusal(url, folder, Limits(allow_hosts=("video.test",))).status == 400
    assert refusal(url, folder).status == 400


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["172.16.0.1"],
        ["192.168.1.1"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["0.0.0.0"],
        ["224.0.0.1"],
        ["240.0.0.1"],
        ["255.255.255.255"],
        ["::"],
        ["::1"],
        ["fc00::1"],
        ["ff02::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["2001::1"],
        [PUBLIC, "10.0.0.1"],
    ],
)
def test_a_name_of_a_private_address(
    addresses: list[str], folder: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["video.test"] = addresses
    monkeypatch.setattr(httpx.AsyncClient, "send", lambda *_, **__: pytest.fail("something was sent"))
    refused = refusal("http://video.test/x.mp4", folder, Limits(allow_hosts=("video.test",)))
    assert (refused.status, "not public" in str(refused)) == (400, True)
    assert addresses[0] not in str(refused)


class Bytes(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"clip"


def test_it_connects_to_the_address_that_was_checked(
    folder: Path, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["video.test"] = ["2606:4700::1111", PUBLIC]
    sent: list[Any] = []

    async def send(client: Any, request: Any, **_: object) -> Any:
        sent.append(request)
        names["video.test"] = ["127.0.0.1"]  # a second look-up would lead home
        if len(sent) == 1:
            raise httpx.ConnectError("no way there")
        return httpx.Response(200, stream=Bytes(), request=request)

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    assert got("https://Video.test/a/b.mp4", folder, Limits(allow_hosts=("video.test",))).read_bytes() == b"clip"
    assert [str(r.url) for r in sent] == ["https://[2606:4700::1111]/a/b.mp4", f"https://{PUBLIC}/a/b.mp4"]
    assert {(r.headers["host"], r.extensions["sni_hostname"]) for r in sent} == {("video.test", "video.test")}


def test_an_unknown_name(folder: Path, names: dict[str, list[str]]) -> None:
    assert refusal("http://video.test/x", folder, Limits(allow_hosts=("video.test",))).status == 422


# What it is


def test_only_videos_that_are_not_too_long(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", count=50)
    check_video(clip, Limits())
    with pytest.raises(Refused, match="minutes long") as caught:
        check_video(clip, Limits(max_minutes=1 / 60))
    assert caught.value.status == 413
    text = tmp_path / "<b>text.mp4"
    text.write_text("#EXTM3U\nfile:///etc/passwd\n")
    with pytest.raises(Refused) as caught:
        check_video(text, Limits())
    assert caught.value.status == 422
    assert "<b>" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_no_folders_in_messages() -> None:
    here = Path("/srv/videos/a b.mp4")
    assert unplaced(f"{here}: not a video, see /opt/lib/x.py: 3", here) == "the video: not a video, see x.py: 3"
    assert unplaced("fetch http://host/a/b or 1/2 of it", here) == "fetch http://host/a/b or 1/2 of it"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_upload_mb": 0},
        {"max_minutes": -1},
        {"api_key": " "},
        {"allow_hosts": ("http://host",)},
        {"allow_hosts": ("host/path",)},
        {"allow_hosts": ("*",)},
    ],
)
def test_limits_that_cannot_be_meant(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Limits(**wrong)
