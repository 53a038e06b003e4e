"""Generation: pictures out of noise, from the project to what is served."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import matplotlib.image
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from examples.digits.prepare import prepare
from monitoring.analysis.windows import Analysis
from monitoring.ingest.columns import empty
from serving.runtimes.onnx import OnnxRuntime
from staytrue.checkpoint import WEIGHTS
from staytrue.errors import InvalidConfig
from staytrue.feature import Feature
from staytrue.project import Project, load
from staytrue.sections import MonitoringSection, TrainingSection
from staytrue.store import Store
from staytrue.verdicts import RetrainJob
from tests.killing import cut
from tests.unit.training.evaluate.judging import days_of
from training import checkpoint as checkpoints
from training import fit
from training.batches import Taken
from training.data.encode.encoder import learn
from training.data.rows import TrainingRows
from training.devices import Processor
from training.evaluate.generation import PictureJudge
from training.evaluate.parts import evaluated
from training.models.architectures import ARCHITECTURES, arguments_of, build
from training.models.assembly import assemble
from training.models.gan import energy_score, slopes
from training.models.generator import NOISE, Generator
from training.models.layout import Layout, Piece
from training.models.vae import VAE, divergence_of
from training.optim import Optimiser
from training.retrain import publish_run, retrain
from training.run import train
from training.sheet import SHEET
from training.tasks.generation import Generation, picture_of
from training.transfer.freezing import freeze

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Trainer = Callable[[str], Path]

YAML = """
name: digits
data: {source: digits.parquet, time: time, target: digit, features: {image: {kind: image, shape: [1, 8, 8]}}}
split: {block_days: 1, validation: 0.3}
model: {task: generation, architecture: vae, latent: 4, width: 16}
training: {epochs: 3, batch_size: 64, averaging: 0.9, checkpoint_seconds: 0}
export: {max_batch: 8}
"""
PICTURES = Layout([Piece(name="image", kind="image", begin=0, end=64, shape=[1, 8, 8])])
NAMES = ("vae", "vae_conv", "dcgan", "wgan_gp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the data, every other digit, and of the project file."""
    made = tmp_path_factory.mktemp("digits")
    prepare(made)
    every = pq.read_table(made / "digits.parquet")
    pq.write_table(every.take(np.arange(0, len(every), 2)), made / "digits.parquet")
    (made / "staytrue.yaml").write_text(YAML, encoding="utf-8")
    return made


def of(folder: Path, **model: Any) -> Project:
    """The project with other settings of the model."""
    project = load(folder / "staytrue.yaml")
    return project.model_copy(update={"model": project.model.model_copy(update=model)})


@pytest.fixture(scope="module")
def trained(folder: Path) -> Trainer:
    """A finished run of an architecture: to be read alone."""
    return functools.cache(lambda name: train(of(folder, architecture=name), opening="skip"))


@pytest.mark.parametrize("name", NAMES)
def test_every_generator_trains_is_proven_and_serves_bytes_of_noise(name: str, folder: Path, trained: Trainer) -> None:
    """Pictures between 0 and 255 of the size sent; the profile watches nothing, and a look at nothing does not fail."""
    project, run = of(folder, architecture=name), trained(name)
    record, reference, model = checkpoints.load(run)
    assert isinstance(model, Generator)
    assert set(record.evaluation["validation"]) - {"elbo"} == {
        f"{whose}{what}" for whose in ("", "shuffled_", "gaussian_") for what in ("discrepancy", "told_apart")
    }
    assert matplotlib.image.imread(run / SHEET).shape == (10 * 8 + 4, 16 * 8, 4)
    bundle = publish_run(Store(folder / f"store-{name}"), run, project)
    assert [spec.label() for spec in bundle.signature.inputs] == ["FP32 [-1,4]"]
    runtime = OnnxRuntime(
        Store(folder / f"store-{name}").path("digits", bundle.version) / "model.onnx", bundle.signature
    )
    noise = np.array([[0, 1, -1, 2], [np.nan, 1e30, -1e30, 0]], dtype=np.float32)
    pictures = runtime.run({NOISE: noise})["image"]
    runtime.close()
    assert pictures.shape == (2, 1, 8, 8)
    assert pictures.dtype == np.dtype(np.float32)
    assert 0 <= pictures.min() <= pictures.max() <= 255
    assert reference.columns == []
    window = Analysis(bundle, reference, MonitoringSection(), 0.0).look(empty(bundle.signature), 0.0, 86400.0)
    assert (window.rows, {item.sufficiency for item in window.drift}) == (0, {"insufficient"})


@pytest.mark.parametrize(("steps", "mover"), [(1, "critic"), (2, "generator")])
def test_what_went_wrong_is_looked_for_in_the_network_whose_turn_it_was(steps: int, mover: str) -> None:
    """The turn has moved on by the time that somebody looks; afterwards it stands where it stood."""
    states = learn(
        TrainingRows(np.arange(6.0), {"image": np.arange(384, dtype=np.uint8).reshape(6, 1, 8, 8)}, np.zeros(6)),
        {"image": Feature(kind="image", shape=[1, 8, 8])},
    )
    task = Generation("y", picture_of("image", Feature(kind="image", shape=[1, 8, 8])), "validation_energy")
    model = assemble(states, "dcgan", {"latent": 3, "width": 4}, task)
    rows = Taken(torch.randn(6, 64), [(torch.zeros(6, 1), torch.ones(6, 1))])
    optimiser = Optimiser(model.head, TrainingSection(), 9)
    for _ in range(steps):
        model.head.train()(rows.matrix)
    stands = model.head.get_buffer("turn").item()
    scene = fit._scene(model, model.head, task.loss(TrainingSection()), rows, torch.arange(6), optimiser)
    scene.losses().sum().backward()  # type: ignore[no-untyped-call]
    assert {name.split(".")[0] for name, weight in model.head.named_parameters() if weight.grad is not None} == {mover}
    assert model.head.get_buffer("turn").item() == stands


def test_a_vae_tells_the_bound_that_it_was_judged_by(trained: Trainer) -> None:
    """With the other sign, in nats; what cannot give one tells none."""
    run = trained("vae")
    lines = [msgspec.json.decode(line) for line in (run / checkpoints.METRICS).read_bytes().splitlines()]
    record = checkpoints.load(run)[0]
    bound = record.evaluation["validation"]["elbo"]
    assert bound.value == pytest.approx(-lines[record.best_epoch - 1]["validation_negative_elbo"], rel=0.05)
    assert bound.low < bound.value < bound.high
    assert "elbo" not in checkpoints.load(trained("dcgan"))[0].evaluation["validation"]


def test_few_pictures_have_no_scores_and_say_so() -> None:
    judge = PictureJudge(np.zeros((3, 4)), np.ones((3, 4)), None, np.arange(3.0), 0)
    part = evaluated(judge, [], days_of(judge.times), minimum_rows=1, seed=0)
    assert part.metrics == {}
    assert part.absent == {"discrepancy": "3 pictures, at least 16 can be halved and compared"}


@pytest.mark.parametrize("name", ["vae", "wgan_gp"])
def test_a_killed_run_goes_on_to_the_same_weights(name: str, folder: Path, trained: Trainer) -> None:
    """In the middle of the second epoch, between two turns of the critic."""
    project, whole = of(folder, architecture=name), trained(name)
    run = cut(project, 8)
    assert train(project, opening="skip", resume=run) == run
    assert (run / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


@pytest.mark.parametrize(("name", "critic_steps"), [("dcgan", 1), ("wgan_gp", 3)])
def test_only_whose_turn_it_is_moves(name: str, critic_steps: int, folder: Path) -> None:
    """The critic so many times, then the generator once, with the loop's own optimiser and its decay."""
    body = build(name, PICTURES, {"latent": 4, "width": 8, "critic_steps": critic_steps})
    body.train()
    optimiser = Optimiser(body, load(folder / "staytrue.yaml").training, 100)
    moved = []
    for _ in range(2 * (critic_steps + 1)):
        before = {key: value.clone() for key, value in body.named_parameters()}
        optimiser.step(body(torch.rand(6, 64))[:, :1].mean())
        moved.append({key.split(".")[0] for key, value in body.named_parameters() if not value.equal(before[key])})
    assert moved == ([{"critic"}] * critic_steps + [{"generator"}]) * 2


def test_the_divergence_is_that_of_normals() -> None:
    """Closed form, and torch's own."""
    mean, log_variance = torch.tensor([[0.3, -2.0]]), torch.tensor([[0.5, -1.0]])
    normal = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum()
    assert divergence_of(mean, log_variance).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_bound_lies_below_the_likelihood() -> None:
    """A decoder without weights gives each pixel N(0,1): the bound of its own encoder is no better."""
    body = VAE(PICTURES, latent=4, width=8).eval()
    with torch.no_grad():
        for name, parameter in body.named_parameters():
            if name.startswith("decoder"):
                parameter.zero_()
    matrix = torch.randn(50, 64)
    bound = body(matrix)[:, 1]
    truth = 0.5 * matrix.square().sum(dim=1) + 64 * (0.5 * math.log(2 * math.pi) - math.log(0.01))
    assert (bound >= truth - 1e-3).all()
    assert torch.equal(bound, body(matrix)[:, 1])  # judged by the same draws each time


def test_the_slope_of_a_linear_critic_is_the_length_of_its_weights() -> None:
    """Closed form: 5 of (3, 4)."""
    linear = torch.nn.Linear(2, 1)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, 4.0]]))
    critic = torch.nn.Sequential(torch.nn.Flatten(), linear)
    torch.testing.assert_close(slopes(critic, torch.rand(7, 1, 1, 2)), torch.full((7, 1), 5.0))


class Valley(torch.nn.Linear):
    """Level at 0, steeper away from it."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """A square."""
        return super().forward(pictures.flatten(1)).square()


def test_a_picture_without_a_slope_does_not_spoil_the_gradient() -> None:
    """Of a root at 0 it would be no number, and a sum with one is none."""
    critic = Valley(2, 1, bias=False)
    pictures, found = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).reshape(2, 1, 1, 2), []
    for some in (pictures, pictures[1:]):
        critic.zero_grad()
        slope = slopes(critic, some)
        torch.autograd.backward((slope - 1).square().sum())
        assert critic.weight.grad is not None
        found.append(critic.weight.grad.clone())
        assert slope[:-1].tolist() == [[0.0]] * (len(some) - 1)
    assert found[0].isfinite().all()
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("name", ["dcgan", "wgan_gp"])
def test_networks_in_turns_train_in_sixteen_bits_on_pictures_of_thirty_two(name: str) -> None:
    """Made pictures have fewer bits than real ones, and are mixed with them."""
    torch.manual_seed(0)
    body = build(name, PICTURES, {"width": 4, "latent": 3, "critic_steps": 1})
    for part in ("critic", "generator"):
        body.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = body(torch.rand(8, 64)).float().sum()
        torch.autograd.backward(loss)
        moved = {key.split(".")[0] for key, weight in body.named_parameters() if weight.grad is not None}
        assert part in moved
        assert all(weight.grad.isfinite().all() for weight in body.parameters() if weight.grad is not None)


def test_frozen_weights_of_a_critic_stay_frozen() -> None:
    """Though all of it is held still for the generator's turn; one that is wholly frozen has no turn to take."""
    body = build("dcgan", PICTURES, {"width": 4, "latent": 3, "critic_steps": 1})
    freeze(body, ["critic.layers.*"])
    told = {name: weight.requires_grad for name, weight in body.named_parameters()}
    for _ in range(4):
        torch.autograd.backward(body(torch.rand(8, 64)).sum())
    assert {name: weight.requires_grad for name, weight in body.named_parameters()} == told
    freeze(body, ["critic.*"])
    with pytest.raises(InvalidConfig, match=r"some of the critic to train.*all of critic\.\* frozen"):
        body(torch.rand(8, 64))


def test_the_energy_score_is_least_for_the_right_law() -> None:
    """Of normal points in one direction the mean is E|X - Y| / 2 = 1/√π."""
    draw = torch.Generator().manual_seed(0)
    real, made = torch.randn(4000, 1, generator=draw), torch.randn(2000, 1, generator=draw)
    right = energy_score(real, made).mean().item()
    assert right == pytest.approx(1 / math.sqrt(math.pi), abs=0.02)
    assert energy_score(real, made + 1).mean().item() > right + 0.1
    assert energy_score(real, made * 2).mean().item() > right + 0.05


def test_what_does_not_go_together_is_refused(folder: Path) -> None:
    """A generator for another task, another architecture for this one, settings of another."""
    for model, said in (
        ({"architecture": "resnet"}, "for task generation, and for no other, got resnet for generation"),
        ({"task": "regression"}, "got vae for regression"),
        ({"critic_steps": 2}, "model.critic_steps: is no setting of vae"),
        ({"output": "positive"}, "linear for generation"),
    ):
        with pytest.raises(InvalidConfig, match=said):
            train(of(folder, **model))
    project = of(folder)
    other = project.model_copy(update={"training": project.training.model_copy(update={"loss": "mse"})})
    with pytest.raises(InvalidConfig, match="mse is not for generation"):
        train(other)
    shared = of(folder, architecture="dcgan")
    shared = shared.model_copy(update={"training": shared.training.model_copy(update={"processes": 2})})
    with pytest.raises(InvalidConfig, match="1 for dcgan, which has turns"):
        arguments_of(shared)
    machine = Processor()
    machine.processes = 2  # as torchrun starts them
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run.devices", lambda _: machine)
        with pytest.raises(
            InvalidConfig, match=r"training\.processes: expected 1 for dcgan.*got 2; start one, or take"
        ):
            train(of(folder, architecture="dcgan"))
    job = RetrainJob(id="1", model="digits", champion="1", trigger="drift", event_time=0.0, created=0.0)
    with pytest.raises(InvalidConfig, match="no labels that a challenger could be judged by"):
        retrain(project, job)
    assert {name for name, body in ARCHITECTURES.items() if hasattr(body, "GENERATES")} == set(NAMES)
    assert arguments_of(of(folder)) == {"width": 16, "latent": 4}
