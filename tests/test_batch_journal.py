"""The journal: what is on the disk counts, and nothing else."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tvad.batch.journal import Journal, JournalError, OutputFull

ABOUT = {"style": "short"}


def entry(n: int, ok: bool = True, text: str = "x") -> tuple[str, str, bool, dict[str, Any]]:
    return f"k{n}", f"clip{n}.mp4", ok, {"n": n, "text": text}


def filled(path: Path, count: int = 3) -> Path:
    with Journal(path, ABOUT) as journal:
        for n in range(count):
            journal.append([entry(n)])
    return path


def numbers(path: Path) -> list[int]:
    with Journal(path, ABOUT) as journal:
        return [record["n"] for _, record in journal.entries()]


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = filled(tmp_path / "a" / "j")
    with Journal(path, ABOUT) as journal:
        assert "k1" in journal
        assert "k7" not in journal
        assert [r["n"] for _, r in journal.entries(["k2", "k9", "k0"])] == [2, 0, 1]


def test_every_cut_is_taken_off_and_gone_on_from(tmp_path: Path) -> None:
    whole = filled(tmp_path / "j").read_bytes()
    ends = [i + 1 for i, c in enumerate(whole) if c == 10]
    for cut in range(len(whole)):
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        kept = max(0, sum(end <= cut for end in ends) - 1)
        assert numbers(path) == list(range(kept))
        with Journal(path, ABOUT) as journal:
            journal.append([entry(8)])
        assert numbers(path) == [*range(kept), 8]


def test_a_damaged_line_in_the_middle_is_done_again(tmp_path: Path) -> None:
    path = filled(tmp_path / "j")
    data = bytearray(path.read_bytes())
    data[data.index(b'"n":1') + 4] ^= 1
    path.write_bytes(data)
    with Journal(path, ABOUT) as journal:
        assert journal.lost == 1
        assert "k1" not in journal
        journal.append([entry(1)])
    assert sorted(numbers(path)) == [0, 1, 2]


def test_a_video_that_was_tried_again_counts_once(tmp_path: Path) -> None:
    path = filled(tmp_path / "j")
    with Journal(path, ABOUT) as journal:
        journal.append([("k1", "clip1.mp4", False, {"n": 10}), ("changed", "clip2.mp4", True, {"n": 20})])
    with Journal(path, ABOUT) as journal:
        assert [(ok, r["n"]) for ok, r in journal.entries()] == [(True, 0), (False, 10), (True, 20)]
        assert not journal.is_ok("k1")


def test_other_settings_are_refused_and_said(tmp_path: Path) -> None:
    path = filled(tmp_path / "j")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"style 'short', now 'qa'.*--restart"), Journal(path, {"style": "qa"}):
        pass
    assert path.read_bytes() == before
    with Journal(path, {"style": "qa"}, restart=True) as journal:
        assert list(journal.entries()) == []


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text("my only copy\n")
    with pytest.raises(JournalError), Journal(path, ABOUT):
        pass
    assert path.read_text() == "my only copy\n"


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, ABOUT), pytest.raises(JournalError, match="another run"), Journal(path, ABOUT):
        pass


def test_a_full_disk_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path / "j")
    before = path.read_bytes()
    with Journal(path, ABOUT) as journal:
        inner = journal._file

        class Full:
            """Takes a few bytes, then has no room."""

            room = 11

            def write(self, data: memoryview) -> int:
                if not self.room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                taken = inner.write(data[: self.room])
                self.room -= taken
                return taken

            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

        journal._file = Full()  # type: ignore[assignment]
        with pytest.raises(OutputFull, match="No space left"):
            journal.append([entry(3)])
        assert path.read_bytes() == before
        journal._file = inner
        journal.append([entry(3)])
    assert numbers(path) == [0, 1, 2, 3]


def test_lines_are_ascii_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "j"
    odd = "a\nb\u2028\udcff\"'.mp4"
    with Journal(path, ABOUT) as journal:
        journal.append([("k", odd, True, {"video": {"path": odd}})])
    assert all(byte < 128 for byte in path.read_bytes())
    assert len(path.read_bytes().splitlines()) == 2
    with Journal(path, ABOUT) as journal:
        assert [r["video"]["path"] for _, r in journal.entries()] == [odd]
    assert json.loads(path.read_bytes().splitlines()[1].split(b" ", 1)[1])["key"] == "k"
