"""The video that a request brings or names: a data: URL, a file of an allowed folder, a URL on an allowed host.

Whoever writes the URL is not trusted: a file is reached only below a folder that the server names, a host only when the
server names it, and the address that was checked is the address that is connected to.

Next: tvad/video.py
"""

import binascii
import ipaddress
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import anyio
import httpx
from starlette.concurrency import run_in_threadpool

from tvad.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, VideoError, probe

MIB = 2**20
SCHEMES = ("data:", "file:", "http:", "https:")
PORTS = {"http": 80, "https": 443}
HEAD_CHARS = 200  # of a data: URL before its comma
SLICE_CHARS = 4 * MIB  # of base64 decoded at a time; a multiple of four
FETCH_S = 120.0  # for a whole download
SILENCE_S = 10.0  # of the other side, after which a download is given up
TRIED = 3  # addresses of a host
IMAGES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/bmp": ".bmp"}
HOST = re.compile(r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
FOLDERS = re.compile(r"(?<![\w/:.])/(?:[^\s/'\":]+/)+")  # of an absolute path, without its last part

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """A request that is answered with an HTTP status. str(): one sentence; code: the same for a program; param: the
    field of the body."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


@dataclass(frozen=True)
class Limits:
    """What the server takes.

    max_upload_mb: MiB of one video, decoded. max_minutes: of one video. allow_files: folders below which a `file:` URL
    may point. allow_hosts: "example.org" allows that host on the usual port of http and https where its addresses are
    public; "camera.local:8080" allows just that port, at any address, also a private one. api_key: what
    `Authorization: Bearer` must carry, None for nothing. ValueError for what cannot be meant.
    """

    max_upload_mb: float = 200.0
    max_minutes: float = 30.0
    allow_files: tuple[Path, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    api_key: str | None = None

    def __post_init__(self) -> None:
        if not min(self.max_upload_mb, self.max_minutes) > 0:
            raise ValueError(f"limits are {self.max_upload_mb} MB and {self.max_minutes} minutes; they must be above 0")
        if self.api_key is not None and not self.api_key.strip():
            raise ValueError("the API key is empty; give one, or None for no key")
        if wrong := [host for host in self.allow_hosts if not HOST.fullmatch(host.lower())]:
            raise ValueError(f"hosts {wrong} must be written as NAME or NAME:PORT, without http:// and without a path")

    @property
    def max_bytes(self) -> int:
        return int(self.max_upload_mb * MIB)


async def obtain(url: str, folder: Path, limits: Limits) -> Path:
    """The file behind a URL, written into `folder` unless it is here already. Raises Refused.

    Cancelling it ends a download at once.
    """
    scheme = url[: url.find(":") + 1].lower()
    if scheme == "data:":
        return await run_in_threadpool(decode, url, folder, limits)
    if scheme == "file:":
        return await run_in_threadpool(allowed_file, url, limits)
    if scheme in SCHEMES:
        return await _fetched(url, folder, limits)
    raise Refused(
        400, f"the video's URL begins with {url[:20]!r}; allowed are {', '.join(SCHEMES)}", "bad_url", "messages"
    )


def check_video(path: Path, limits: Limits) -> None:
    """Refused for what is no video (422) or too long (413)."""
    try:
        info = probe(path)
    except VideoError as error:
        raise Refused(422, unplaced(str(error), path), "unreadable_video", "messages") from None
    if info.duration_s > limits.max_minutes * 60:
        raise Refused(
            413,
            f"the video is {info.duration_s / 60:.1f} minutes long; at most {limits.max_minutes:g} are taken",
            "video_too_long",
            "messages",
        )


def unplaced(message: str, path: Path) -> str:
    """A message without where things are on this machine."""
    return FOLDERS.sub("", message.replace(str(path), "the video"))


def too_large(limits: Limits) -> Refused:
    return Refused(
        413, f"the video is larger than {limits.max_upload_mb:g} MB, the most that is taken", "too_large", "messages"
    )


# A video in the request itself


def decode(url: str, folder: Path, limits: Limits) -> Path:
    """A base64 data: URL (RFC 2397) as a file. Raises Refused."""
    comma = url.find(",", 0, HEAD_CHARS)
    kind, *parameters = url[len("data:") : max(comma, 0)].lower().split(";")
    if comma < 0 or "base64" not in [p.strip() for p in parameters]:
        raise Refused(400, "a data: URL must read data:video/mp4;base64,... (RFC 2397)", "bad_url", "messages")
    kind = kind.strip()
    if not kind.startswith(("video/", "image/")) and kind not in ("", "application/octet-stream"):
        message = f"the data: URL is of type {kind[:60]!r}; allowed are video/* and image/*"
        raise Refused(415, message, "unsupported_media_type", "messages")
    if (len(url) - comma - 1) * 3 // 4 - 2 > limits.max_bytes:
        raise too_large(limits)
    path = folder / f"video{IMAGES.get(kind, '')}"
    with path.open("wb") as file:
        for at in range(comma + 1, len(url), SLICE_CHARS):
            try:
                file.write(binascii.a2b_base64(url[at : at + SLICE_CHARS], strict_mode=True))
            except ValueError:  # binascii.Error, or characters beyond ASCII
                raise Refused(400, "the data: URL's base64 is damaged or cut off", "bad_url", "messages") from None
    return path


# A file that is here


def allowed_file(url: str, limits: Limits) -> Path:
    """The file behind a file: URL (RFC 8089), links resolved. Raises Refused, in the same words for what is not there
    and what is out of bounds, so that nobody learns what exists."""
    if not limits.allow_files:
        message = "this server reads no files of its own (file: URLs); send the video as a data: URL"
        raise Refused(400, message, "not_allowed", "messages")
    path = _real_file(url)
    if path is None or not any(path.is_relative_to(folder.resolve()) for folder in limits.allow_files):
        message = "the file: URL names no file in a folder that this server allows"
        raise Refused(400, message, "not_allowed", "messages")
    if path.stat().st_size > limits.max_bytes:
        raise too_large(limits)
    return path


def _real_file(url: str) -> Path | None:
    """A regular file, without links on the way to it."""
    try:
        parts = urlsplit(url)
        name = unquote(parts.path, errors="strict")
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not name.startswith("/"):
            return None
        path = Path(name).resolve(strict=True)
        return path if stat.S_ISREG(path.stat().st_mode) else None
    except (OSError, ValueError, RuntimeError):  # not there; NUL, not UTF-8; links in a circle
        return None


# A file that is elsewhere


async def _fetched(url: str, folder: Path, limits: Limits) -> Path:
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        target = httpx.URL()
    host = target.raw_host.decode("ascii").lower().rstrip(".")
    if not host or target.scheme not in PORTS or target.userinfo:
        raise Refused(400, "the video's URL must read http(s)://HOST/PATH, without a user", "bad_url", "messages")
    # As it is written in a URL; one parser does both, the check and the request.
    shown = f"[{host}]" if ":" in host else host
    port = target.port or PORTS[target.scheme]
    allowed = {name.lower() for name in limits.allow_hosts}
    trusted = f"{shown}:{port}" in allowed
    if not trusted and not (shown in allowed and port == PORTS[target.scheme]):
        message = f"videos are not fetched from {shown[:100]!r} (port {port}); send the video as a data: URL"
        raise Refused(400, message, "not_allowed", "messages")
    addresses = await run_in_threadpool(_addresses, host, port)
    if not trusted and not all(_is_public(address) for address in addresses):
        raise Refused(400, f"{shown[:100]!r} has an address that is not public", "not_allowed", "messages")
    suffix = PurePosixPath(target.path).suffix.lower()
    path = folder / f"video{suffix if suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES else ''}"
    try:
        with anyio.fail_after(FETCH_S):
            # Neither proxies nor passwords of this machine; httpx follows no redirect unless told to.
            async with httpx.AsyncClient(trust_env=False, timeout=SILENCE_S) as client:
                await _download(client, target, host, addresses, path, limits)
    except TimeoutError:
        raise _unfetched(shown, f"took longer than {FETCH_S:g} s") from None
    except httpx.HTTPError as error:
        raise _unfetched(shown, f"failed ({type(error).__name__})") from None
    return path


def _unfetched(host: str, reason: str) -> Refused:
    return Refused(422, f"fetching the video from {host[:100]!r} {reason}", "not_fetched", "messages")


async def _download(
    client: httpx.AsyncClient, target: httpx.URL, host: str, addresses: list[Address], path: Path, limits: Limits
) -> None:
    response = await _response(client, target, host, addresses)
    try:
        if response.status_code != 200:
            kind = ", a redirect, which is not followed" if response.is_redirect else ""
            raise _unfetched(host, f"gave HTTP status {response.status_code}{kind}")
        coding = response.headers.get("content-encoding", "identity")
        if coding != "identity":  # a few bytes that unpack to many
            raise _unfetched(host, f"gave it packed ({coding[:20]!r})")
        promised = response.headers.get("content-length", "")
        if promised.isdecimal() and float(promised) > limits.max_bytes:
            raise too_large(limits)
        received = 0
        with path.open("wb") as file:
            async for piece in response.aiter_raw():
                received += len(piece)
                if received > limits.max_bytes:
                    raise too_large(limits)
                file.write(piece)
    finally:
        await response.aclose()


async def _response(
    client: httpx.AsyncClient, target: httpx.URL, host: str, addresses: list[Address]
) -> httpx.Response:
    """The first address that answers. It is connected to by number, so that no second look-up can lead elsewhere; the
    certificate is still checked against the name."""
    headers = {"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity", "User-Agent": "tvad"}
    for number, address in enumerate(addresses[:TRIED], 1):
        request = client.build_request(
            "GET", target.copy_with(host=str(address)), headers=headers, extensions={"sni_hostname": host}
        )
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if number == len(addresses[:TRIED]):
                raise
    raise httpx.ConnectError("the host has no address")


def _addresses(host: str, port: int) -> list[Address]:
    """All addresses of a host, each once. Refused where there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unfetched(host, "failed (the name is not known)") from None
    # Addresses with a zone ("fe80::1%eth0") are of this wire alone and cannot be written in a URL.
    plain = [str(entry[4][0]) for entry in found if "%" not in str(entry[4][0])]
    return list(dict.fromkeys(ipaddress.ip_address(address) for address in plain))


def _is_public(address: Address) -> bool:
    """Whether it is out on the internet, also when it is wrapped into IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast
