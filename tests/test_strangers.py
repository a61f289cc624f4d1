"""Files from strangers: evidence, scenes and curves with anything in them give an answer or one clear line, no more."""

import copy
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_fakes import one_event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from test_scene_file import make_scene

from chat.captions.words import STYLES, Wanted, record_of
from chat.session import Session
from tvad.evidence import Curves, Evidence, EvidenceError
from tvad.scene import Scene, SceneError

QUICK = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 10**400, 2**63, 1e308, -1e308, 5e-324, "", "\x00\x1b[2J\u202e", "<script>", "a" * 10000]),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to every value inside of a JSON value, inner and outer ones."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from leaves(inner, (*path, key))


GOOD = json.loads(one_event().to_json())
PLACES = list(leaves(GOOD))


def changed(place: tuple[Any, ...], value: Any, drop: bool) -> Any:
    raw = copy.deepcopy(GOOD)
    at = raw
    for key in place[:-1]:
        at = at[key]
    if drop:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return raw


@QUICK
@given(place=st.sampled_from(PLACES), value=ANY, drop=st.booleans())
def test_evidence_with_one_value_changed(place: tuple[Any, ...], value: Any, drop: bool) -> None:
    text = json.dumps(changed(place, value, drop))
    try:
        evidence = Evidence.from_json(text)
    except EvidenceError as error:
        assert "\n" not in str(error)
        return
    session = Session(evidence)
    assert "".join(session.ask("what is anomalous?"))
    for style in STYLES:
        record = record_of(evidence, Wanted(style), [session.last] * (6 if style == "qa" else 0))
        json.dumps(record, allow_nan=False)


@pytest.mark.parametrize("size", [[10**6, 10**6], [0, 5], [-3, -3], [2, 2, 2], "ab", [10**400, 1]])
def test_a_mask_of_absurd_size(size: Any) -> None:
    raw = copy.deepcopy(GOOD)
    raw["tracks"][0]["masks"] = [{"t_s": 5.0, "size_wh": size, "runs": [10**12]}]
    with pytest.raises(EvidenceError):
        Evidence.from_json(json.dumps(raw))


@QUICK
@given(data=st.binary(max_size=200))
def test_evidence_of_any_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "e.json"
    path.write_bytes(data)
    with pytest.raises(EvidenceError) as caught:
        Evidence.load(path)
    assert "\n" not in str(caught.value)


def test_evidence_that_is_absurdly_deep_or_from_the_future() -> None:
    for text in ("[" * 100_000, json.dumps(GOOD | {"schema_version": 99}), '{"schema_version": 1, "events": NaN}'):
        with pytest.raises(EvidenceError) as caught:
            Evidence.from_json(text)
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("scene") / "good.scene.safetensors"
    make_scene().save(path)
    return path.read_bytes()


@QUICK
@given(data=st.data())
def test_a_scene_with_one_tensor_or_note_changed(scene: bytes, tmp_path: Path, data: st.DataObject) -> None:
    tensors = load_tensors(scene)
    length = int.from_bytes(scene[:8], "little")
    notes = json.loads(scene[8 : 8 + length])["__metadata__"]
    name = data.draw(st.sampled_from(sorted([*tensors, *notes])))
    if name in notes:
        notes[name] = data.draw(st.one_of(st.text(max_size=20), ANY.map(json.dumps)))
    else:
        kind = data.draw(st.sampled_from(["drop", "nan", "inf", "flat", "empty", "long", "double", "negative"]))
        old = tensors.pop(name)
        new = {
            "nan": np.full_like(old, np.nan),
            "inf": np.full_like(old, np.inf),
            "flat": old.reshape(-1),
            "empty": old[:0],
            "long": np.concatenate([old] * 3),
            "double": old.astype(np.float64),
            "negative": -old,
        }
        tensors |= {name: new[kind]} if kind != "drop" else {}
    loads_or_says(tmp_path, save_tensors(tensors, notes))


@QUICK
@given(data=st.data())
def test_a_scene_with_bytes_changed(scene: bytes, tmp_path: Path, data: st.DataObject) -> None:
    body = bytearray(scene)
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, min(len(body) - 1, 4000)))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(body))))
    loads_or_says(tmp_path, bytes(body[:cut]))


@pytest.mark.parametrize("length", [0, 7, 2**31, 2**63, 2**64 - 1])
def test_a_scene_whose_header_lies_about_its_length(scene: bytes, tmp_path: Path, length: int) -> None:
    loads_or_says(tmp_path, struct.pack("<Q", length) + scene[8:])


def loads_or_says(folder: Path, body: bytes) -> None:
    path = folder / "s.scene.safetensors"
    path.write_bytes(body)
    try:
        found = Scene.load(path)
    except SceneError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))
        return
    assert all(np.isfinite(v).all() for v in (found.memory.appearance, found.memory.motion, found.looks.logits))


@QUICK
@given(data=st.binary(max_size=300), at=st.integers(0, 2000))
def test_curves_with_bytes_changed(tmp_path: Path, data: bytes, at: int) -> None:
    path = tmp_path / "scores.npz"
    times = np.arange(8) / 8
    Curves(times, np.zeros(8, np.float32), times, np.zeros((8, 3, 4), np.float16)).save(path)
    body = bytearray(path.read_bytes())
    body[at : at + len(data)] = data
    path.write_bytes(body)
    try:
        curves = Curves.load(path)
    except EvidenceError as error:
        assert "\n" not in str(error)
        return
    assert curves.scores.shape == curves.times_s.shape
