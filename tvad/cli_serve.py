"""`tvad serve`: the page in a browser."""

import importlib.util
import logging
import os
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tvad import cli_show
from tvad.cli_exit import FAILED, checked, named_failures, stop
from tvad.cli_options import with_remote, with_settings
from tvad.settings import Settings

app = typer.Typer()


@app.command()
@with_settings
@with_remote
def serve(
    settings: Settings = Settings(),  # noqa: B008 - replaced by flags
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
    explain: Annotated[
        str | None, typer.Option("--explain", help="Who answers: report, text or lvlm. Default: the preset's.")
    ] = None,
    remote: Any = None,
    auth: Annotated[
        str | None, typer.Option("--auth", metavar="NAME:PASSWORD", help="Ask for a login; or set TVAD_AUTH.")
    ] = None,
    root_path: Annotated[
        str, typer.Option("--root-path", metavar="/PATH", help="Where a proxy shows the page, if not at /.")
    ] = "",
    max_upload_mb: Annotated[float, typer.Option("--max-upload-mb", help="Of one video.")] = 200.0,
    max_minutes: Annotated[float, typer.Option("--max-minutes", help="Of one video.")] = 30.0,
    api_key: Annotated[
        str | None, typer.Option("--api-key", help="Programs at /v1/ need it; or set TVAD_API_KEY.")
    ] = None,
    allow_files: Annotated[
        list[Path] | None,
        typer.Option("--allow-files", metavar="DIR", help="Programs may name videos in it (file:)."),
    ] = None,
    allow_hosts: Annotated[
        list[str] | None, typer.Option("--allow-hosts", metavar="HOST", help="Programs may name videos there (https:).")
    ] = None,
    feedback: Annotated[
        Path | None, typer.Option("--feedback", metavar="FILE", help="Keep what people say of events, as JSON lines.")
    ] = None,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Tools for language models' programs at /mcp (Model Context Protocol).")
    ] = False,
    max_waiting: Annotated[int, typer.Option("--max-waiting", help="People in line for the processor.")] = 20,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No log of requests.")] = False,
) -> None:
    """Open the page: drop a video, watch it with its heat, ask about it. Nothing leaves here but to --lvlm-url."""
    with named_failures():
        try:
            import uvicorn

            from chat.case import Limits
            from chat.desk import Desk
            from chat.openai_api import Limits as ApiLimits
            from chat.server import Login
            from chat.ui import page
        except ModuleNotFoundError as error:
            if error.name not in ("gradio", "uvicorn", "fastapi"):
                raise
            stop(FAILED, f"the page needs the package {error.name}, which is not here; pip install 'tvad[ui]'")
        named = checked(lambda: _login(auth or os.environ.get("TVAD_AUTH")))
        login = Login(*named) if named else None
        if settings.scene is not None:
            settings = replace(settings, scene=str(Path(settings.scene).resolve()))
        if settings.sam is not None:
            settings = replace(settings, sam=str(Path(settings.sam).resolve()))
        if settings.tower is not None:
            settings = replace(settings, tower=str(Path(settings.tower).resolve()))
        limits = checked(lambda: Limits(upload_mb=max_upload_mb, minutes=max_minutes, waiting=max_waiting))
        key = api_key or os.environ.get("TVAD_API_KEY") or None
        folders, hosts = tuple(p.resolve() for p in allow_files or ()), tuple(allow_hosts or ())
        api = checked(lambda: ApiLimits(max_upload_mb, max_minutes, folders, hosts, key))
        if mcp and importlib.util.find_spec("mcp") is None:
            stop(FAILED, "--mcp needs the package mcp, which is not here; pip install 'tvad[mcp]'")
        is_local = host in ("127.0.0.1", "localhost", "::1")
        if not is_local and login is None:
            cli_show.say(f"note: everybody who reaches {host}:{port} can use this page; --auth NAME:PASSWORD asks")
        listener = _listener(host, port)
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
        logging.getLogger("tvad.serve").setLevel(logging.WARNING if quiet else logging.INFO)
        with listener, tempfile.TemporaryDirectory(prefix="tvad-serve-") as folder:
            place = Path(folder)
            (place / "empty").mkdir()
            desk = Desk(place / "videos", settings, explain, limits, feedback.resolve() if feedback else None)
            desk.remote = remote
            for note in remote.notes if remote else ():
                cli_show.say(note)
            os.environ["GRADIO_TEMP_DIR"] = str(place / "gradio")
            os.chdir(place / "empty")  # what lies in the working directory, gradio would serve
            cli_show.say(f"the page is at http://{host}:{port}{root_path or '/'} (Ctrl-C ends it)")
            try:
                application = page(desk, login, root_path, api, mcp, is_local)
                server = uvicorn.Server(
                    uvicorn.Config(application, host, port, log_level="warning", timeout_graceful_shutdown=2)
                )
                with suppress(KeyboardInterrupt):  # how a page ends
                    server.run(sockets=[listener])
                    if not server.started:
                        stop(FAILED, "the page could not start")
            finally:
                os.chdir(place.parent)
                desk.close()


def _listener(host: str, port: int) -> socket.socket:
    """What the page listens at, had before anything is loaded."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        told = (error.strerror or str(error)).partition(" (")[0]  # the rest repeats the address
        stop(FAILED, f"nothing can listen at port {port} of {host} ({told}); choose another with --port or --host")


def _login(text: str | None) -> tuple[str, str] | None:
    """ "name:password" -> both; ValueError for anything else."""
    if not text:
        return None
    name, sign, password = text.partition(":")
    if not (name and sign and password):
        raise ValueError("a login is NAME:PASSWORD, neither empty (--auth)")
    return name, password
