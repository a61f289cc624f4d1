"""The page: widgets and events, no decisions. The one door to gradio.

    app = page(Desk(folder))          a FastAPI application with the page at / (chat/server.py has the rest)

Video, heat, curve and events are one HTML part with a script of its own (chat/page/board.js), which fetches what it
shows from chat/server.py; the dialogue is a gr.Chatbot. What is shown of a dialogue is always made anew from the desk,
never taken from the browser. Next: chat/server.py
"""

import os
import secrets
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before the import: later, it has asked outside

import gradio as gr
from fastapi import FastAPI

from chat.case import Case, Refused
from chat.desk import Desk
from chat.linked import footnotes, linked, plain
from chat.openai_api import Limits as ApiLimits
from chat.openai_body import details
from chat.playable import Stopped
from chat.region import Region
from chat.server import Login, make_app, visit_of
from chat.turns import Busy, Left
from chat.watched import watched
from tvad.weights import MissingWeights

FIRST = "What is anomalous?"
TITLE = "tvad"
ON_LOAD = """
const start = () => window.tvadBoard
  ? window.tvadBoard(element, {
      opened: (d) => trigger('opened', d), chosen: (d) => trigger('chosen', d), region: (d) => trigger('region', d),
    }, props, watch)
  : setTimeout(start, 30);
start();
"""
HEAD = (
    '<link rel="stylesheet" href="page/board.css"><script src="page/board.js"></script>'
    '<meta name="tvad-limits" content="{}">'
)
CSS = """
footer { display: none !important; }
.gradio-container { max-width: 1600px !important; }
#tv-title { font-size: 1.05rem; margin: 0; }
#tv-title h1 { font-size: 1.05rem; margin: 0; }
"""
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def page(desk: Desk, login: Login | None = None, root_path: str = "", api: ApiLimits | None = None) -> FastAPI:
    """The whole application."""
    app = make_app(desk, login, api)
    blocks = build(desk)
    room = desk.limits.waiting + 4  # the desk's own line is the one that counts
    blocks.queue(max_size=room, default_concurrency_limit=room)
    limits = escape(f'{{"upload_mb": {desk.limits.upload_mb:g}, "minutes": {desk.limits.minutes:g}}}', quote=True)
    mounted = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        root_path=root_path or None,
        theme=theme(),
        css=CSS,
        head=HEAD.format(limits),
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
        button_primary_background_fill="#0060a0",
    )


def build(desk: Desk) -> gr.Blocks:
    """The page's widgets and what they call."""
    with gr.Blocks(title="tvad: ask a video what is anomalous", analytics_enabled=False, fill_width=True) as blocks:
        shown = gr.State("")  # id of the case
        region = gr.State(None)
        gr.HTML(f"<h1>{TITLE}: ask a video what is anomalous</h1>", elem_id="tv-title")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                board = gr.HTML({}, html_template='<div class="tv-home"></div>', js_on_load=ON_LOAD, elem_id="tv-board")
                with gr.Accordion("What counts as anomalous here", open=False):
                    with gr.Row():
                        anomaly = gr.Textbox(
                            label="Anomalous",
                            placeholder="bicycle, cart",
                            info="Words, with commas between; empty for the usual ones",
                        )
                        normal = gr.Textbox(label="Normal", placeholder="people walking")
                    again = gr.Button("Look again with these words", size="sm")
                with gr.Accordion("What is normal before this camera", open=False):
                    gr.Markdown(
                        "Ordinary footage of this camera makes the alarm level mean something. Empty: all of the video."
                    )
                    with gr.Row():
                        start = gr.Number(label="From second", value=None, minimum=0)
                        end = gr.Number(label="To second", value=None, minimum=0)
                    with gr.Row():
                        learn = gr.Button("This is normal: learn it", size="sm")
                        unlearn = gr.Button("Forget what was learnt", size="sm")
            with gr.Column(scale=2, min_width=320):
                chat = gr.Chatbot(
                    label="Dialogue",
                    show_label=False,
                    height=560,
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
                        scale=8,
                        submit_btn=True,
                        stop_btn=False,
                        lines=1,
                        max_lines=4,
                        max_length=2000,
                    )
                    stop = gr.Button("Stop", scale=1, min_width=70)
        with gr.Row(visible=False):  # for programs: gradio_client, see docs/SERVE.md
            given = [gr.File(label="video"), *(gr.Textbox(label=n) for n in ("question", "anomaly", "normal"))]
            found, describe = gr.JSON(label="answer"), gr.Button("describe")
        hands = Hands(desk)
        # Not among the documented ones: gradio's documentation has examples from other hosts, in the page itself.
        describe.click(hands.describe, given, found, api_name="describe", api_visibility="undocumented")
        words = [anomaly, normal]
        out = [board, chat, shown, region]
        opened = board.opened(hands.opened, words, out, **HIDDEN)
        looked = again.click(hands.again, [shown, *words], out, **HIDDEN)
        learnt = learn.click(hands.learn, [shown, start, end, *words], out, **HIDDEN)
        forgot = unlearn.click(hands.unlearn, [shown, *words], out, **HIDDEN)
        board.chosen(hands.chosen, None, out, queue=False, **HIDDEN)
        board.region(hands.region, None, region, queue=False, **HIDDEN)
        asked = question.submit(hands.ask, [question, shown, region], [chat, question], **HIDDEN)
        picked = chat.option_select(hands.option, [shown, region], [chat, question], **HIDDEN)
        retried = chat.retry(hands.retry, [shown, region], [chat, question], **HIDDEN)
        edited = chat.edit(hands.edit, [shown, region], [chat, question], **HIDDEN)
        chat.undo(hands.undo, shown, [chat, question], queue=False, **HIDDEN)
        stop.click(
            hands.stopped,
            shown,
            [board, chat],
            queue=False,
            cancels=[opened, looked, learnt, forgot, asked, picked, retried, edited],
            **HIDDEN,
        )
        blocks.load(hands.load, None, out, queue=False, **HIDDEN)
    return blocks


class Hands:
    """What the page's events do: each takes what gradio gives, and asks the desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def describe(self, video: str, question: str, anomaly: str, normal: str) -> dict[str, Any]:
        """Look at a video and answer a question about it: answer, has_anomaly, confidence, events, citations.

        anomaly, normal: words with commas between, "" for the usual ones."""
        # Gradio has put the file there; nothing else is taken, whatever a request names.
        home, path = Path(os.environ["GRADIO_TEMP_DIR"]).resolve(), Path(video or "").resolve()
        if not path.is_file() or not path.is_relative_to(home):
            raise gr.Error("a video is missing")
        try:
            with path.open("rb") as file:
                # A visit of its own: what many programs send at once must not make room for each other.
                case = self.desk.receive(secrets.token_urlsafe(16), path.name, iter(lambda: file.read(2**20), b""))
            try:
                words = self.desk.settings_of(case.visit, listed(anomaly), listed(normal))
                self.desk.analyse(case, words, lambda share, note: None)
                for _ in self.desk.ask(case, question.strip() or FIRST):
                    pass
                assert case.analysis is not None
                return details(case.analysis.evidence, case.said[-1][1]) | {"answer": case.said[-1][1].text}
            finally:
                self.desk.forget(case)
        except (Refused, Busy, MissingWeights) as error:
            raise gr.Error(str(error)) from None

    def load(self, request: gr.Request) -> tuple[Any, ...]:
        """What this browser had open."""
        cases = self.desk.cases(visit_of(request))
        return self._whole(cases[-1], request) if cases else ({}, [], "", None)

    def opened(self, anomaly: str, normal: str, event: gr.EventData, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """A video was received: look at it, then ask the first question."""
        yield from self._look(str(event.id), anomaly, normal, request)

    def again(self, shown: str, anomaly: str, normal: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        yield from self._look(shown, anomaly, normal, request)

    def learn(
        self, shown: str, start: float | None, end: float | None, anomaly: str, normal: str, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        """The video that is shown, or a stretch of it, is normal: learn that, and look at it again."""
        try:
            case = self.desk.case(visit_of(request), shown)
            stretch = None if start is None and end is None else (start or 0.0, end if end is not None else 1e9)
            for share, note in watched(lambda tell, stop: self.desk.learn(case, stretch, tell, stop)):
                yield _value(case, note, share), gr.skip(), gr.skip(), gr.skip()
        except (Refused, Busy, Stopped, Left, MissingWeights) as error:
            yield {"note": str(error).capitalize()}, gr.skip(), gr.skip(), gr.skip()
            return
        yield from self._look(shown, anomaly, normal, request)

    def unlearn(self, shown: str, anomaly: str, normal: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        self.desk.unlearn(visit_of(request))
        yield from self._look(shown, anomaly, normal, request)

    def chosen(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """Another of the open videos."""
        try:
            return self._whole(self.desk.case(visit_of(request), str(event.id)), request)
        except Refused as error:
            return {"note": str(error)}, [], "", None

    def region(self, event: gr.EventData) -> Any:
        return Region.of(event._data)

    def ask(self, question: str, shown: str, region: Any, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """A typed question."""
        if not question.strip():
            yield gr.skip(), gr.skip()
            return
        yield from ((chat, "") for chat in self._answer(shown, question, region, request))

    def option(self, shown: str, region: Any, event: gr.SelectData, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """One of the suggested questions."""
        value = event.value
        question = value.get("value", "") if isinstance(value, dict) else str(value)
        yield from ((chat, "") for chat in self._answer(shown, question, region, request))

    def retry(self, shown: str, region: Any, event: gr.RetryData, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        yield from self._from(shown, _number(event.index), None, region, request)

    def edit(self, shown: str, region: Any, event: gr.EditData, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        yield from self._from(shown, _number(event.index), str(event.value), region, request)

    def undo(self, shown: str, event: gr.UndoData, request: gr.Request) -> tuple[Any, Any]:
        """The last question back into its box."""
        try:
            case = self.desk.case(visit_of(request), shown)
            number = min(_number(event.index), len(case.said))
            question = case.said[number][0] if number < len(case.said) else ""
            self.desk.take_back(case, number)
        except Refused as error:
            return _said_alone(str(error)), gr.skip()
        return self._messages(case), question

    def stopped(self, shown: str, request: gr.Request) -> tuple[Any, Any]:
        try:
            case = self.desk.case(visit_of(request), shown)
        except Refused:
            return gr.skip(), gr.skip()
        return _value(case, "Stopped."), self._messages(case)

    def _look(self, case_id: str, anomaly: str, normal: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        try:
            case = self.desk.case(visit_of(request), case_id)
        except Refused as error:
            yield {"note": str(error)}, [], "", None
            return
        settings = self.desk.settings_of(case.visit, listed(anomaly), listed(normal))
        yield _value(case, "Opened.", 0.0), self._messages(case), case.id, None
        try:
            for share, note in watched(lambda tell, stop: self.desk.analyse(case, settings, tell, stop)):
                yield _value(case, note, share), gr.skip(), gr.skip(), gr.skip()
        except (Refused, Busy, Stopped, Left, MissingWeights) as error:
            yield _value(case, str(error).capitalize()), self._messages(case), case.id, None
            return
        yield _value(case, ""), gr.skip(), gr.skip(), gr.skip()
        first = FIRST if not case.said else case.said[0][0]
        if case.said:
            self.desk.take_back(case, 0)
        for chat in self._answer(case.id, first, None, request):
            yield gr.skip(), chat, gr.skip(), gr.skip()

    def _answer(self, case_id: str, question: str, region: Any, request: gr.Request) -> Iterator[list[dict[str, Any]]]:
        """The whole dialogue, again and again, with a growing answer."""
        question = question.strip()
        try:
            case = self.desk.case(visit_of(request), case_id)
        except Refused:
            yield _said_alone("Open a video first; then ask about it.")
            return
        before = self._messages(case, options=False)
        where = Region.of(region)
        own = {"role": "user", "content": plain(question) + (f" ({where.words()})" if where else "")}
        yield [*before, own, {"role": "assistant", "content": "…"}]
        text = ""
        try:
            for piece in self.desk.ask(case, question, where):
                text += piece
                yield [*before, own, {"role": "assistant", "content": plain(text)}]
        except (Refused, Busy, Left, MissingWeights) as error:
            yield [*before, own, {"role": "assistant", "content": plain(str(error))}]
            return
        yield self._messages(case)

    def _from(
        self, shown: str, number: int, question: str | None, region: Any, request: gr.Request
    ) -> Iterator[tuple[Any, Any]]:
        """The dialogue up to a question, and that one again, perhaps in other words."""
        try:
            case = self.desk.case(visit_of(request), shown)
        except Refused as error:
            yield _said_alone(str(error)), gr.skip()
            return
        if number < len(case.said):
            question = question or case.said[number][0]
            self.desk.take_back(case, number)
        if question:
            yield from ((chat, "") for chat in self._answer(shown, question, region, request))

    def _whole(self, case: Case, request: gr.Request) -> tuple[Any, ...]:
        value = _value(case, case.note)
        value["cases"] = [{"id": c.id, "name": c.name} for c in self.desk.cases(visit_of(request))]
        return value, self._messages(case), case.id, None

    def _messages(self, case: Case, options: bool = True) -> list[dict[str, Any]]:
        """The dialogue as it stands, with suggestions below the last answer."""
        if case.analysis is None:
            return []
        out: list[dict[str, Any]] = []
        evidence = case.analysis.evidence
        for question, answer in case.said:
            out.append({"role": "user", "content": plain(question)})
            out.append({"role": "assistant", "content": linked(answer.text, evidence) + footnotes(answer, evidence)})
        if out and options:
            out[-1]["options"] = [{"value": q, "label": q} for q in self.desk.suggestions(case)]
        return out


def _value(case: Case, note: str, share: float | None = None) -> dict[str, Any]:
    """What board.js is told."""
    return {"id": case.id, "version": case.version, "note": note, "share": share}


def _said_alone(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": plain(text)}]


def _number(index: Any) -> int:
    """Which question a message of the dialogue belongs to; each has an answer after it."""
    at = index[0] if isinstance(index, list | tuple) else index
    return max(int(at), 0) // 2


def listed(text: str | None) -> tuple[str, ...]:
    """ "a, b," -> ("a", "b")."""
    return tuple(word for part in (text or "").split(",") if (word := " ".join(part.split())))
