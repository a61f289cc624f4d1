"""The page: widgets and events, no decisions. The one door to gradio.

    app = page(Desk(folder))          a FastAPI application with the page at / (chat/server.py has the rest)

Video, heat, curve and events are one HTML part with a script of its own (chat/page/board.js), which fetches what it
shows from chat/server.py; the dialogue is a gr.Chatbot. What is shown of a dialogue is always made anew from the desk,
never taken from the browser. Next: chat/flow.py
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import wraps
from html import escape
from inspect import isgeneratorfunction
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before the import: later, it has asked outside

import gradio as gr
from fastapi import FastAPI

from chat.case import Refused
from chat.desk import Desk
from chat.endpoints import Endpoints
from chat.exports import KINDS as EXPORTS
from chat.flow import TROUBLE, Flow, Who, sentence
from chat.openai_api import Limits as ApiLimits
from chat.region import Region
from chat.server import EXAMPLE, Login, make_app, visit_of
from chat.shown import elsewhere, listing, messages, named, number, said_alone, value
from tvad.presets import get_preset
from tvad.weights import MissingWeights

TITLE = "tvad: ask a video what is anomalous"
ON_LOAD = """
const say = Object.fromEntries([EVENTS].map((name) => [name, (d) => trigger(name, d)]));
const start = () => window.tvadBoard ? window.tvadBoard("PART", element, say, props, watch) : setTimeout(start, 30);
start();
"""
HEAD = (
    '<link rel="stylesheet" href="page/board.css"><link rel="stylesheet" href="page/page.css">'
    '<script type="module" src="page/board.js"></script><meta name="tvad-limits" content="{}">'
)
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
MANY: dict[str, Any] = HIDDEN | {"trigger_mode": "multiple"}  # of several videos at a time
FETCH = "async_move_resource_to_block_cache"  # of gradio's parts
# Of endpoints for programs: labels of what each takes and gives (chat/endpoints.py).
WORDS = ("anomaly", "normal", "per_hour")
ENDPOINTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "describe": (("file", "question", *WORDS), ("answer",)),
    "analyse": (("file", *WORDS), ("found",)),
    "look_again": (("video", *WORDS), ("found",)),
    "videos": ((), ("found",)),
    "forget": (("video",), ("note",)),
    "events": (("video", "per_hour"), ("found",)),
    "heat": (("video", "t_s"), ("picture", "found")),
    "export": (("video", "kind"), ("file",)),
    "ask": (("video", "question", "region"), ("text", "answer")),
    "dialogue": (("video", "kept"), ("found",)),
    "calibrate": (("clips", "video or clips", "start_s", "end_s"), ("found",)),
    "uncalibrate": ((), ("note",)),
}
CACHE_S = (600, 3600)  # how often what programs sent is looked through, and the age at which it goes


def page(
    desk: Desk,
    login: Login | None = None,
    root_path: str = "",
    api: ApiLimits | None = None,
    tools: bool = False,
    is_local: bool = True,
) -> FastAPI:
    """The whole application. tools: with those of chat/tools.py, for which is_local matters."""
    app = make_app(desk, login, api)
    if tools:
        from chat.tools import add_tools  # the library is an extra

        add_tools(app, desk, api or ApiLimits(desk.limits.upload_mb, desk.limits.minutes), is_local)
    blocks = build(desk)
    for block in blocks.blocks.values():
        setattr(block, FETCH, _no_address(getattr(block, FETCH)))
    room = desk.limits.waiting + 4  # the desk's own line is the one that counts
    blocks.queue(max_size=room, default_concurrency_limit=room)
    limits: dict[str, Any] = {"upload_mb": desk.limits.upload_mb, "minutes": desk.limits.minutes}
    limits |= {"example": EXAMPLE.is_file(), "elsewhere": elsewhere(desk)}
    mounted = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        root_path=root_path or None,
        theme=theme(),
        head=HEAD.format(escape(json.dumps(limits), quote=True)),
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=int(desk.limits.upload_mb * 2**20),
        blocked_paths=[str(desk.root)],
        ssr_mode=False,
    )
    # Without it gradio 6.31 does not check which files a request names (tests/test_ui.py asks for one).
    blocks.has_launched = True
    return mounted


def _no_address(move: Any) -> Any:
    """Gradio would fetch what stands at an address that a request names as a file."""

    async def moved(path: Any) -> str | None:
        if "://" in str(path or "")[:20]:
            raise gr.Error("files are not fetched from addresses; send the file itself")
        return await move(path)

    return moved


def theme() -> gr.Theme:
    """Plain fonts of the system, no picture, labels darker than gradio's."""
    plain_font = ["system-ui", "sans-serif"]
    return gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=plain_font,
        font_mono=["ui-monospace", "monospace"],
        spacing_size="sm",
    ).set(
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_800",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        button_primary_background_fill="#0060a0",
    )


def part(name: str, events: tuple[str, ...] = ()) -> gr.HTML:
    """A part of the page that a script of ours fills."""
    quoted = ", ".join(f'"{event}"' for event in events)
    return gr.HTML(
        {},
        html_template='<div class="tv-home"></div>',
        js_on_load=ON_LOAD.replace("PART", name).replace("EVENTS", quoted),
        elem_id=f"tv-{name}",
    )


def build(desk: Desk) -> gr.Blocks:
    """The page's widgets and what they call."""
    preset = get_preset(desk.settings.preset)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=CACHE_S) as blocks:
        shown = gr.State("")  # id of the case
        region = gr.State(None)
        gr.HTML(f"<h1>{TITLE}</h1>", elem_id="tv-title")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                board = part("board", ("opened", "chosen", "region", "learn", "forget"))
            with gr.Column(scale=2, min_width=320):
                chat = gr.Chatbot(
                    label="Dialogue",
                    elem_id="tv-dialogue",
                    show_label=False,
                    height=520,
                    buttons=["copy", "copy_all"],
                    editable="user",
                    layout="panel",
                    allow_tags=False,
                    latex_delimiters=[],
                    placeholder="Open a video, and ask what is anomalous in it.",
                )
                with gr.Row():
                    question = gr.Textbox(
                        placeholder="Ask about the video",
                        show_label=False,
                        label="Question",
                        elem_id="tv-question",
                        scale=8,
                        submit_btn=True,
                        stop_btn=False,
                        lines=1,
                        max_lines=4,
                        max_length=2000,
                    )
                    stop = gr.Button("Stop", scale=1, min_width=70)
                ways = desk.ways()
                way = gr.Dropdown(
                    [(named(desk, w), w) for w in ways], value=ways[0], label="Who answers", filterable=False, scale=0
                )
                with gr.Accordion("What counts as anomalous here", open=False):
                    anomaly, normal = (
                        gr.Dropdown(
                            list(usual), value=[], multiselect=True, allow_custom_value=True, label=label, info=info
                        )
                        for usual, label, info in (
                            (preset.anomaly, "Anomalous", "Words of yours or of the list; none: all of the list"),
                            (preset.normal, "Normal", "What is ordinary. The video is looked at again at once"),
                        )
                    )
                with gr.Accordion("What is normal before this camera", open=False):
                    part("normal")  # it comes to be when this is opened; its events are the board's
        hands = Hands(desk)
        _for_programs(Endpoints(desk))
        given = [anomaly, normal]
        out = [board, chat, shown, region]
        opened = board.opened(hands.opened, given, out, **MANY)
        looked = gr.on([anomaly.change, normal.change], hands.reworded, [shown, *given], out, **MANY)
        learnt = board.learn(hands.learn, [shown, *given], out, **HIDDEN)
        forgot = board.forget(hands.unlearn, [shown, *given], out, **HIDDEN)
        board.chosen(hands.chosen, None, [*out, way], queue=False, **MANY)
        board.region(hands.region, None, region, queue=False, **MANY)
        way.input(hands.answer_by, [shown, way], board, queue=False, **MANY)
        asked = question.submit(hands.ask, [question, shown, region], [chat, question], **MANY)
        picked = chat.option_select(hands.option, [shown, region], chat, **HIDDEN)
        retried = chat.retry(hands.retry, [shown, region], chat, **HIDDEN)
        edited = chat.edit(hands.edit, [shown, region], chat, **HIDDEN)
        chat.clear(hands.cleared, shown, None, queue=False, **HIDDEN)
        chat.undo(hands.undo, shown, [chat, question], queue=False, **HIDDEN)
        stop.click(
            hands.stopped,
            shown,
            [board, chat],
            queue=False,
            cancels=[opened, looked, learnt, forgot, asked, picked, retried, edited],
            **HIDDEN,
        )
        blocks.load(hands.load, None, [*out, way], queue=False, **HIDDEN)
        blocks.unload(hands.gone)
    return blocks


def _for_programs(ends: Endpoints) -> None:
    """Endpoints for gradio_client, see docs/SERVE.md: widgets that nobody sees say their types."""
    with gr.Row(visible=False):
        for name, (takes, gives) in ENDPOINTS.items():
            given = [_widget(label) for label in takes]
            button = gr.Button(name)
            button.click(_endpoint(getattr(ends, name)), given, [_widget(label) for label in gives], api_name=name)


def _widget(label: str) -> Any:
    """What has the type of an argument or of what comes back."""
    if label in ("file", "clips", "picture"):
        made = gr.File(label=label, file_count="multiple" if label == "clips" else "single")
        # Gradio's own example is a file at an address outside.
        example = {"path": "clip.mp4", "meta": {"_type": "gradio.FileData"}}
        several = [example] if label == "clips" else example
        made.example_payload = made.example_value = lambda: several  # type: ignore[method-assign]
        return made
    if label == "kind":
        return gr.Radio(list(EXPORTS), value="report", label=label)
    if label in ("per_hour", "t_s", "start_s", "end_s", "kept"):
        least = -1 if label == "kept" else 0
        return gr.Number(label=label, value=least, minimum=least, precision=0 if label == "kept" else None)
    if label in ("region", "found", "answer"):
        return gr.JSON(label=label)
    return gr.Textbox(label=label, value=None if label == "video" else "")


def _endpoint(work: Any) -> Any:
    """For gradio: what is refused, as an error that it tells."""

    def once(*given: Any) -> Any:
        try:
            return work(*given)
        except TROUBLE as error:
            raise gr.Error(str(error)) from None

    def several(*given: Any) -> Any:
        try:
            yield from work(*given)
        except TROUBLE as error:
            raise gr.Error(str(error)) from None

    told = wraps(work)(several if isgeneratorfunction(work) else once)
    if "request" in work.__annotations__:
        told.__annotations__ = work.__annotations__ | {"request": gr.Request}
    return told


class Hands:
    """What the page's events do: each takes what gradio gives, and hands it on (chat/flow.py)."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.flow = desk, Flow(desk, gr.skip())

    def load(self, request: gr.Request) -> tuple[Any, ...]:
        """What this browser had open."""
        cases = self.desk.cases(visit_of(request))
        return self.flow.whole(cases[-1], who(request)) if cases else ({}, [], "", None, gr.skip())

    def gone(self, request: gr.Request) -> None:
        """The page was shut."""
        self.flow.gone(who(request))

    def opened(self, anomaly: Any, normal: Any, event: gr.EventData, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """A video was received."""
        behind = told(event).get("behind") is True
        yield from self.flow.look(who(request), str(event.id), anomaly, normal, behind)

    def reworded(self, shown: str, anomaly: Any, normal: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """A word came or went."""
        yield from self.flow.reword(who(request), shown, anomaly, normal)

    def learn(
        self, shown: str, anomaly: Any, normal: Any, event: gr.EventData, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        yield from self.flow.learn(who(request), shown, told(event), anomaly, normal)

    def unlearn(self, shown: str, anomaly: Any, normal: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        yield from self.flow.unlearn(who(request), shown, anomaly, normal)

    def chosen(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """Another of the open videos, or none."""
        if not event.id:
            self.flow.left(who(request))
            return {"cases": listing(self.desk, visit_of(request)), "note": ""}, [], "", None, gr.skip()
        try:
            return self.flow.whole(self.desk.case(visit_of(request), str(event.id)), who(request))
        except Refused as error:
            return {"note": str(error)}, [], "", None, gr.skip()

    def region(self, event: gr.EventData) -> Any:
        return Region.of(event._data)

    def answer_by(self, shown: str, way: str, request: gr.Request) -> Any:
        """Who answers from now on."""
        usual = self.desk.ways()[0]
        if not shown:  # leaving the box is told as a choice, too
            return gr.skip() if way == usual else {"note": "Open a video first; who answers is chosen for each."}
        try:
            case = self.desk.case(visit_of(request), shown)
            if way == (case.explain or usual):
                return gr.skip()
            self.desk.answer_by(case, str(way))
        except (Refused, MissingWeights) as error:
            return {"note": sentence(error)}
        return value(case, f"From now on: {named(self.desk, way)}.")

    def ask(self, question: str, shown: str, region: Any, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """A typed question. Its box is emptied once: the next one may be typed meanwhile."""
        if not question.strip():
            yield gr.skip(), gr.skip()
            return
        box: Any = ""
        for chat in self.flow.answer(who(request), shown, question, region):
            yield chat, box
            box = gr.skip()

    def option(self, shown: str, region: Any, event: gr.SelectData, request: gr.Request) -> Iterator[Any]:
        """One of the suggested questions."""
        picked = event.value
        question = picked.get("value", "") if isinstance(picked, dict) else str(picked)
        yield from self.flow.answer(who(request), shown, question, region)

    def retry(self, shown: str, region: Any, event: gr.RetryData, request: gr.Request) -> Iterator[Any]:
        yield from self.flow.again_from(who(request), shown, number(event.index), None, region)

    def edit(self, shown: str, region: Any, event: gr.EditData, request: gr.Request) -> Iterator[Any]:
        yield from self.flow.again_from(who(request), shown, number(event.index), str(event.value), region)

    def undo(self, shown: str, event: gr.UndoData, request: gr.Request) -> tuple[Any, Any]:
        """The last question back into its box."""
        try:
            case = self.desk.case(visit_of(request), shown)
            at = min(number(event.index), len(case.said))
            question = case.said[at][0] if at < len(case.said) else ""
            self.desk.take_back(case, at)
        except Refused as error:
            return said_alone(str(error)), gr.skip()
        return messages(self.desk, case), question

    def cleared(self, shown: str, request: gr.Request) -> None:
        """The dialogue was emptied; the next answer remembers nothing of it."""
        with suppress(Refused):
            self.desk.take_back(self.desk.case(visit_of(request), shown), 0)

    def stopped(self, shown: str, request: gr.Request) -> tuple[Any, Any]:
        self.flow.halt(who(request))
        try:
            case = self.desk.case(visit_of(request), shown)
        except Refused:
            return gr.skip(), gr.skip()
        case.early.clear()
        return value(case, "Stopped."), messages(self.desk, case)


def who(request: Any) -> Who:
    return Who(visit_of(request), str(getattr(request, "session_hash", "") or ""))


def told(event: Any) -> dict[str, Any]:
    """What board.js sent with an event."""
    data = getattr(event, "_data", None)
    return data if isinstance(data, dict) else {}
