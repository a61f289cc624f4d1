"""CLIP and SigLIP towers: tiny random models of the real classes, saved to a folder and read back as a user's are."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from clips import encode

from heatmap.decoder import HeatmapDecoder
from heatmap.patches import from_rows
from heatmap.prompts import Text
from training.heatmap.evaluate import main as evaluate
from training.heatmap.model import write_checkpoint
from tvad.towers import ALIGNED, VisionTower, tower_heat

SIDE, PATCH, WIDTH, CHANNELS = 32, 8, 12, 16
WORDS = ("person", "walking", "bicycle", "fire", "anomaly", "empty", "ground", "background", "car", "street")


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    names = ["<pad>", "<unk>", "<begin>", "<end>", *WORDS]
    inner = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    inner.post_processor = TemplateProcessing(single="<begin> $A <end>", special_tokens=[("<begin>", 2), ("<end>", 3)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", bos_token="<begin>", eos_token="<end>"
    )
    tokenizer.save_pretrained(folder)


def save_tower(folder: Path, kind: str, side: int = SIDE) -> Path:
    from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

    torch.manual_seed(3)
    text = {
        "vocab_size": len(WORDS) + 4, "hidden_size": CHANNELS, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3,
        "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": CHANNELS, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2,
        "image_size": side, "patch_size": PATCH,
    }  # fmt: skip
    if kind == "clip":
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))
    else:
        model = SiglipModel(SiglipConfig(text_config=text | {"projection_size": CHANNELS}, vision_config=vision))
    for p in model.parameters():  # the classes' own start is too calm to tell patches apart
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.3)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture(scope="module", params=["clip", "siglip"])
def tower(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VisionTower:
    return VisionTower(save_tower(tmp_path_factory.mktemp("tower"), request.param), layers=(0, 3))


def some_frames(count: int = 3, size_wh: tuple[int, int] = (96, 64), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size_wh[1], size_wh[0], 3), np.uint8)


def test_taps_are_the_outputs_of_the_blocks_on_their_grid(tower: VisionTower) -> None:
    frames = some_frames(9)  # more than go through at once
    taps = tower.extract(frames)
    assert [tuple(x.shape) for x in taps] == [
        (1, 9, 4, 6, CHANNELS), (1, 9, 4, 6, CHANNELS), (1, 9, 4, 6, tower.width + 1),
    ]  # fmt: skip
    with torch.inference_mode():
        seen = tower.model.vision_model(
            tower._seen(frames, (4, 6)), interpolate_pos_encoding=True, output_hidden_states=True
        )
    first = 1 if tower.kind == "clip" else 0
    for tap, layer in zip(taps[:-1], tower.layers, strict=True):
        wanted = from_rows(seen.hidden_states[layer + 1], (4, 6), first)
        assert torch.allclose(tap[0], wanted, atol=1e-5)


def test_a_patch_alone_is_what_the_whole_model_makes_of_it(tower: VisionTower) -> None:
    block = tower.model.vision_model.encoder.layers[-1]
    x = torch.randn(2, 5, CHANNELS, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = tower._aligned(x, block)
        for n in range(5):
            alone = block(x[:, n : n + 1], attention_mask=None)
            alone = tower.model.vision_model.post_layernorm(alone[0] if isinstance(alone, tuple) else alone)
            if tower.kind == "clip":
                wanted = tower.model.visual_projection(alone[:, 0])
            else:
                wanted = tower.model.vision_model.head(alone)
            assert torch.allclose(found[:, n], F.normalize(wanted, dim=-1), atol=1e-5)


def test_words_like_a_patch_heat_that_patch_before_any_training(tower: VisionTower) -> None:
    frames = some_frames(2)
    aligned = tower.extract(frames)[-1][0, ..., :-1].numpy()
    word = aligned[1, 2, 4][None]
    other = -word  # nothing else in the picture fits it better
    decoder = tower.decoder(hidden=8)
    level = tower_heat(tower, decoder, frames, Text(other, word))
    assert level.shape == (2, 4, 6)
    assert np.unravel_index(level.argmax(), level.shape) == (1, 2, 4)
    turned = tower_heat(tower, decoder, frames, Text(word, other))
    assert np.allclose(turned, -level, atol=1e-3)


def test_a_decoder_for_it_is_saved_and_read_as_any_other(tower: VisionTower, tmp_path: Path) -> None:
    decoder = tower.decoder(hidden=8)
    write_checkpoint(tmp_path, decoder, {"step": 0})
    again = HeatmapDecoder.load(tmp_path)
    assert [t.name for t in again.config.taps] == ["layer0", "layer3", ALIGNED]
    text = Text(tower.embed(["empty ground"]), tower.embed(["fire"]))
    frames = some_frames(1)
    assert np.array_equal(tower_heat(tower, decoder, frames, text), tower_heat(tower, again, frames, text))


def test_phrases_become_unit_vectors_that_do_not_depend_on_their_neighbours(tower: VisionTower) -> None:
    both = tower.embed(["person walking", "person walking bicycle fire street " * 9])
    assert both.shape == (2, tower.width) and both.dtype == np.float32
    assert np.allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    assert np.allclose(both[:1], tower.embed(["person walking"]), atol=1e-4)
    assert not np.allclose(both[0], both[1], atol=1e-2)


def test_the_longer_side_keeps_the_shape(tower: VisionTower) -> None:
    assert tower.grid((640, 360)) == (4, 7)
    assert tower.grid((360, 640)) == (7, 4)
    assert tower.extract(some_frames(1, (50, 50)))[0].shape[2:4] == (4, 4)


def test_wrong_folders_layers_and_frames_are_named(tower: VisionTower, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        VisionTower(tmp_path / "none")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="'bert' model; towers with a text side are clip and siglip"):
        VisionTower(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        VisionTower(tmp_path)
    folder = save_tower(tmp_path / "tower", tower.kind)
    with pytest.raises(ValueError, match="from 0 to 3"):
        VisionTower(folder, layers=(0, 4))
    with pytest.raises(ValueError, match="less than a patch"):
        VisionTower(folder, side=4)
    with pytest.raises(ValueError, match="expected uint8"):
        tower.extract(some_frames()[0])


def test_the_evaluation_takes_a_tower(tower: VisionTower, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_tower(tmp_path / "tower", tower.kind)
    (tmp_path / "ped2/test").mkdir(parents=True)
    (tmp_path / "ped2/masks").mkdir()
    encode(tmp_path / "ped2/test/01.mp4", count=30)
    mask = np.zeros((30, 64, 96), bool)
    mask[10:20, 20:40, 30:60] = True
    np.savez(tmp_path / "ped2/masks/01.npz", mask=mask)
    evaluate(["--tower", str(folder), "--ped2", str(tmp_path / "ped2"), "--anomaly", "fire"])
    assert "ped2, 1 clips: micro 0." in capsys.readouterr().out
    with pytest.raises(SystemExit):
        evaluate(["--tower", str(folder)])
