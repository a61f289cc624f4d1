"""All heads by name: what they are, how to make one, and the folder that keeps a trained one. No torch before that.

    head = make_head("vadclip", 512, names, text, window=64)
    save_head(head, folder, names)           config.json and model.safetensors
    saved = load_head(folder)                saved.head is in eval(); saved.names, "normal" first

A folder is complete in itself: class texts are kept as what they came to, so no text encoder is needed to score, and
none is trained on. Next: tvad/temporal/mil_ranking.py
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from tvad.evidence import write_atomic
from tvad.temporal.typed import of_json
from tvad.weights import MissingWeights

if TYPE_CHECKING:
    import torch

    from tvad.temporal.base import TemporalHead
    from tvad.temporal.text import TextTower

KIND, VERSION = "tvad-temporal-head", 1
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
READING = "reading"
UCF, XD = "ucf-crime", "xd-violence"


class HeadError(ValueError):
    """A folder that holds no head this version can read; str() is one line."""


@dataclass(frozen=True)
class Recipe:
    """As published for a data set. head: settings that differ from the config's defaults. training: fields of
    training.temporal.loop.TemporalTrainConfig."""

    head: Mapping[str, Any]
    training: Mapping[str, Any]


@dataclass(frozen=True)
class HeadInfo:
    """names: its module below tvad.temporal, its class and its config's. classes: gives class probabilities. text:
    compares with class texts. pseudo: can learn from pseudo labels of snippets, too."""

    title: str
    paper: str
    year: int
    names: tuple[str, str, str]
    recipes: Mapping[str, Recipe]
    classes: bool = False
    text: bool = False
    pseudo: bool = False


_PLAIN = {"warm_up": 0.0, "clip_norm": 0.0}
_DROPS = _PLAIN | {"schedule": "drops", "drops": (0.4, 0.8)}  # to a tenth of the rate, twice
_LONG = {"window": 64, "layers": 1}  # of the local-global adapter
_CALM = _PLAIN | {"length": 32, "resample": "stretch", "schedule": "constant"}

HEADS: dict[str, HeadInfo] = {
    "mil_ranking": HeadInfo(
        title="Deep MIL ranking",
        paper="Sultani, Chen and Shah: Real-world anomaly detection in surveillance videos (CVPR)",
        year=2018,
        names=("mil_ranking", "MilRanking", "MilRankingConfig"),
        # The published Adagrad with rate 0.01 was for vectors of 4096; AdamW is ours. The loss has a decay of its own.
        recipes={
            name: Recipe({}, _CALM | {"normal": 30, "anomalous": 30, "epochs": 50, "lr": 1e-4, "weight_decay": 0.0})
            for name in (UCF, XD)
        },
    ),
    "clip_tsa": HeadInfo(
        title="CLIP-TSA",
        paper="Joo et al.: CLIP-assisted temporal self-attention for weakly-supervised video anomaly detection (ICIP)",
        year=2023,
        names=("clip_tsa", "ClipTsa", "ClipTsaConfig"),
        recipes={
            name: Recipe(
                {"share": share},
                _CALM
                | {"normal": 16, "anomalous": 16, "steps": 4000, "optimizer": "adam", "lr": 1e-3}
                | {"weight_decay": 5e-3},
            )
            for name, share in ((UCF, 0.95), (XD, 0.9))
        },
    ),
    "vadclip": HeadInfo(
        title="VadCLIP",
        paper="Wu et al.: Adapting vision-language models for weakly supervised video anomaly detection (AAAI)",
        year=2024,
        names=("vadclip", "VadClip", "VadClipConfig"),
        classes=True,
        text=True,
        recipes={
            UCF: Recipe({}, _DROPS | {"normal": 64, "anomalous": 64, "lr": 2e-5}),
            XD: Recipe(
                _LONG | {"context_weight": 1e-4, "detect": "fine"},
                _DROPS | {"normal": 48, "anomalous": 48, "lr": 1e-5, "drops": (0.3, 0.6)},
            ),
        },
    ),
    "dsanet": HeadInfo(
        title="DSANet",
        paper="Disentangled semantic alignment for weakly supervised video anomaly detection (AAAI)",
        year=2026,
        names=("dsanet", "DsaNet", "DsaNetConfig"),
        classes=True,
        text=True,
        recipes={
            UCF: Recipe({}, {"normal": 64, "anomalous": 64, "lr": 7e-5}),
            XD: Recipe(
                _LONG | {"class_weight": 5.0, "tau": 1.0},
                {"normal": 48, "anomalous": 48, "lr": 1e-5},
            ),
        },
    ),
    "refinevad": HeadInfo(
        title="RefineVAD",
        paper="RefineVAD: motion-aware temporal attention and category-oriented refinement (AAAI)",
        year=2026,
        names=("refinevad", "RefineVad", "RefineVadConfig"),
        classes=True,
        recipes={name: Recipe({}, {"epochs": 30, "lr": 1e-4}) for name in (UCF, XD)},
    ),
    "finevad": HeadInfo(
        title="Fine-VAD",
        paper="Fine-VAD: progressive cross-granularity learning (CVPR)",
        year=2026,
        names=("finevad", "FineVad", "FineVadConfig"),
        classes=True,
        text=True,
        recipes={name: Recipe(head, _DROPS | {"lr": 1e-5}) for name, head in ((UCF, {}), (XD, _LONG))},
    ),
    "afr": HeadInfo(
        title="AFR",
        paper="AFR: small-object attention in the temporal pyramid of CMSIL (preprint)",
        year=2025,
        names=("afr", "Afr", "AfrConfig"),
        pseudo=True,
        # A long warm-up and a cosine are nearly the published single cycle of the rate.
        recipes={
            name: Recipe(
                head,
                {"normal": 30, "anomalous": 30, "steps": 2000, "lr": lr, "length": length, "resample": "window"}
                | {"warm_up": 0.3, "decay_all": False, "patience": 15},
            )
            for name, length, lr, head in (
                (UCF, 128, 1e-5, {}),
                (XD, 256, 5e-5, {"convs": 2, "stem": 1, "heads": 8, "focal_alpha": 0.4, "focal_gamma": 2.5}),
            )
        },
    ),
}


def head_info(name: str) -> HeadInfo:
    """Of HEADS; ValueError that lists them for another name."""
    if name not in HEADS:
        raise ValueError(f"no head is called {name!r}; choose one of {', '.join(HEADS)}")
    return HEADS[name]


def classes_of(name: str) -> tuple[Any, Any]:
    """Head class and config class, imported now."""
    module, head, config = head_info(name).names
    found = import_module(f"tvad.temporal.{module}")
    return getattr(found, head), getattr(found, config)


def setting_types(name: str) -> dict[str, Any]:
    """What may be set of a head, with types: its config's fields but `width` and `classes`, which the data decide."""
    config = classes_of(name)[1]
    hints = get_type_hints(config)
    return {f.name: hints[f.name] for f in fields(config) if f.name not in ("width", "classes")}


def make_head(
    name: str, width: int, names: Sequence[str] = (), text: "TextTower | None" = None, **settings: Any
) -> "TemporalHead":
    """A new head for features of `width` numbers. names: of the classes, normal first; heads without classes need none.
    text: for heads that compare with texts. settings: fields of its config. ValueError for what does not fit."""
    info = head_info(name)
    make, configure = classes_of(name)
    if unknown := sorted(set(settings) - set(setting_types(name))):
        raise ValueError(f"{name} has no setting {unknown[0]!r}; there are {', '.join(setting_types(name))}")
    if info.classes:
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"class names {list(names)}; {name} needs at least two, all different, normal first")
        settings["classes"] = len(names)
    config = configure(width=width, **settings)
    if not info.text:
        head: TemporalHead = make(config)
        return head
    if text is None:
        raise ValueError(f"{name} compares snippets with class texts; give it a text tower")
    head = make(config, text)
    return head


def name_of(head: "TemporalHead") -> str:
    """Its name in HEADS, behind its reading too; ValueError for a head that is not there."""
    from tvad.temporal.reading import inner

    head = inner(head)
    for name, info in HEADS.items():
        if (type(head).__module__, type(head).__name__) == (f"tvad.temporal.{info.names[0]}", info.names[1]):
            return name
    raise ValueError(f"{type(head).__name__} is not one of {', '.join(HEADS)}")


@dataclass(frozen=True)
class SavedHead:
    """A head as it was read, in eval(). names: of the classes, normal first. about: where its weights come from."""

    name: str
    head: "TemporalHead"
    names: tuple[str, ...]
    about: dict[str, Any]


def save_head(
    head: "TemporalHead", folder: str | Path, names: Sequence[str], about: Mapping[str, Any] | None = None
) -> None:
    """Write `config.json` and `model.safetensors`, each whole or not at all. ValueError for a head that is not in HEADS
    or whose weights are not finite."""
    from safetensors.torch import save

    from tvad.temporal.reading import ReadingHead, inner

    folder, name = Path(folder), name_of(head)
    weights, texts = _weights(inner(head))
    reading = head.reading if isinstance(head, ReadingHead) else None
    if reading is not None:
        weights |= {f"{READING}.{key}": value.detach().cpu() for key, value in reading.state_dict().items()}
    if bad := [key for key, value in weights.items() if not _finite(value)]:
        raise ValueError(f"{name}: {bad[0]} is not finite; nothing was saved in {folder}")
    said = {
        "kind": KIND,
        "version": VERSION,
        "head": name,
        "names": list(names),
        "config": asdict(head.config),  # type: ignore[call-overload]
        "text": texts,
        **({} if reading is None else {READING: asdict(reading.config)}),
        "about": dict(about or {}),
    }
    text = json.dumps(said, indent=1) + "\n"
    # The weights first: a config without them is no head, and neither are weights without it.
    write_atomic(folder / WEIGHTS_FILE, lambda file: file.write(save(weights)))
    write_atomic(folder / CONFIG_FILE, lambda file: file.write(text.encode()))


def load_head(folder: str | Path) -> SavedHead:
    """Read what `save_head` wrote, strictly. MissingWeights where there is nothing, HeadError for anything that is
    damaged, of other shapes, not finite, or of a newer version."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    try:
        text, body = (folder / CONFIG_FILE).read_text(encoding="utf-8"), (folder / WEIGHTS_FILE).read_bytes()
    except UnicodeDecodeError:
        raise HeadError(f"{folder / CONFIG_FILE} is damaged; train the head again") from None
    except OSError as error:
        raise MissingWeights(
            f"no temporal head in {folder} ({error.strerror}); tvad train temporal --out {folder} trains one"
        ) from None
    try:
        raw = _read(folder, text)
        weights = load(body)
        own = {key: value for key, value in weights.items() if not key.startswith(f"{READING}.")}
        head = _rebuilt(raw, own)
        _check_weights(own, head.state_dict())
        head.load_state_dict(own)
        if READING in raw:
            head = _behind_reading(raw[READING], weights, head)
    except HeadError:
        raise
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())[:300]
        raise HeadError(f"{folder}: no head that can be read ({line}); train it again") from None
    return SavedHead(raw["head"], head.eval(), tuple(raw["names"]), raw["about"])


def _read(folder: Path, text: str) -> dict[str, Any]:
    """config.json as it must be."""
    raw = json.loads(text)
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise ValueError(f"{CONFIG_FILE} does not describe a {KIND}")
    if isinstance(raw["version"], int) and raw["version"] > VERSION:
        raise HeadError(f"{folder}: a head of version {raw['version']}; this program reads {VERSION}: update it")
    if raw["version"] != VERSION:
        raise ValueError(f"version is {raw['version']!r}")
    head_info(raw["head"])
    names, about = raw["names"], raw["about"]
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or not isinstance(about, dict):
        raise ValueError(f"{CONFIG_FILE} has other names or notes than it should")
    return raw


def _check_weights(weights: Mapping[str, "torch.Tensor"], wanted: Mapping[str, "torch.Tensor"]) -> None:
    """ValueError that names the first tensor that is too many, missing, of another shape or type, or not finite."""
    for key in [*wanted, *weights]:
        if key not in weights or key not in wanted:
            raise ValueError(f"{key} is {'missing' if key in wanted else 'unknown'}")
        found, own = weights[key], wanted[key]
        if found.shape != own.shape or found.dtype != own.dtype:
            raise ValueError(f"{key} is {tuple(found.shape)} {found.dtype}, not {tuple(own.shape)} {own.dtype}")
        if not _finite(found):
            raise ValueError(f"{key} is not finite")


def _rebuilt(raw: Mapping[str, Any], weights: Mapping[str, "torch.Tensor"]) -> "TemporalHead":
    """An untrained head of the same configuration, with the saved class texts."""
    from tvad.temporal.text import FixedText, random_text

    types_of, given = setting_types(raw["head"]), dict(raw["config"])
    width, classes = given.pop("width"), given.pop("classes", None)
    if classes is not None and classes != len(raw["names"]):
        raise ValueError(f"{len(raw['names'])} class names for {classes} classes")
    if set(given) != set(types_of):
        raise ValueError(f"settings {sorted(set(given) ^ set(types_of))} are not those of this version")
    settings = {key: of_json(types_of[key], value) for key, value in given.items()}
    said, text = raw["text"], None
    if said is not None:
        text = FixedText(said["names"], weights[f"{said['at']}.embeddings"])
    elif head_info(raw["head"]).text:
        text = random_text(raw["names"], 1)  # a head of which the part with texts was left out
    return make_head(raw["head"], of_json(int, width), raw["names"], text, **settings)


def _behind_reading(
    said: Mapping[str, Any], weights: Mapping[str, "torch.Tensor"], head: "TemporalHead"
) -> "TemporalHead":
    """The head behind what it was trained behind (tvad/temporal/reading.py)."""
    from tvad.temporal.reading import Reading, ReadingConfig, ReadingHead

    hints = get_type_hints(ReadingConfig)
    reading = Reading(ReadingConfig(**{key: of_json(hints[key], value) for key, value in said.items()}))
    own = {key[len(READING) + 1 :]: value for key, value in weights.items() if key.startswith(f"{READING}.")}
    _check_weights(own, reading.state_dict())
    reading.load_state_dict(own)
    return ReadingHead(reading, head)


def _weights(head: "TemporalHead") -> tuple[dict[str, "torch.Tensor"], dict[str, Any] | None]:
    """Tensors to save, and where a text tower stands in the head, if it has one: its own weights are replaced by the
    texts they make."""
    import torch

    state = {key: value.detach().cpu() for key, value in head.state_dict().items()}
    at = tower_of(head)
    said = None
    if at is not None:
        tower: Any = head.get_submodule(at)
        training = tower.training
        tower.eval()
        with torch.no_grad():
            rows = tower().detach().cpu()
        tower.train(training)
        state = {key: value for key, value in state.items() if not key.startswith(f"{at}.")}
        state[f"{at}.embeddings"] = rows
        said = {"at": at, "names": list(tower.names)}
    whole = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    return {key: value.contiguous() for key, value in whole.items()}, said


def tower_of(head: "TemporalHead") -> str | None:
    """Where in the head its text tower is (tvad/temporal/text.py), None where it has none."""
    for at, module in head.named_modules():
        if at and hasattr(module, "names") and hasattr(module, "width"):
            return at
    return None


def _finite(value: "torch.Tensor") -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())
