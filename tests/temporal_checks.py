"""What every temporal head must pass (invariants of weak supervision), for the tests of each to call."""

from collections.abc import Callable

import torch

from tvad.temporal.base import HeadOutput, TemporalHead

Maker = Callable[[], TemporalHead]  # a head for features of WIDTH numbers and CLASSES classes, the same each time
WIDTH, CLASSES, STEPS = 32, 4, 16
TIGHT = 1e-5


def batch(
    seed: int = 0, lengths: tuple[int, ...] = (16, 9, 1, 12), steps: int = STEPS
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (B, T, WIDTH), mask and labels (B, CLASSES): every other video is normal."""
    dice = torch.Generator().manual_seed(seed)
    x = torch.randn(len(lengths), steps, WIDTH, generator=dice)
    mask = torch.arange(steps)[None, :] < torch.tensor(lengths)[:, None]
    y = torch.zeros(len(lengths), CLASSES)
    for n in range(len(lengths)):
        y[n, 0 if n % 2 else 1 + (n // 2) % (CLASSES - 1)] = 1
    return x * mask[..., None], mask, y


def outputs(out: HeadOutput) -> list[torch.Tensor]:
    return [v for v in (out.logits, out.scores, out.class_logits, out.class_probs) if v is not None]


def check_padding(make: Maker) -> None:
    """What stands on padded steps changes no output of a real step, no loss and no gradient."""
    found = []
    for filler in (0.0, 37.0):
        head = make().eval()
        x, mask, y = batch()
        x = torch.where(mask[..., None], x, torch.full_like(x, filler)).requires_grad_()
        out = head(x, mask, y=y)
        losses = head.loss(out, y, mask)
        losses["total"].backward()
        grads = [p.grad.clone() for p in head.parameters() if p.grad is not None]
        assert x.grad is not None and not x.grad[~mask].any()
        found.append(([v.detach()[mask] for v in outputs(out)], losses["total"].detach(), grads))
    (a, loss_a, grads_a), (b, loss_b, grads_b) = found
    for left, right in zip(a, b, strict=True):
        torch.testing.assert_close(left, right, rtol=TIGHT, atol=TIGHT)
    torch.testing.assert_close(loss_a, loss_b, rtol=TIGHT, atol=TIGHT)
    for left, right in zip(grads_a, grads_b, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=TIGHT)


def check_longer_padding(make: Maker) -> None:
    """Nor does it matter how much is padded."""
    head = make().eval()
    x, mask, y = batch()
    longer = torch.nn.functional.pad(x, (0, 0, 0, STEPS)), torch.nn.functional.pad(mask, (0, STEPS))
    with torch.no_grad():
        short, long = head(x, mask, y=y), head(*longer, y=y)
    for left, right in zip(outputs(short), outputs(long), strict=True):
        torch.testing.assert_close(left[mask], right[:, :STEPS][mask], rtol=1e-4, atol=1e-5)


def check_batch_order(make: Maker) -> None:
    """Another order of the batch is another order of the outputs, and the same loss."""
    head = make().eval()
    x, mask, y = batch()
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        out, turned = head(x, mask, y=y), head(x[order], mask[order], y=y[order])
        losses = [head.loss(out, y, mask)["total"], head.loss(turned, y[order], mask[order])["total"]]
    for left, right in zip(outputs(out), outputs(turned), strict=True):
        torch.testing.assert_close(left[order][mask[order]], right[mask[order]], rtol=TIGHT, atol=TIGHT)
    torch.testing.assert_close(*losses, rtol=TIGHT, atol=TIGHT)


def check_range(make: Maker) -> None:
    """Scores in [0, 1] and zero on padding; class probabilities of real steps sum to 1."""
    head = make().eval()
    x, mask, y = batch()
    with torch.no_grad():
        out = head(x * 5, mask, y=y)
    assert out.scores.shape == mask.shape and bool(((out.scores >= 0) & (out.scores <= 1)).all())
    assert not out.scores[~mask].any()
    if out.class_probs is not None:
        assert out.class_probs.shape == (*mask.shape, CLASSES)
        torch.testing.assert_close(out.class_probs[mask].sum(-1), torch.ones(int(mask.sum())), rtol=1e-4, atol=1e-4)


def check_length_one(make: Maker) -> None:
    """A video of one snippet works, in training and after."""
    x, mask, y = batch(lengths=(1, 1), steps=1)
    for mode in (True, False):
        head = make().train(mode)
        losses = head.loss(head(x, mask, y=y), y, mask)
        losses["total"].backward()
        assert torch.isfinite(losses["total"])
        assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def check_same_twice(make: Maker) -> None:
    """eval() answers the same twice, to the bit."""
    head = make().eval()
    x, mask, y = batch()
    with torch.no_grad():
        for left, right in zip(outputs(head(x, mask, y=y)), outputs(head(x, mask, y=y)), strict=True):
            assert torch.equal(left, right)


def check_learns(make: Maker, rate: float = 3e-3, steps: int = 200, share: float = 0.2) -> None:
    """On four videos that can be told apart the loss falls below a share of its start."""
    torch.manual_seed(0)
    head = make().train()
    dice = torch.Generator().manual_seed(1)
    x = 0.1 * torch.randn(4, STEPS, WIDTH, generator=dice)
    y = torch.zeros(4, CLASSES)
    for n in range(4):
        y[n, 0 if n % 2 else 1 + n // 2] = 1
        if n % 2 == 0:
            x[n, 4:9, n] += 2.0
        x[n, :, WIDTH - 1] += 1.0
    mask = torch.ones(4, STEPS, dtype=torch.bool)
    optimiser = torch.optim.Adam([p for p in head.parameters() if p.requires_grad], rate)
    curve = []
    for _ in range(steps):
        optimiser.zero_grad()
        total = head.loss(head(x, mask, y=y), y, mask)["total"]
        total.backward()
        optimiser.step()
        curve.append(float(total.detach()))
        if curve[-1] < share * curve[0]:
            return
    raise AssertionError(f"the loss fell from {curve[0]:.3f} to {min(curve):.3f} only, in {steps} steps")


def check_saved(make: Maker) -> None:
    """Weights go into another head of the same kind, which then says the same; bfloat16 says nearly the same."""
    head, other = make().eval(), make().eval()
    with torch.no_grad():
        for p in other.parameters():
            p.add_(0.1)
    other.load_state_dict(head.state_dict())
    x, mask, y = batch()
    with torch.no_grad():
        out, same = head(x, mask, y=y), other(x, mask, y=y)
        half = other.bfloat16()(x.bfloat16(), mask, y=y)
    for left, right in zip(outputs(out), outputs(same), strict=True):
        assert torch.equal(left, right)
    torch.testing.assert_close(out.scores, half.scores.float(), rtol=0.1, atol=0.1)
    if out.class_probs is not None and half.class_probs is not None:
        torch.testing.assert_close(out.class_probs, half.class_probs.float(), rtol=0.1, atol=0.1)


ALL = (
    check_padding,
    check_longer_padding,
    check_batch_order,
    check_range,
    check_length_one,
    check_same_twice,
    check_learns,
    check_saved,
)
