"""Tools for language models' programs, by the Model Context Protocol (modelcontextprotocol.io), at /mcp.

With the protocol's own library rather than gradio's: gradio's tools would fetch any address that a program names, and
know nothing of this server's login. What a video may be is what /v1/chat/completions takes. Next: chat/openai_media.py
"""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from starlette.concurrency import run_in_threadpool

from chat.case import Refused
from chat.desk import Desk
from chat.openai_media import Limits, check_video, obtain
from chat.openai_media import Refused as NotTaken
from chat.shown import described
from chat.turns import Busy
from tvad.weights import MissingWeights

ABOUT = "Ask a video what is anomalous in it; every answer comes with seconds, tracks, scores and how sure it is."


def add_tools(app: FastAPI, desk: Desk, limits: Limits, is_local: bool = True) -> None:
    """Put the tools at /mcp of the application. is_local: only this machine reaches it, so requests that were made for
    another host's name (DNS rebinding) are refused."""
    server = FastMCP(
        "tvad",
        ABOUT,
        stateless_http=True,
        json_response=True,
        streamable_http_path="/mcp",
        log_level="WARNING",
        transport_security=_names(is_local),
    )

    @server.tool()
    async def ask_video(
        video: str, question: str = "", anomaly: str = "", normal: str = "", per_hour: float = 0.0
    ) -> dict[str, Any]:
        """Look at a video and answer a question about it: answer, has_anomaly, confidence, events (seconds, score,
        category), tracks, citations, and claims that contradict the evidence.

        Args:
            video: a data:video/mp4;base64,... URL, or a file: or https: URL where this server allows it.
            question: "" for "What is anomalous?".
            anomaly: words for what counts as anomalous, with commas between; "" for the usual ones.
            normal: the same for what is ordinary.
            per_hour: false alarms an hour to put up with; 0 for the usual ones.
        """
        return await _done(
            video, limits, lambda path: described(desk, path, path.name, question, anomaly, normal, per_hour)
        )

    @server.tool()
    async def find_anomalies(video: str, anomaly: str = "", normal: str = "", per_hour: float = 0.0) -> dict[str, Any]:
        """The events of a video, without words: start, peak and end in seconds, score, category, what raised them, the
        boxes of what was followed.

        Args:
            video: as for ask_video.
            anomaly: as for ask_video.
            normal: as for ask_video.
            per_hour: as for ask_video.
        """
        found = await _done(video, limits, lambda path: described(desk, path, path.name, "", anomaly, normal, per_hour))
        return {k: v for k, v in found.items() if k not in ("answer", "citations", "conflicts")}

    app.router.routes.extend(server.streamable_http_app().routes)
    before = app.router.lifespan_context

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[Any]:
        async with before(app) as state, server.session_manager.run():
            yield state

    app.router.lifespan_context = living  # type: ignore[assignment]


def _names(is_local: bool) -> TransportSecuritySettings:
    hosts = [f"{name}{port}" for name in ("127.0.0.1", "localhost", "[::1]") for port in ("", ":*")]
    origins = [f"http://{host}" for host in hosts]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=is_local, allowed_hosts=hosts, allowed_origins=origins
    )


async def _done(video: str, limits: Limits, work: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What `work` makes of the video behind a URL. ToolError, one sentence, for what is refused."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = await obtain(video, Path(folder), limits)
            await run_in_threadpool(check_video, path, limits)
            return await run_in_threadpool(work, path)
        except (NotTaken, Refused, Busy, MissingWeights) as error:
            raise ToolError(str(error)) from None
