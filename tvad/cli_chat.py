"""`tvad chat`: a dialogue in a terminal, or over a pipe, about one analysed video."""

from pathlib import Path
from typing import Any, TextIO

from tvad import cli_show
from tvad.evidence import Analysis, write_atomic

HELP = """\
/events      the events of the video
/show N      write event N's clip and the pictures, and say where they are
/save FILE   write this dialogue to a text file
/help        this list
/quit        leave (so does the end of input)
Anything else is a question."""


class Dialogue:
    """Questions and commands, line by line; answers and data to stdout, complaints to stderr.

    session: a chat.session.Session. out: the folder that /show writes to.
    """

    def __init__(self, analysis: Analysis, session: Any, out: Path) -> None:
        self._analysis, self._session, self._out = analysis, session, out
        self._said: list[str] = []
        self._commands = {"/events": self._events, "/show": self._show, "/save": self._save, "/help": self._help}

    def run(self, source: TextIO) -> None:
        """Until /quit or the end of `source`."""
        if source.isatty():
            import readline  # noqa: F401 - gives input() editing and history

            cli_show.say(self._analysis.evidence.summary)
            cli_show.say("ask a question; /help lists the commands")
        while (line := self._next_line(source)) is not None:
            line = line.strip()
            if line == "/quit":
                return
            if line:
                self.take(line)

    def take(self, line: str) -> None:
        """One line: a command or a question."""
        if not line.startswith("/"):
            return self._ask(line)
        name, _, rest = line.partition(" ")
        if name not in self._commands:
            return cli_show.say(f"no command {name}; known: {' '.join(self._commands)} /quit")
        self._commands[name](rest.strip())

    def _next_line(self, source: TextIO) -> str | None:
        if not source.isatty():
            return source.readline() or None
        try:
            return input("> ")
        except EOFError:
            return None

    def _ask(self, question: str) -> None:
        for word in self._session.ask(question):
            cli_show.print_words(word)
        print()
        answer = self._session.last
        cli_show.print_citations(answer.citations, answer.conflicts)
        notes = [f"[!] conflict with the evidence: {conflict}" for conflict in answer.conflicts]
        self._said += [f"> {question}", answer.text, *notes, ""]

    def _events(self, _: str) -> None:
        cli_show.print_events(self._analysis.evidence)

    def _show(self, number: str) -> None:
        known = [event.id for event in self._analysis.evidence.events]
        if not number.isdecimal() or int(number) not in known:
            return cli_show.say(f"no event {number or '(which?)'}; known: {known or 'none'}")
        from tvad.outputs import write_outputs

        which = ("overlay", "timeline", "trajectory", "events")
        paths = write_outputs(self._analysis, self._out, self._analysis.evidence.video.path, which)
        clip = paths.pop("events") / f"{int(number):02d}.mp4"
        cli_show.print_paths({"clip": clip, **paths})

    def _save(self, name: str) -> None:
        if not name:
            return cli_show.say("/save needs a file name")
        text = f"{self._analysis.evidence.video.path}\n\n" + "\n".join(self._said)
        try:
            write_atomic(name, lambda file: file.write(text.encode("utf-8", "backslashreplace")))
        except OSError as error:
            return cli_show.say(f"cannot write {name}: {error.strerror}")
        cli_show.print_paths({"saved": Path(name)})

    def _help(self, _: str) -> None:
        print(HELP)
