"""The flags of an analysis, declared once: `with_settings` gives them to a command as one `Settings` value."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tvad.lvlm.choice import Choice
from tvad.presets import get_preset
from tvad.settings import PARTS, USUAL, Settings

# Field of Settings (or `explain`) -> type and flag. The defaults are those of Settings.
FLAGS: dict[str, Any] = {
    "preset": Annotated[str, typer.Option("--preset", help="Set of models; `tvad models` lists them.")],
    "fps": Annotated[float, typer.Option("--fps", help="Frames looked at per second of video.")],
    "start_s": Annotated[float | None, typer.Option("--start", metavar="S", help="Start, seconds into the video.")],
    "end_s": Annotated[float | None, typer.Option("--end", metavar="S", help="End, seconds into the video.")],
    "scene": Annotated[
        str | None, typer.Option("--scene", metavar="FILE", help="Scene file of this camera, from `tvad calibrate`.")
    ],
    "anomaly": Annotated[
        str | None, typer.Option("--anomaly", metavar="WORDS", help='What is anomalous: "bicycle, cart"; "" for none.')
    ],
    "normal": Annotated[str | None, typer.Option("--normal", metavar="WORDS", help="What is normal, in the same way.")],
    "parts": Annotated[
        str,
        typer.Option(
            "--parts",
            metavar="PARTS",
            help=f"Scores to use, of {', '.join(PARTS)}. Usual: memory,words, and without a scene head.",
        ),
    ],
    "false_alarms_per_hour": Annotated[
        float, typer.Option("--false-alarms-per-hour", help="False events on normal footage to put up with.")
    ],
    "sam": Annotated[
        str | None,
        typer.Option("--sam", metavar="PATH", help="SAM's weights (file or folder): tracks get masks by it."),
    ],
    "tower": Annotated[
        str | None,
        typer.Option("--tower", metavar="DIR", help="A CLIP or SigLIP model: heat of its patches for the words."),
    ],
    "device": Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ...")],
}

LVLM = "Full-size language models"
# Field of Choice -> type and flag.
CHOICE_FLAGS: dict[str, Any] = {
    "weights": Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="DIR", rich_help_panel=LVLM, help="Folder of the model. Default: what was pulled."
        ),
    ],
    "adapter": Annotated[
        Path | None,
        typer.Option("--adapter", metavar="DIR", rich_help_panel=LVLM, help="Folder that `tvad train lvlm` wrote."),
    ],
    "quantise": Annotated[
        str,
        typer.Option(
            "--quantise", "--quantize", metavar="WAY", rich_help_panel=LVLM, help="nf4 or int8, by bitsandbytes."
        ),
    ],
    "dtype": Annotated[str, typer.Option("--dtype", rich_help_panel=LVLM, help="bf16, fp16 or fp32.")],
    "frames": Annotated[
        int | None, typer.Option("--frames", rich_help_panel=LVLM, help="Frames that the model looks at.")
    ],
}


def words(text: str | None) -> tuple[str, ...] | None:
    """ "a, b" -> ("a", "b"); "" -> (); None stays None."""
    return None if text is None else tuple(word for part in text.split(",") if (word := " ".join(part.split())))


def build_settings(**flags: Any) -> Settings:
    """Settings from the flags' values; typer.BadParameter (exit 2) says what is wrong with one."""
    listed = {name: words(flags[name]) for name in ("anomaly", "normal", "parts")}
    try:
        get_preset(flags["preset"])
        settings = Settings(**{**flags, **listed})
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if settings.sam is not None and not Path(settings.sam).exists():
        raise typer.BadParameter(f"no SAM at {settings.sam!r}; give a .safetensors file or a folder (--sam)")
    if settings.tower is not None and not (Path(settings.tower) / "config.json").is_file():
        raise typer.BadParameter(
            f"no model in {settings.tower!r}; give the folder of a CLIP or SigLIP model: config.json, weights and "
            "tokenizer (--tower)"
        )
    if settings.scene is not None and not Path(settings.scene).is_file():
        raise typer.BadParameter(
            f"no scene file {settings.scene!r}; make one: tvad calibrate NORMAL_VIDEOS... -o {settings.scene} (--scene)"
        )
    return settings


# Parameter -> type and flag, of the server that words answers.
REMOTE_FLAGS: dict[str, Any] = {
    "lvlm_url": Annotated[
        str | None,
        typer.Option("--lvlm-url", metavar="URL", help="A server of chat completions that words the answers (text)."),
    ],
    "lvlm_model": Annotated[
        str | None, typer.Option("--lvlm-model", metavar="NAME", help="Its model; needed where it has several.")
    ],
    "lvlm_pictures": Annotated[int, typer.Option("--lvlm-pictures", help="Key frames sent at most; 0 for none.")],
    "lvlm_timeout": Annotated[float, typer.Option("--lvlm-timeout", metavar="S", help="Seconds for a whole answer.")],
}


def build_remote(url: str | None, model: str | None, pictures: int, timeout_s: float, explain: str | None) -> Any:
    """A tvad.remote.Remote, None without a URL; typer.BadParameter says what is wrong with a flag."""
    if url is None:
        if model is not None:
            raise typer.BadParameter("--lvlm-model names a model of a server; name the server too (--lvlm-url)")
        return None
    from tvad.remote import FIRST_S, Remote

    if explain not in (None, "text"):
        raise typer.BadParameter(f"a server answers in the way text, not {explain!r}; leave --explain out (--lvlm-url)")
    try:
        return Remote(url, model, pictures, first_s=min(FIRST_S, timeout_s), whole_s=timeout_s)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def with_remote(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `remote` of a command, which has `explain` too, by the flags of REMOTE_FLAGS."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        url, model, pictures, timeout_s = (given.pop(name) for name in REMOTE_FLAGS)
        command(remote=build_remote(url, model, pictures, timeout_s, given["explain"]), **given)

    default = {"lvlm_url": None, "lvlm_model": None, "lvlm_pictures": 6, "lvlm_timeout": 300.0}
    signature = inspect.signature(command)
    own = [p for name, p in signature.parameters.items() if name != "remote"]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default[name], annotation=kind)
        for name, kind in REMOTE_FLAGS.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + flags
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `settings` of a command by the flags of FLAGS."""
    return _replaced(command, "settings", FLAGS, Settings().to_dict() | {"parts": ",".join(USUAL)}, build_settings)


def build_choice(**flags: Any) -> Choice:
    """A choice of language model from the flags' values; typer.BadParameter (exit 2) says what is wrong with one."""
    try:
        return Choice(**flags)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def with_choice(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `choice` of a command by the flags of CHOICE_FLAGS."""
    return _replaced(command, "choice", CHOICE_FLAGS, vars(Choice()), build_choice)


def _replaced(
    command: Callable[..., None],
    name: str,
    flags: dict[str, Any],
    default: dict[str, Any],
    build: Callable[..., Any],
) -> Callable[..., None]:
    @functools.wraps(command)
    def run(**given: Any) -> None:
        values = {flag: given.pop(flag) for flag in flags}
        command(**{name: build(**values)}, **given)

    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.name != name]
    added = [
        inspect.Parameter(flag, inspect.Parameter.KEYWORD_ONLY, default=default[flag], annotation=kind)
        for flag, kind in flags.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run
