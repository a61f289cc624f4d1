"""Which videos a batch is about."""

import io
import os
from pathlib import Path

import pytest

from tvad.batch.inputs import Shard, collect, item_of

ODD = ["-rf.mp4", "a\nb.mp4", 'it\'s "quoted".mp4', "ünïcode 日本.mp4", "a b.mp4", "100%.mp4", "{x}.mp4", "[1].mp4"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("v10.mp4", "v2.mp4", "sub/v1.AVI", "notes.txt", ".hidden.mp4", ".git/x.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*given: str, stdin: bytes | None = None, shard: str = "1/1") -> list[str]:
    source = None if stdin is None else io.BytesIO(stdin)
    return [item.path for item in collect(given, source, Shard.parse(shard))]


def test_folders_files_globs_and_lists_each_once_in_order(folder: Path) -> None:
    assert names(".") == ["sub/v1.AVI", "v2.mp4", "v10.mp4"]
    assert names("v*") == ["v2.mp4", "v10.mp4"]
    assert names("**/*.AVI") == ["sub/v1.AVI"]
    (folder / "list.txt").write_bytes(b"# mine\r\nv10.mp4\r\n\r\nv2.mp4")
    assert names("list.txt", "v2.mp4", "gone.mp4") == ["v10.mp4", "v2.mp4", "gone.mp4"]


def test_standard_input_by_lines_or_by_nul(folder: Path) -> None:
    assert names("-", stdin=b"v2.mp4\nv10.mp4\n") == ["v2.mp4", "v10.mp4"]
    assert names("-", stdin=b"a\nb.mp4\0#c.mp4\0") == ["a\nb.mp4", "#c.mp4"]
    with pytest.raises(ValueError, match="lists no videos"):
        names("-", stdin=b"\n")


def test_odd_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = [*ODD, os.fsdecode(b"\xff\xfe.mp4")]
    for name in odd:
        Path(name).write_text("x")
    assert sorted(names(".")) == sorted(odd)
    assert names(*odd) == odd
    assert len({item.key for item in collect(odd)}) == len(odd)


def test_a_folder_of_frames_is_one_video_and_an_empty_one_is_said(folder: Path) -> None:
    (folder / "frames").mkdir()
    (folder / "frames" / "1.png").write_text("x")
    assert names("frames") == ["frames"]
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no videos in empty"):
        names("empty")
    with pytest.raises(ValueError, match="nothing matches"):
        names("nothing*.mp4")


def test_shards_share_everything_and_nothing_twice(folder: Path) -> None:
    shares = [names(".", shard=f"{n}/2") for n in (1, 2)]
    assert shares == [["sub/v1.AVI", "v10.mp4"], ["v2.mp4"]]
    for wrong in ("0/2", "3/2", "1", "a/b", "1/0", "-1/2"):
        with pytest.raises(ValueError, match="--shard"):
            Shard.parse(wrong)


def test_a_key_changes_with_the_file(folder: Path) -> None:
    before = item_of("v2.mp4")
    assert item_of("v2.mp4") == before
    (folder / "v2.mp4").write_text("xy")
    assert item_of("v2.mp4").key != before.key
    assert item_of("gone.mp4") == item_of("gone.mp4")
    assert item_of("s3://bucket/clip.mp4").path == "s3://bucket/clip.mp4"
