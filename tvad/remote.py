"""A language model on a server that speaks OpenAI's chat completions: vLLM, SGLang, Ollama, llama.cpp, OpenAI.

Only the host that a person named is spoken to: no redirect is followed, and no proxy of the environment is used. A key
comes from the environment alone and stands in no message. Pieces of the answer come as they are made; who stops
listening closes the connection.

Next: tvad/remote_stream.py
"""

import os
import random
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tvad import __version__
from tvad.remote_stream import Broken, CutInTheMiddle, pieces_of, reason_of, wire, without_thoughts

KEY_NAME, OPENAI_KEY_NAME, OPENAI_HOST = "TVAD_LVLM_KEY", "OPENAI_API_KEY", "api.openai.com"
FIRST_S = 120.0  # a large model may still be loading
LOOPBACK = ("127.0.0.1", "localhost", "::1")
RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
REFUSED_TRIES = 2  # where nothing listens, waiting rarely helps
BACK_OFF_S, LONGEST_PAUSE_S = 0.5, 30.0
MESSAGE_BYTES = 10_000
OPTIONAL = ("max_tokens", "temperature")  # some servers refuse one; max_tokens has a newer name
NEWER = {"max_tokens": "max_completion_tokens"}


class RemoteError(RuntimeError):
    """The server gave no answer; str() is one line: which server, what went wrong, what to do."""


class _Again(Exception):  # noqa: N818 - the name is what to do
    """Trying again may help. pause_s: as the server asks, None where it does not say. tries: in all, at most."""

    def __init__(self, reason: str, pause_s: float | None = None, tries: int = 1000) -> None:
        super().__init__(reason)
        self.pause_s, self.tries = pause_s, tries


@dataclass(frozen=True)
class Remote:
    """Which server, and how long to wait for it.

    url: its base, "http://127.0.0.1:8000/v1"; without a path, /v1 is meant. model: as the server calls it; None takes
    the only one it has. pictures: key frames that are sent at most; 0 sends words alone. connect_s, first_s, whole_s:
    until there is a connection, until the first sign of an answer, until its end. tries: how often it is asked in all.
    ValueError for what cannot be one.
    """

    url: str
    model: str | None = None
    pictures: int = 6
    connect_s: float = 10.0
    first_s: float = FIRST_S
    whole_s: float = 300.0
    tries: int = 4

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url.strip())
            is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number
            is_one = False
        if not is_one:
            raise ValueError(
                f"{self.url[:80]!r} is no server; expected http://HOST:PORT or https://HOST/v1 (--lvlm-url)"
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(f"a server's URL holds no key; set {KEY_NAME} in the environment (--lvlm-url)")
        if self.pictures < 0 or min(self.connect_s, self.first_s, self.whole_s) <= 0 or self.tries < 1:
            raise ValueError("pictures must be 0 or more, times above 0 (--lvlm-pictures, --lvlm-timeout)")
        path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
        object.__setattr__(self, "url", urlunsplit((parts.scheme, parts.netloc, path, "", "")))

    @property
    def host(self) -> str:
        """ "127.0.0.1:8000", for messages."""
        return urlsplit(self.url).netloc

    @property
    def key(self) -> str | None:
        """The key for this server, from the environment; OpenAI's own goes to OpenAI alone."""
        parts = urlsplit(self.url)
        is_openai = (parts.scheme, parts.hostname) == ("https", OPENAI_HOST)
        return os.environ.get(KEY_NAME) or (os.environ.get(OPENAI_KEY_NAME) if is_openai else None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person ought to know before anything is sent."""
        parts = urlsplit(self.url)
        what = "findings and key frames" if self.pictures else "findings"
        lines = [f"note: {what} of the video go to {self.host} with each question (--lvlm-url)"]
        if self.key and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            lines.append(f"note: the key of {KEY_NAME} goes to {self.host} in the clear; https would hide it")
        return tuple(lines)


class RemoteSpeaker:
    """The server as `tvad.explainer.Speaker`: words about messages that may hold pictures."""

    def __init__(self, remote: Remote) -> None:
        """RemoteError where the package that speaks HTTP is not here."""
        try:
            import httpx
        except ModuleNotFoundError:
            raise RemoteError("a server is asked with the package httpx; pip install 'tvad[remote]'") from None
        self._httpx, self.remote = httpx, remote
        self._model = remote.model
        self._without: set[str] = set()  # of OPTIONAL, what this server refuses

    def stream(
        self, messages: Sequence[Mapping[str, Any]], max_new_tokens: int = 400, first: Sequence[str] = ()
    ) -> Iterator[str]:
        """Pieces of the answer as they come. messages: "content" is text or parts {"type": "text", "text"} and
        {"type": "image", "jpeg"}. first is not used: a server chooses its words itself.

        RemoteError when there is no answer, or it ends in the middle.
        """
        until_s = time.monotonic() + self.remote.whole_s
        tried = 0
        with self._client() as client:
            while True:
                said = False
                try:
                    for piece in without_thoughts(self._once(client, messages, max_new_tokens, until_s)):
                        said = True
                        yield piece
                    return
                except Broken as error:
                    if said or not isinstance(error, CutInTheMiddle):
                        raise RemoteError(self._told(str(error))) from None
                    again = _Again(str(error))
                except _Again as error:
                    again = error
                tried += 1
                pause_s = _pause(tried, again.pause_s)
                if tried >= min(self.remote.tries, again.tries) or time.monotonic() + pause_s >= until_s:
                    raise RemoteError(self._told(f"{again}{f' ({tried} times)' if tried > 1 else ''}"))
                time.sleep(pause_s)

    def name(self) -> str:
        """The model's name, asked for where none was given. RemoteError where there is no answer, or no one model."""
        with self._client() as client:
            try:
                return self._model_of(client)
            except _Again as error:
                raise RemoteError(self._told(str(error))) from None

    @contextmanager
    def _client(self) -> Iterator[Any]:
        remote = self.remote
        headers = {"User-Agent": f"tvad/{__version__}"}
        if key := remote.key:
            headers["Authorization"] = f"Bearer {key}"
        # trust_env: no proxy and no netrc of the environment. Certificates of SSL_CERT_FILE are used all the same.
        verify = ssl.create_default_context() if remote.url.startswith("https:") else False
        times = self._httpx.Timeout(remote.first_s, connect=remote.connect_s)
        with self._httpx.Client(headers=headers, timeout=times, verify=verify, trust_env=False) as client:
            yield client

    def _once(
        self, client: Any, messages: Sequence[Mapping[str, Any]], max_new_tokens: int, until_s: float
    ) -> Iterator[str]:
        order = {"model": self._model_of(client), "messages": [wire(m) for m in messages], "stream": True}
        limits: dict[str, Any] = {"max_tokens": max_new_tokens, "temperature": 0}
        for name in OPTIONAL:
            if name not in self._without:
                order[name] = limits[name]
            elif name in NEWER:
                order[NEWER[name]] = limits[name]
        with self._asked(client, "POST", "/chat/completions", order) as response:
            if response.status_code != 200:
                self._refused(client, response, order)
            with _Watch(response, self.remote.first_s, until_s) as watch:
                try:
                    for piece in pieces_of(response.iter_bytes(), response.headers.get("content-type", "")):
                        watch.heard()
                        yield piece
                except self._httpx.TimeoutException:
                    raise RemoteError(self._told(f"silent for {self.remote.first_s:g} s")) from None
                except (self._httpx.HTTPError, Broken) as error:
                    if watch.late:
                        raise RemoteError(self._told(watch.late)) from None
                    if isinstance(error, Broken):
                        raise
                    raise CutInTheMiddle() from None

    @contextmanager
    def _asked(self, client: Any, method: str, path: str, body: Any = None) -> Iterator[Any]:
        """A response whose body has not been read. _Again, RemoteError."""
        httpx, remote = self._httpx, self.remote
        try:
            response = client.send(client.build_request(method, remote.url + path, json=body), stream=True)
        except httpx.ConnectTimeout:
            raise RemoteError(self._told(f"no connection within {remote.connect_s:g} s")) from None
        except httpx.ConnectError as error:
            raise _Again(f"cannot be reached ({reason_of(error)})", tries=REFUSED_TRIES) from None
        except httpx.TimeoutException:
            raise RemoteError(
                self._told(f"no word within {remote.first_s:g} s; is the model still loading? (--lvlm-timeout)")
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Again(f"the connection broke ({reason_of(error)})") from None
        try:
            yield response
        finally:
            response.close()

    def _refused(self, client: Any, response: Any, order: dict[str, Any]) -> None:
        """Raise what an answer that is no answer means."""
        status, said = response.status_code, self._message(response)
        if status in RETRIED:
            raise _Again(f"{status}{_colon(said)}", _wait(response.headers.get("retry-after", "")))
        if 300 <= status < 400:
            where = urlsplit(response.headers.get("location", "")).netloc or "elsewhere"
            raise RemoteError(
                self._told(f"points to {where}, which was not named; nothing was sent there (--lvlm-url)")
            )
        if status in (401, 403):
            raise RemoteError(self._told(f"{status}, {self._about_key()}{_colon(said)}"))
        if status == 404:
            names: list[str] = []
            with suppress(_Again):  # what went wrong is known already
                names = self._names(client)
            told = f"; it has {', '.join(names[:8])} (--lvlm-model)" if names else "; is the path right? (--lvlm-url)"
            raise RemoteError(self._told(f"404, no model {order['model']!r} there{told}"))
        if status == 400:
            # "max_tokens is not supported": once without it.
            for name in OPTIONAL:
                if name in said and name in order and name not in self._without:
                    self._without.add(name)
                    raise _Again(f"400{_colon(said)}", 0.0)
        pictures = any(isinstance(m["content"], list) for m in order["messages"])
        hint = "; does this model read pictures? (--lvlm-pictures 0 sends none)" if pictures else ""
        raise RemoteError(self._told(f"{status}{_colon(said)}{hint}"))

    def _about_key(self) -> str:
        return "the key is not accepted" if self.remote.key else f"it wants a key; set {KEY_NAME}"

    def _model_of(self, client: Any) -> str:
        """The model's name; asked for once where none was given. RemoteError where the server has none or several."""
        if self._model is None:
            names = self._names(client)
            if len(names) != 1:
                known = f"has {', '.join(names[:8])}" if names else "does not say which models it has"
                raise RemoteError(self._told(f"{known}; name one (--lvlm-model)"))
            self._model = names[0]
        return self._model

    def _names(self, client: Any) -> list[str]:
        with self._asked(client, "GET", "/models") as response:
            if response.status_code in (401, 403):
                raise RemoteError(
                    self._told(f"{response.status_code}, {self._about_key()}{_colon(self._message(response))}")
                )
            if response.status_code in RETRIED:
                said = self._message(response)
                raise _Again(f"{response.status_code} when asked for its models{_colon(said)}; name one (--lvlm-model)")
            with suppress(ValueError, KeyError, TypeError, self._httpx.HTTPError):
                response.read()
                return [str(model["id"]) for model in response.json()["data"]]
        return []

    def _message(self, response: Any) -> str:
        """What the server says is wrong, shortened; in OpenAI's form, or its first words."""
        data = b""
        with suppress(self._httpx.HTTPError):
            for piece in response.iter_bytes():
                data += piece
                if len(data) > MESSAGE_BYTES:
                    break
        return reason_of(data) if data else ""

    def _told(self, text: str) -> str:
        """A line for people, in which no key stands, whatever the server says."""
        line = " ".join(f"{self.remote.host}: {text}".split())
        for key in filter(None, (self.remote.key, os.environ.get(KEY_NAME), os.environ.get(OPENAI_KEY_NAME))):
            line = line.replace(key, "***")
        return "".join(c if c.isprintable() else "?" for c in line)[:400]


class _Watch:
    """Closes a connection from outside once no word came for too long, or the answer takes too long in all.

    A silent server is left by the timeout of reading; one that sends signs of life but no word only by this.
    """

    def __init__(self, response: Any, first_s: float, until_s: float) -> None:
        self._socket = response.extensions["network_stream"].get_extra_info("socket")
        self._until_s, self.late = until_s, ""
        self._timer = self._set(min(first_s, until_s - time.monotonic()), f"no word within {first_s:g} s")
        self._heard = False

    def _set(self, in_s: float, why: str) -> threading.Timer:
        timer = threading.Timer(max(in_s, 0.0), self._end, (why,))
        timer.daemon = True
        timer.start()
        return timer

    def _end(self, why: str) -> None:
        self.late = f"{why} (--lvlm-timeout)"
        with suppress(OSError):
            self._socket.shutdown(2)

    def heard(self) -> None:
        if not self._heard:
            self._heard = True
            self._timer.cancel()
            self._timer = self._set(self._until_s - time.monotonic(), "the answer took too long")

    def __enter__(self) -> "_Watch":
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()


def _pause(tried: int, asked_s: float | None) -> float:
    if asked_s is not None:
        return min(asked_s, LONGEST_PAUSE_S)
    return BACK_OFF_S * 2 ** (tried - 1) * random.uniform(0.8, 1.2)


def _wait(retry_after: str) -> float | None:
    """Seconds of a Retry-After header; None without one that says seconds."""
    with suppress(ValueError):
        return max(0.0, float(retry_after))
    return None


def _colon(said: str) -> str:
    return f": {said}" if said else ""
