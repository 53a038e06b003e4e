"""Statistics of batch norms under averaged weights: those of a pass over the rows that train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from staytrue.checkpoint import WEIGHTS
from tests.killing import cut
from tests.unit.training.conftest import write_project
from training import checkpoint as checkpoints
from training.data.encode.encoder import tensors
from training.models.gan import DCGAN
from training.models.layout import Layout, Piece
from training.optim import statistics
from training.prepare import prepare
from training.run import train
from training.transfer.freezing import hold

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project


def network() -> nn.Sequential:
    """With dropout, which must not be seen in what is taken."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 1))


def test_they_are_mean_and_variance_of_what_the_weights_make_of_the_rows() -> None:
    """Closed form, and as PyTorch's own recomputation where nothing is dropped; nothing is drawn."""
    module, rows = network(), torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    norm, before = module[2], torch.get_rng_state()
    assert isinstance(norm, nn.BatchNorm1d)
    statistics.take(module, lambda: torch.split(rows, 16))
    made = module[0](rows).detach()
    torch.testing.assert_close(norm.running_mean, made.mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([part.var(0) for part in torch.split(made, 16)]).mean(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert (norm.momentum, norm.training, module.training) == (0.1, False, False)
    theirs = network()
    theirs[1] = nn.Identity()
    torch.optim.swa_utils.update_bn([(part,) for part in torch.split(rows, 16)], theirs)
    torch.testing.assert_close(norm.running_mean, theirs[2].running_mean)
    torch.testing.assert_close(norm.running_var, theirs[2].running_var)


def test_frozen_norms_and_those_that_no_row_gets_to_keep_theirs() -> None:
    """A generator's are taken from its pictures, a critic's stay."""
    module = network()
    hold(module[2])
    statistics.take(module, lambda: [torch.randn(8, 3)])
    assert module.get_buffer("2.running_mean").tolist() == [0, 0, 0, 0]
    gan = DCGAN(Layout([Piece(name="p", kind="image", begin=0, end=64, shape=[1, 8, 8])]), latent=3, width=4)
    kept = {name: value.clone() for name, value in gan.critic.state_dict().items()}
    begun = {name: value.clone() for name, value in gan.generator.state_dict().items()}
    statistics.take(gan, lambda: [torch.randn(8, 64)])
    assert all(torch.equal(value, kept[name]) for name, value in gan.critic.state_dict().items())
    moved = {name for name, value in gan.generator.state_dict().items() if not torch.equal(value, begun[name])}
    assert {name.rpartition(".")[2] for name in moved} == {"running_mean", "running_var"}


@pytest.fixture
def normed(tmp_path: Path) -> Project:
    """Few epochs at a high rate, after which single steps are far from their average."""
    project = write_project(tmp_path)
    training: dict[str, Any] = {"epochs": 3, "averaging": 0.95, "schedule": "fixed", "checkpoint_seconds": 0}
    return project.model_copy(
        update={
            "training": project.training.model_copy(update=training),
            "model": project.model.model_copy(update={"normalisation": "batch", "dropout": 0.2}),
        }
    )


def test_a_trained_model_keeps_those_of_its_averaged_weights(normed: Project) -> None:
    """Equal to a pass over all training rows."""
    run = train(normed, opening="skip")
    _, _, model = checkpoints.load(run)
    rows = prepare(normed).training.only(normed.data.features)
    matrix = model.encoder(*tensors(rows.columns, model.encoder.states))
    (norm,) = statistics.compared(model.head)
    seen: list[torch.Tensor] = []
    norm.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    model.head.eval()(matrix)
    kept = dict(norm.named_buffers())
    torch.testing.assert_close(kept["running_mean"], seen[0].detach().mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(kept["running_var"], seen[0].detach().var(0), rtol=1e-4, atol=1e-5)


def test_a_killed_run_goes_on_to_the_same_ones(normed: Project) -> None:
    """In the middle of an epoch, and right behind one."""
    whole = train(normed, opening="skip")
    for kept in (4, 12):
        run = cut(normed, kept)
        assert train(normed, opening="skip", resume=run) == run
        assert (run / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
