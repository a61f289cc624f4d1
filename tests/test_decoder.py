"""The decoder's promises: symmetry of the two sides, scale invariance, fusion of taps, losses and targets."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from heatmap.decoder import DecoderConfig, Heat, HeatmapDecoder, Tap, enlarged, frame_score
from heatmap.decoder_loss import cell_targets, coverage, dice, focal, heat_loss, merged_frames
from heatmap.patches import from_rows, from_windows

WIDTH = 12
CONFIG = DecoderConfig(
    (Tap("fine", 5, 16, context=3), Tap("coarse", 7, 16), Tap("look", WIDTH + 1, 16, text_space=True)), WIDTH
)


def random_taps(batch: int = 2, frames: int = 3, seed: int = 0) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    grids = [(4, 6), (2, 3), (4, 6)]
    return [
        torch.randn(batch, frames, *grid, tap.channels, generator=g)
        for grid, tap in zip(grids, CONFIG.taps, strict=True)
    ]


def random_decoder(seed: int = 0) -> HeatmapDecoder:
    torch.manual_seed(seed)
    decoder = HeatmapDecoder(CONFIG).eval()
    for p in decoder.parameters():  # also what starts at zero
        torch.nn.init.normal_(p, std=0.3)
    return decoder


def random_text(seed: int = 0, *shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (2, WIDTH)), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def test_equal_sides_give_one_half_everywhere() -> None:
    same = random_text(3)[:1].expand(2, WIDTH)
    heat = random_decoder()(random_taps(), same).prob
    assert heat.shape == (2, 3, 4, 6)
    assert torch.allclose(heat, torch.full_like(heat, 0.5), atol=1e-6)


def test_swapped_sides_give_the_complement() -> None:
    decoder, taps, text = random_decoder(), random_taps(), random_text(5)
    heat, swapped = decoder(taps, text).prob, decoder(taps, text.flip(0)).prob
    assert heat.std() > 0.1
    assert torch.allclose(swapped, 1 - heat, atol=1e-5)


@settings(deadline=None, max_examples=10)
@given(factor=st.floats(0.05, 50), seed=st.integers(0, 5))
def test_lengths_of_vectors_do_not_matter(factor: float, seed: int) -> None:
    decoder, taps, text = random_decoder(seed), random_taps(seed=seed), random_text(seed)
    before = decoder(taps, text).logits
    assert torch.allclose(decoder(taps, text * factor).logits, before, atol=1e-3)
    for projection in decoder.projections[:2]:  # V' = last(...), so scaling the last layer scales V'
        projection.last.weight.mul_(factor)
        projection.last.bias.mul_(factor)
    assert torch.allclose(decoder(taps, text).logits, before, atol=1e-2)


def test_cosines_are_those_of_the_projected_cells() -> None:
    decoder, taps = random_decoder(), random_taps()
    rows = torch.nn.functional.normalize(random_text(1, 2, 5, WIDTH), dim=-1)
    for projection, x in zip(decoder.projections, taps, strict=True):
        cells = torch.nn.functional.normalize(projection(x).flatten(1, 3), dim=-1)
        assert torch.allclose(projection.cosine(x, rows), cells @ rows.transpose(1, 2), atol=1e-5)


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    decoder, taps = random_decoder(), random_taps(batch=3)
    text = random_text(1, 3, 2, WIDTH)
    order = torch.tensor([2, 0, 1])
    heat = decoder(taps, text).prob
    assert torch.allclose(decoder([x[order] for x in taps], text[order]).prob, heat[order], atol=1e-5)
    assert torch.allclose(decoder([x[1:2] for x in taps], text[1:2]).prob, heat[1:2], atol=1e-5)


@pytest.mark.parametrize("omega", [(0.0, 0.0, 0.0), (3.0, -2.0, 0.5), (50.0, 0.0, 0.0)])
def test_taps_are_averaged_with_weights_that_sum_to_one(omega: tuple[float, ...]) -> None:
    decoder, taps, text = random_decoder(), random_taps(), random_text(2)
    decoder.omega.copy_(torch.tensor(omega))
    assert decoder.weights().sum().item() == pytest.approx(1)
    heat = decoder(taps, text)
    low, high = heat.taps.amin(1), heat.taps.amax(1)
    assert ((heat.logits >= low - 1e-3) & (heat.logits <= high + 1e-3)).all()
    one = DecoderConfig((Tap("a", 5, 8), Tap("b", 5, 8)), WIDTH)
    twin = HeatmapDecoder(one)
    twin.projections[1].load_state_dict(twin.projections[0].state_dict())
    twin.omega.copy_(torch.tensor(omega[:2]))
    same = twin([taps[0], taps[0]], text)
    assert torch.allclose(same.logits, same.taps[:, 0], atol=1e-4)


def test_context_in_time_and_space_starts_without_effect() -> None:
    torch.manual_seed(0)
    bare = HeatmapDecoder(DecoderConfig((Tap("fine", 5, 16),), WIDTH, temporal=False))
    full = HeatmapDecoder(DecoderConfig((Tap("fine", 5, 16, context=5),), WIDTH, temporal=True))
    missing = full.load_state_dict(bare.state_dict(), strict=False).missing_keys
    assert sorted(missing) == ["projections.0.around.weight", "projections.0.mixer"]
    taps, text = random_taps()[:1], random_text()
    assert torch.allclose(bare(taps, text).logits, full(taps, text).logits, atol=1e-4)
    full.projections[0].mixer[0] = 1.0  # type: ignore[index,operator]
    changed = full(taps, text).logits - bare(taps, text).logits
    assert changed.abs().max() > 0.1


def test_pieces_with_a_frame_of_overlap_give_what_the_whole_gives() -> None:
    decoder, taps, text = random_decoder(), random_taps(frames=9), random_text()
    whole = decoder(taps, text).level
    first = decoder([x[:, :5] for x in taps], text).level[:, :4]
    rest = decoder([x[:, 3:] for x in taps], text).level[:, 1:]
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-4)


def test_words_padding_and_repetition_change_nothing() -> None:
    decoder, taps = random_decoder(), random_taps(batch=1)
    text = random_text(4, 1, 2, 3, WIDTH)
    heat = decoder(taps, text).level
    padded = torch.cat([text, torch.zeros(1, 2, 2, WIDTH)], 2)
    there = torch.tensor([True, True, True, False, False]).expand(1, 2, 5)
    assert torch.allclose(decoder(taps, padded, there).level, heat, atol=1e-3)
    assert torch.allclose(decoder(taps, torch.cat([text, text], 2)).level, heat, atol=1e-3)
    single = text[:, :, :1]
    assert torch.allclose(decoder(taps, single).level, decoder(taps, single[:, :, 0]).level, atol=1e-5)


def test_a_calm_decoder_follows_the_looks_before_any_training() -> None:
    torch.manual_seed(1)
    decoder = HeatmapDecoder(CONFIG)
    normal, abnormal, other = torch.linalg.qr(torch.randn(WIDTH, 3)).Q.T
    decoder.calm(normal)
    taps = random_taps(batch=1)
    taps[2].zero_()
    taps[2][0, 1, 2, 3] = torch.cat([abnormal, torch.ones(1)])
    taps[2][0, 1, 2, 4] = torch.cat([other, torch.ones(1)])
    heat = decoder(taps, torch.stack([normal, abnormal])).prob[0]
    assert heat[1, 2, 3] == heat.max()
    look = decoder(taps, torch.stack([normal, abnormal])).taps[0, 2].softmax(0)[1]
    assert look[1, 2, 3] > 0.99 and look[0].max() < 0.01
    assert look[1, 2, 4] == pytest.approx(0.5, abs=0.05)


def test_a_planted_patch_comes_back_to_its_place() -> None:
    t, h, w, merge = 2, 4, 6, 2
    place = torch.arange(t * h * w).reshape(t, h, w)
    groups = place.reshape(t, h // merge, merge, w // merge, merge).transpose(2, 3).reshape(-1, merge * merge)
    window_index = torch.randperm(len(groups), generator=torch.Generator().manual_seed(0))
    tokens = groups[window_index].reshape(-1, 1).float()
    assert torch.equal(from_windows(tokens, window_index, (t, h, w))[..., 0].long(), place)
    plain = torch.cat([torch.full((t, 1, 1), -1.0), place.reshape(t, h * w, 1).float()], 1)
    assert torch.equal(from_rows(plain, (h, w), first=1)[..., 0].long(), place)
    with pytest.raises(ValueError, match="do not fit the grid"):
        from_windows(tokens[:-4], window_index, (t, h, w))
    with pytest.raises(ValueError, match="tokens a frame"):
        from_rows(plain, (h, w))


def test_the_paper_s_size_is_met() -> None:
    with torch.device("meta"):
        decoder = HeatmapDecoder(DecoderConfig.tower(1280, (0, 7, 15, 23, 31), 3584))
    assert sum(p.numel() for p in decoder.parameters()) == pytest.approx(24.93e6, rel=1e-3)


@pytest.mark.parametrize(("channels", "grid", "width"), [(1024, (24, 24), 768), (32, (4, 6), 64)])
def test_it_serves_towers_of_other_sizes(channels: int, grid: tuple[int, int], width: int) -> None:
    decoder = HeatmapDecoder(DecoderConfig.tower(channels, (0, 1), width, hidden=16, temporal=True))
    taps = [torch.randn(1, 2, *grid, channels) for _ in range(2)]
    heat = decoder(taps, torch.randn(2, width)).prob
    assert heat.shape == (1, 2, *grid)
    assert ((heat >= 0) & (heat <= 1)).all()
    assert enlarged(heat, (48, 48), temporal_patch=2).shape == (1, 4, 48, 48)


def test_wrong_configs_and_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="context is 4"):
        Tap("a", 3, 8, context=4)
    with pytest.raises(ValueError, match="needs 13 channels"):
        DecoderConfig((Tap("a", 3, 8, text_space=True),), WIDTH)
    with pytest.raises(ValueError, match="each with its own name"):
        DecoderConfig((Tap("a", 3), Tap("a", 3)), WIDTH)
    with pytest.raises(ValueError, match="widths"):
        random_decoder()(random_taps()[:2], random_text())
    with pytest.raises(ValueError, match="expected \\(2, D\\)"):
        random_decoder()(random_taps(), random_text(0, 2, WIDTH + 1))


def test_a_checkpoint_is_read_strictly(tmp_path: Path) -> None:
    decoder = random_decoder()
    (tmp_path / "config.json").write_text(json.dumps({"decoder": CONFIG.to_dict()}))
    save_file(decoder.state_dict(), tmp_path / "model.safetensors")
    again = HeatmapDecoder.load(tmp_path)
    assert again.config == CONFIG
    taps, text = random_taps(), random_text()
    assert torch.equal(again(taps, text).logits, decoder(taps, text).logits)
    state = decoder.state_dict()
    del state["omega"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="no decoder that can be read"):
        HeatmapDecoder.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="no decoder that can be read"):
        HeatmapDecoder.load(tmp_path)


def as_heat(prob: torch.Tensor) -> Heat:
    """A heat of these probabilities, one tap."""
    logits = torch.stack([torch.log1p(-prob), torch.log(prob)], 1)
    return Heat(logits, logits[:, None])


def mask_of(hot: bool) -> torch.Tensor:
    mask = torch.zeros(1, 2, 4, 6)
    if hot:
        mask[:, :, 1:3, 2:4] = 1
    return mask


@pytest.mark.parametrize("hot", [True, False])
def test_losses_order_perfect_undecided_and_inverted(hot: bool) -> None:
    mask = mask_of(hot)
    assert dice(mask, mask).item() == pytest.approx(0, abs=1e-6)
    perfect, undecided, inverted = (as_heat(x) for x in (mask.clamp(1e-6, 1 - 1e-6), mask * 0 + 0.5, 1 - mask * 0.999))
    inverted = as_heat((1 - mask).clamp(1e-3, 1 - 1e-3))
    assert focal(perfect.logits, mask).item() == pytest.approx(0, abs=1e-6)
    for mode in ("focal+dice", "ref"):
        losses = [heat_loss(h, mask, mode)["loss"].item() for h in (perfect, undecided, inverted)]
        assert losses[0] < 1e-3 < losses[1] < losses[2]


def test_dice_of_a_normal_clip_penalises_any_heat() -> None:
    heat = torch.full((1, 1, 4, 6), 0.25)
    assert dice(heat, torch.zeros_like(heat)).item() == pytest.approx(1 - 1 / (1 + heat.sum().item()))


def test_focal_with_gamma_zero_is_cross_entropy() -> None:
    heat, mask = as_heat(torch.rand(1, 2, 4, 6)), mask_of(True)
    assert focal(heat.logits, mask, 0).item() == pytest.approx(heat_loss(heat, mask, "ref")["loss"].item(), rel=1e-4)


def test_taps_are_supervised_with_a_quarter_each() -> None:
    heat, mask = as_heat(torch.full((1, 2, 4, 6), 0.3)), mask_of(True)
    terms = heat_loss(heat, mask)
    assert terms["loss"].item() == pytest.approx(1.25 * (terms["focal"] + terms["dice"]).item(), rel=1e-5)
    with pytest.raises(ValueError, match="choose one of"):
        heat_loss(heat, mask, "other")


def test_gradients_reach_every_part() -> None:
    with torch.enable_grad():
        decoder = HeatmapDecoder(CONFIG)
        for p in decoder.parameters():
            torch.nn.init.normal_(p, std=0.3)
        mask = torch.zeros(2, 3, 4, 6)
        mask[:, :, 1:3, 2:4] = 1
        heat_loss(decoder(random_taps(), random_text(0, 2, 2, 3, WIDTH)), mask)["loss"].backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_coverage_is_exact_on_grids_that_do_not_divide() -> None:
    mask = np.random.default_rng(0).random((45, 67)) < 0.3
    cells = coverage(mask, (4, 6))
    assert cells.shape == (4, 6)
    assert cells.mean() == pytest.approx(mask.mean(), abs=1e-6)
    assert coverage(np.ones((45, 67), bool), (4, 6)) == pytest.approx(1)


def test_small_things_keep_a_cell_and_large_ones_their_shape() -> None:
    masks = np.zeros((2, 32, 48), bool)
    masks[0, 1:3, 1:3] = True  # 4 of 64 pixels of a cell
    masks[0, 17:19, 30:32] = True
    masks[1, 8:24, 8:20] = True  # the last column of cells is half covered
    targets = cell_targets(masks, (4, 6))
    assert np.argwhere(targets[0]).tolist() == [[0, 0], [2, 3]]
    assert targets[1].sum() == 4 and targets[1, 1:3, 1:3].all()
    assert not cell_targets(np.zeros((1, 32, 48), bool), (4, 6)).any()


def test_frames_merge_in_pairs_and_the_last_alone() -> None:
    masks = np.zeros((5, 2, 2), bool)
    masks[1, 0, 0] = masks[4, 1, 1] = True
    merged = merged_frames(masks, 2)
    assert merged.shape == (3, 2, 2)
    assert merged[0, 0, 0] and not merged[1].any() and merged[2, 1, 1]


def test_frame_score_is_the_mean_of_the_hottest_cells() -> None:
    heat = torch.zeros(1, 34, 62)
    heat.view(-1)[:22] = torch.linspace(0.5, 1, 22)
    assert frame_score(heat).item() == pytest.approx(0.75)
