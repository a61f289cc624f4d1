"""The list of heads: complete, lazy, and folders of trained heads that come back as they were, or say why not."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from temporal_fakes import SMALL, WIDTH

from training.temporal.loop import TemporalTrainConfig
from tvad.temporal.base import TemporalHead
from tvad.temporal.clip_text import LearnedContext
from tvad.temporal.registry import (
    HEADS,
    UCF,
    VERSION,
    XD,
    HeadError,
    classes_of,
    load_head,
    make_head,
    name_of,
    save_head,
    setting_types,
    tower_of,
)
from tvad.temporal.text import FixedText, random_text
from tvad.temporal.typed import read_settings
from tvad.weights import MissingWeights

NAMES = ("normal", "Fighting", "Robbery", "Arson")
ALL = pytest.mark.parametrize("name", HEADS)


def small(name: str, text: Any = None, **settings: Any) -> TemporalHead:
    torch.manual_seed(0)
    text = text or (random_text(NAMES, 12) if HEADS[name].text else None)
    return make_head(name, WIDTH, NAMES, text, **(SMALL[name] | settings))


def said(head: TemporalHead) -> list[torch.Tensor]:
    dice = torch.Generator().manual_seed(1)
    x, mask = torch.randn(2, 8, WIDTH, generator=dice), torch.ones(2, 8, dtype=torch.bool)
    with torch.no_grad():
        out = head.eval()(x, mask)
    return [v for v in (out.scores, out.class_probs) if v is not None]


# The list


def test_the_list_needs_no_torch() -> None:
    code = "import sys, tvad.temporal.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@ALL
def test_what_the_list_says_of_a_head_is_so(name: str) -> None:
    info, head = HEADS[name], small(name)
    assert name_of(head) == name
    assert (tower_of(head) is not None) == info.text
    found = said(head)
    assert (len(found) == 2) == info.classes
    if info.classes:
        assert found[1].shape == (2, 8, len(NAMES))
    assert ("classes" in {f.name for f in fields(classes_of(name)[1])}) == info.classes


@ALL
@pytest.mark.parametrize("data", [UCF, XD])
def test_recipes_are_those_of_the_config_and_of_the_loop(name: str, data: str) -> None:
    recipe, config = HEADS[name].recipes[data], classes_of(name)[1]
    wanted = getattr(config, data.replace("-", "_"), None)
    if wanted is not None:
        own = config(**{"width": 512} | ({"classes": 7} if HEADS[name].classes and data == XD else {}) | recipe.head)
        assert own == wanted(width=512)
    else:
        config(width=512, **recipe.head)
    TemporalTrainConfig(**recipe.training)


PUBLISHED = {
    # normal + anomalous items an update, rate, decay, and what else the specifications' "Training" and "Recipe" say
    ("mil_ranking", UCF): (30, 30, 1e-4, 0.0, {"length": 32, "epochs": 50}),
    ("clip_tsa", UCF): (16, 16, 1e-3, 5e-3, {"length": 32, "steps": 4000, "optimizer": "adam", "clip_norm": 0.0}),
    ("clip_tsa", XD): (16, 16, 1e-3, 5e-3, {"length": 32, "steps": 4000, "optimizer": "adam"}),
    ("vadclip", UCF): (64, 64, 2e-5, 0.01, {"length": 256, "epochs": 10, "drops": (0.4, 0.8)}),
    ("vadclip", XD): (48, 48, 1e-5, 0.01, {"length": 256, "epochs": 10, "drops": (0.3, 0.6)}),
    ("dsanet", UCF): (64, 64, 7e-5, 0.01, {"length": 256, "epochs": 10, "clip_norm": 1.0}),
    ("dsanet", XD): (48, 48, 1e-5, 0.01, {"length": 256, "epochs": 10, "clip_norm": 1.0}),
    ("refinevad", UCF): (32, 32, 1e-4, 0.01, {"length": 256, "epochs": 30, "warm_up": 0.03, "clip_norm": 1.0}),
    ("finevad", UCF): (32, 32, 1e-5, 0.01, {"length": 256, "epochs": 10, "drops": (0.4, 0.8)}),
    ("afr", UCF): (30, 30, 1e-5, 0.01, {"length": 128, "steps": 2000, "patience": 15, "decay_all": False}),
    ("afr", XD): (30, 30, 5e-5, 0.01, {"length": 256, "steps": 2000, "resample": "window", "clip_norm": 1.0}),
}


@pytest.mark.parametrize(("name", "data"), PUBLISHED)
def test_recipes_are_the_published_ones(name: str, data: str) -> None:
    found = TemporalTrainConfig(**HEADS[name].recipes[data].training)
    normal, odd, lr, decay, more = PUBLISHED[name, data]
    assert (found.normal, found.anomalous, found.lr, found.weight_decay) == (normal, odd, lr, decay)
    assert {key: getattr(found, key) for key in more} == more
    assert found.optimizer == more.get("optimizer", "adamw")


def test_wrong_names_settings_and_texts_are_named() -> None:
    with pytest.raises(ValueError, match=r"no head is called 'vad'; choose one of mil_ranking, clip_tsa"):
        make_head("vad", WIDTH)
    with pytest.raises(ValueError, match=r"vadclip has no setting 'windows'; there are length, window, layers"):
        small("vadclip", windows=3)
    with pytest.raises(ValueError, match=r"has no setting 'classes'"):
        small("vadclip", classes=3)
    with pytest.raises(ValueError, match=r"give it a text tower"):
        make_head("vadclip", WIDTH, NAMES)
    with pytest.raises(ValueError, match=r"at least two, all different"):
        make_head("refinevad", WIDTH, ("normal",))
    with pytest.raises(ValueError, match="Linear is not one of"):
        name_of(torch.nn.Linear(1, 1))  # type: ignore[arg-type]


# Settings as text


def test_settings_are_read_by_their_types() -> None:
    kinds = setting_types("clip_tsa") | {"parts": setting_types("vadclip")["parts"]}
    given = [
        "share=0.5",
        "cap=7",
        "centred=yes",
        "squeeze=none",
        "hidden=8,4",
        "norm=ln",
        "parts=coarse",
        "flatten-reg=0",
    ]
    assert read_settings(kinds, given) == {
        "share": 0.5,
        "cap": 7,
        "centred": True,
        "squeeze": None,
        "hidden": (8, 4),
        "norm": "ln",
        "parts": ("coarse",),
        "flatten_reg": False,
    }
    assert read_settings(kinds, ["squeeze=32,16"]) == {"squeeze": (32, 16)}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("cap", "'cap' is no setting; write key=value"),
        ("caps=3", "no setting is called 'caps'; there are squeeze, scorer, share"),
        ("cap=3.5", "cap is '3.5'; it must be a whole number"),
        ("share=nan", "share is 'nan'; it must be a number"),
        ("centred=maybe", "centred is 'maybe'; it must be true or false"),
        ("hidden=8", "hidden is '8'; it must be 2 values, each a whole number, with commas between them"),
        (
            "squeeze=1,x",
            "squeeze is '1,x'; it must be 2 values, each a whole number, with commas between them, or none",
        ),
        ("width=3", "no setting is called 'width'"),
    ],
)
def test_a_wrong_setting_is_one_line(given: str, line: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_settings(setting_types("clip_tsa"), [given])
    assert line in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="cap is given twice"):
        read_settings(setting_types("clip_tsa"), ["cap=1", "cap=2"])


# Folders


@ALL
def test_a_head_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    head = small(name)
    with torch.no_grad():
        for p in head.parameters():
            p.add_(0.01 * torch.randn_like(p))
    save_head(head, tmp_path / "a", NAMES, {"step": 3})
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["config.json", "model.safetensors"]
    saved = load_head(tmp_path / "a")
    assert (saved.name, saved.names, saved.about) == (name, NAMES, {"step": 3})
    assert saved.head.config == head.config and not saved.head.training  # type: ignore[attr-defined]
    for a, b in zip(said(head), said(saved.head), strict=True):
        assert torch.equal(a, b)


class Moody(LearnedContext):
    """Texts that are others while they are trained."""

    def forward(self) -> torch.Tensor:
        return super().forward() + (5.0 if self.training else 0.0)


def test_learned_texts_are_kept_as_what_they_came_to(tmp_path: Path) -> None:
    tower = Moody(NAMES, torch.eye(4, 12))
    with torch.no_grad():
        tower.context.fill_(0.3)
    head = small("vadclip", tower).train()
    save_head(head, tmp_path, NAMES)
    assert tower.training
    saved = load_head(tmp_path).head
    at = tower_of(saved)
    assert at is not None
    own = saved.get_submodule(at)
    assert type(own) is FixedText and torch.allclose(own(), torch.eye(4, 12) + 0.3)
    for a, b in zip(said(head), said(saved), strict=True):
        assert torch.equal(a, b)


def test_a_head_without_its_part_with_texts_comes_back(tmp_path: Path) -> None:
    head = small("vadclip", parts=("coarse",))
    save_head(head, tmp_path, NAMES)
    assert torch.equal(said(head)[0], said(load_head(tmp_path).head)[0])


def test_one_more_text_than_classes_comes_back(tmp_path: Path) -> None:
    head = small("finevad", random_text((*NAMES, "anomaly"), 12))
    save_head(head, tmp_path, NAMES)
    assert torch.equal(said(head)[0], said(load_head(tmp_path).head)[0])


def test_bfloat16_is_saved_as_float32(tmp_path: Path) -> None:
    head = small("mil_ranking").bfloat16()
    save_head(head, tmp_path, NAMES)
    assert {str(v.dtype) for v in load_file(tmp_path / "model.safetensors").values()} == {"float32"}
    assert load_head(tmp_path).head.config == head.config  # type: ignore[attr-defined]


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    head = small("mil_ranking")
    with torch.no_grad():
        next(head.parameters())[0] = torch.nan
    with pytest.raises(ValueError, match=r"layers\.0\.weight is not finite; nothing was saved"):
        save_head(head, tmp_path / "a", NAMES)
    assert not (tmp_path / "a").exists()


def config(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        raw = json.loads((folder / "config.json").read_text())
        change(raw)
        (folder / "config.json").write_text(json.dumps(raw))

    return write


def weights(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return write


KEY = "branches.coarse_out.weight"
DAMAGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("cut weights", lambda f: (f / "model.safetensors").write_bytes(b"\x09\0\0\0\0\0\0\0{}"), "train it again"),
    ("cut config", lambda f: (f / "config.json").write_text('{"kind": "tvad-temp'), "train it again"),
    ("no text", lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "is damaged"),
    ("another kind", config(lambda raw: raw.update(kind="x")), "does not describe a tvad-temporal-head"),
    ("a list", lambda f: (f / "config.json").write_text("[]"), "does not describe a tvad-temporal-head"),
    ("newer", config(lambda raw: raw.update(version=VERSION + 1)), "a head of version 2; this program reads 1: update"),
    ("unknown head", config(lambda raw: raw.update(head="vad")), "no head is called 'vad'"),
    ("a setting too many", config(lambda raw: raw["config"].update(depth=3)), r"settings \['depth'\]"),
    ("a setting missing", config(lambda raw: raw["config"].pop("tau")), r"settings \['tau'\]"),
    ("a wrong type", config(lambda raw: raw["config"].update(window="4")), "'4' where there must be a whole number"),
    ("a wrong value", config(lambda raw: raw["config"].update(window=0)), "window is 0; it must be at least 1"),
    ("a name missing", config(lambda raw: raw["names"].pop()), "3 class names for 4 classes"),
    ("another width", config(lambda raw: raw["config"].update(width=18)), r"is \(.*\) torch.float32, not \("),
    ("no notes", config(lambda raw: raw.pop("about")), "'about'"),
    ("a tensor missing", weights(lambda t: t.pop(KEY)), f"{KEY} is missing"),
    ("a tensor too many", weights(lambda t: t.update(more=t[KEY])), "more is unknown"),
    ("not a number", weights(lambda t: t[KEY].fill(np.nan)), f"{KEY} is not finite"),
    ("another shape", weights(lambda t: t.update({KEY: t[KEY][:, :3].copy()})), rf"{KEY} is \(1, 3\)"),
    ("another type", weights(lambda t: t.update({KEY: t[KEY].astype(np.int32)})), f"{KEY} is .*int32"),
    ("no texts", weights(lambda t: t.pop("branches.text.embeddings")), "branches.text.embeddings"),
]


@pytest.mark.parametrize(("harm", "line"), [d[1:] for d in DAMAGE], ids=[d[0] for d in DAMAGE])
def test_a_damaged_head_is_refused_with_one_line(harm: Callable[[Path], object], line: str, tmp_path: Path) -> None:
    save_head(small("vadclip"), tmp_path, NAMES)
    load_head(tmp_path)
    harm(tmp_path)
    with pytest.raises(HeadError, match=line) as caught:
        load_head(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_folder_without_a_head_is_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="tvad train temporal --out"):
        load_head(tmp_path)
