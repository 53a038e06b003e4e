"""Transferred: what of a file goes into a model, what is told of it, and what is refused."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch
from torch import nn

from staytrue.command import main
from staytrue.errors import CorruptData, InvalidConfig, InvalidInput, Unsupported
from staytrue.sections import TrainingSection
from staytrue.transferring import TransferSection
from training.devices import joined
from training.optim import Optimiser
from training.transfer.freezing import freeze
from training.transfer.layers import factors, groups, layers
from training.transfer.reading import check, read
from training.transfer.report import chapter, summary
from training.transfer.transferred import transferred

if TYPE_CHECKING:
    from pathlib import Path

    from training.transfer.report import Report


YAML = """
name: toy
data: {{source: gone.csv, time: at, target: y, features: {{x: {{kind: numeric}}}}}}
training:
  epochs: 1
  transfer:
    weights: {}
"""


def network(classes: int = 3, seed: int = 0) -> nn.Sequential:
    """Two numbered blocks with norms, and a last layer. 4*5 + 5*2 + 5*6 + 6*2 + 6*classes + classes parameters."""
    torch.manual_seed(seed)
    trunk = [nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 6, bias=False), nn.BatchNorm1d(6)]
    return nn.Sequential(*trunk, nn.Linear(6, classes))


def saved(path: Path, module: nn.Module, before: str = "") -> Path:
    """Its state as safetensors."""
    safetensors.torch.save_file({f"{before}{name}": value for name, value in module.state_dict().items()}, path)
    return path


def begin(module: nn.Module, weights: Path, **given: Any) -> Report:
    """The report of a transfer."""
    report = transferred(module, TransferSection.model_validate({"weights": weights, **given}))
    assert report is not None
    return report


@pytest.mark.parametrize("before", ["", "module.", "net.encoder."])
@pytest.mark.parametrize("wrapped", [False, True])
def test_prefixes_of_the_file_and_of_the_model_come_off(tmp_path: Path, before: str, wrapped: bool) -> None:
    """To the bit, statistics of norms too; the new last layer stays as it was and is named."""
    source, model = network(3, seed=1), network(7)
    source.get_buffer("1.running_mean").fill_(0.25)
    fresh = model.get_parameter("4.weight").clone()
    held = nn.ModuleDict({"body": model}) if wrapped else model
    report = begin(held, saved(tmp_path / "w.safetensors", source, before))
    for name, value in source[:4].state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert torch.equal(model.get_parameter("4.weight"), fresh)
    inside = "body." if wrapped else ""
    assert report.head == [f"{inside}4.weight", f"{inside}4.bias"]
    assert report.share == pytest.approx(72 / (72 + 49))
    assert report.prefix_file == before
    assert not report.missing
    assert not report.warnings
    assert f"the last layer is fresh: {inside}4.weight, {inside}4.bias" in summary(report)
    assert [row[1] for row in chapter(report).tables[0].rows] == [12, 2, 2, 0, 0, 0]


def test_nothing_set_is_nothing_done() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    assert transferred(model, TransferSection()) is None
    assert groups(model, TransferSection()) == []
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_names_that_do_not_fit_fail_with_near_ones(tmp_path: Path) -> None:
    """Never a silent fresh model; a rename puts it right."""
    source = nn.ModuleDict({f"block{place}": layer for place, layer in enumerate(network(seed=1))})
    path = saved(tmp_path / "w.safetensors", source)
    with pytest.raises(
        InvalidConfig, match=r"at least 50% of the model's 93 parameters, got 0% from .*0\.weight \(block0\.w"
    ):
        begin(network(), path)
    assert begin(network(), path, rename={r"^block(\d+)": r"\1"}).share == 1
    with pytest.raises(InvalidConfig, match="'layer' fits no name of the file; names are like block"):
        begin(network(), path, rename={"layer": ""})
    with pytest.raises(InvalidConfig, match="both become 'x"):
        begin(network(), path, rename={r"^block\d": "x"})


def test_names_that_fit_with_other_shapes_are_told_with_both(tmp_path: Path) -> None:
    """What helps is another size of the model, and no other name; the setting's line is told by the command."""
    wide = nn.Sequential(nn.Linear(4, 7, bias=False), nn.BatchNorm1d(7), nn.Linear(7, 6, bias=False))
    narrow = nn.Sequential(nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 6, bias=False))
    told = (
        r"training\.transfer\.weights: names fit, and shapes do not: 0\.weight \[7, 4\] there and \[5, 4\] here, .*, "
        r"expected at least 0\.1% of the model's 60 parameters, got 0% from .*; set the sizes of model \(width, depth"
    )
    with pytest.raises(InvalidConfig, match=told) as raised:
        begin(narrow, saved(tmp_path / "w.safetensors", wide), at_least=0.001)
    assert "rename" not in str(raised.value)


def test_two_parts_that_fit_alike_must_be_chosen_from(tmp_path: Path) -> None:
    """A student and a teacher: neither is guessed."""
    both = nn.ModuleDict({"student": network(seed=1), "teacher": network(seed=2)})
    path = saved(tmp_path / "w.safetensors", both)
    with pytest.raises(InvalidConfig, match=r"fit the model alike, got 'student\.' and 'teacher\.'; say which"):
        begin(network(), path)
    model = network()
    report = begin(model, path, rename={"^teacher\\.": ""})
    assert torch.equal(model.get_parameter("0.weight"), both.get_parameter("teacher.0.weight"))
    assert len(report.unused) == 14


def test_what_differs_below_the_last_layer_is_warned_of(tmp_path: Path) -> None:
    """Other shapes, and tensors that the file lacks."""
    source = network(seed=1)
    source[2] = nn.Linear(5, 9, bias=False)
    del source[3]
    report = begin(network(), saved(tmp_path / "w.safetensors", source), at_least=0.1, rename={r"^3\.": "4."})
    assert [(one.name, one.file, one.model) for one in report.other_shape] == [("2.weight", [9, 5], [6, 5])]
    assert report.warnings == [
        "2.weight is [9, 5] in the file and [6, 5] in the model, so it stays fresh",
        "5 tensors below the last layer are not in the file, 3.weight is one",
    ]
    assert chapter(report).tables[1].rows == [["2.weight", "[9, 5]", "[6, 5]"]]


def test_layers_named_fresh_stay_so_and_half_precision_becomes_full(tmp_path: Path) -> None:
    source, model = network(seed=1).half(), network()
    before = model.get_parameter("4.weight").clone()
    report = begin(model, saved(tmp_path / "w.safetensors", source), fresh=["4.*"])
    assert torch.equal(model.get_parameter("4.weight"), before)
    assert model.get_parameter("0.weight").dtype is torch.float32
    assert torch.equal(model.get_parameter("0.weight"), source.get_parameter("0.weight").float())
    assert report.head == ["4.weight", "4.bias"]
    assert not report.warnings


def test_tied_weights_count_once_they_are_there(tmp_path: Path) -> None:
    """One of two names of the same tensor is enough."""
    model = nn.ModuleDict({"a": nn.Linear(3, 3, bias=False), "b": nn.Linear(3, 3, bias=False)})
    model["b"].weight = model["a"].weight
    safetensors.torch.save_file({"a.weight": torch.ones(3, 3)}, tmp_path / "w.safetensors")
    report = begin(model, tmp_path / "w.safetensors")
    assert (report.share, report.missing) == (1, [])


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    source = network(seed=1)
    source.get_parameter("0.weight").data[0, 0] = torch.nan
    with pytest.raises(InvalidInput, match=r"0\.weight of training\.transfer\.weights: expected finite"):
        begin(network(), saved(tmp_path / "w.safetensors", source))


def test_shards_are_read_as_one(tmp_path: Path) -> None:
    state = network(seed=1).state_dict()
    names = {name: f"model-{place % 2}.safetensors" for place, name in enumerate(state)}
    for shard in set(names.values()):
        safetensors.torch.save_file({n: state[n] for n in names if names[n] == shard}, tmp_path / shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}), encoding="utf-8")
    assert begin(network(), tmp_path).share == 1


def test_a_file_of_pytorch_gives_its_tensors_wherever_they_are(tmp_path: Path) -> None:
    """Found where there are those alone: what an optimiser remembers lies deeper. Else the key says."""
    model = network(seed=1)
    remembered = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 4)).sum().backward()
    remembered.step()
    state = model.state_dict()
    torch.save(state, tmp_path / "flat.pt")
    torch.save({"epoch": 3, "model": state, "optimiser": remembered.state_dict()}, tmp_path / "nested.pt")
    torch.save({"model": state, "average": state}, tmp_path / "two.pt")
    assert read(tmp_path / "flat.pt").keys() == read(tmp_path / "nested.pt").keys() == state.keys()
    with pytest.raises(InvalidConfig, match=r"training\.transfer\.key: expected one of model, average"):
        read(tmp_path / "two.pt")
    assert read(tmp_path / "two.pt", "average").keys() == state.keys()
    with pytest.raises(InvalidConfig, match=r"has no 'averages', got model, average"):
        read(tmp_path / "two.pt", "averages")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InvalidConfig, match=r"expected tensors by name in .*list\.pt, got list"):
        read(tmp_path / "list.pt")


def test_what_would_run_code_or_is_broken_is_refused(tmp_path: Path) -> None:
    """A whole module holds classes: what reads it would import and call them."""
    torch.save(network(), tmp_path / "module.pt")
    with pytest.raises(Unsupported, match=r"holds more than tensors \(.*Sequential.*save module\.state_dict\(\)"):
        read(tmp_path / "module.pt")
    (tmp_path / "noise.pt").write_bytes(b"noise" * 10)
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 10)
    for name in ("noise.pt", "noise.safetensors"):
        with pytest.raises(
            CorruptData, match=rf"^training\.transfer\.weights: .*{name} .*; fetch it anew and whole, or"
        ):
            read(tmp_path / name)


def test_a_file_that_is_gone_or_cut_off_is_told_by_setting_and_line_before_data_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data there are none."""
    torch.save(network().state_dict(), tmp_path / "cut.pt")
    safetensors.torch.save_file(network().state_dict(), tmp_path / "cut.safetensors")
    for name in ("cut.pt", "cut.safetensors"):
        check(TransferSection(weights=tmp_path / name))
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-40])
    yaml = tmp_path / "staytrue.yaml"
    for name, said in (("cut.pt", "is cut off"), ("cut.safetensors", "is not safetensors"), ("gone", "does not exist")):
        yaml.write_text(YAML.format(name), encoding="utf-8")
        assert main(["train", "--project", str(yaml)]) == 1
        told = capsys.readouterr().err
        assert f"{yaml}:7 training.transfer.weights: {tmp_path / name} {said}" in told
        assert "; fetch it anew and whole" in told or "; name a file or folder of weights" in told


def test_frozen_layers_and_their_norms_stay_to_the_bit(tmp_path: Path) -> None:
    """Through steps with decay and averaging; the copy that averaging keeps is frozen alike."""
    model = network()
    report = begin(model, saved(tmp_path / "w.safetensors", network(seed=1)), freeze=["*", "!2.*", "!3.*", "!4.*"])
    before = copy.deepcopy(model.state_dict())
    assert (report.frozen, report.frozen_numbers) == (["0.weight", "1.bias", "1.weight"], 30)
    optimiser = Optimiser(model, TrainingSection(averaging=0.5), 3)
    for _ in range(3):
        model.train()
        optimiser.step(model(torch.randn(8, 4)).square().mean())
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved >= {"2.weight", "3.weight", "3.running_mean", "4.weight"}
    assert not {name for name in moved if name[0] in "01"}
    kept = optimiser.kept.train()
    assert [layer.training for layer in kept.children()] == [True, False, True, True, True]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"freeze": ["*"]}, "leaves nothing to train"),
        ({"freeze": ["4.*"]}, r"names 4\.bias, which the file does not give"),
        ({"freeze": ["0.weigth"]}, r"freeze: '0\.weigth' fits no parameter of the model; did you mean '0\.weight'"),
        ({"rates": {"nine.*": 2}}, r"rates: 'nine\.\*' fits no parameter of the model; names are like 0\.weight"),
    ],
)
def test_patterns_that_cannot_be_meant_are_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        begin(network(7), saved(tmp_path / "w.safetensors", network(seed=1)), **given)


def test_a_norm_without_parameters_is_frozen_by_its_statistics(tmp_path: Path) -> None:
    def plain() -> nn.Sequential:
        return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False), nn.Linear(4, 2))

    model = plain()
    begin(model, saved(tmp_path / "w.safetensors", plain()), freeze=["0.*", "1.*"])
    assert [layer.training for layer in model.train()] == [True, False, True]


def test_frozen_norms_stay_so_where_processes_join_their_statistics() -> None:
    """Norms are made anew for that."""
    body = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    freeze(body, ["1.*"])
    made = list(joined(body).train().children())
    assert [type(part) for part in made] == [nn.Linear, nn.SyncBatchNorm, nn.SyncBatchNorm]
    assert [part.training for part in made] == [True, False, True]
    assert not any(weight.requires_grad for weight in made[1].parameters())


def test_rates_fall_from_layer_to_layer_and_by_pattern() -> None:
    """Norms learn as the layer before them; closed form: half a layer down, times the pattern's factor."""
    model = nn.ModuleDict({"body": network()})
    settings = TransferSection(layer_decay=0.5, rates={"*": 1, "4.bias": 10, "0.*": 3})
    assert layers(model) == [
        ["body.0.weight", "body.1.weight", "body.1.bias"],
        ["body.2.weight", "body.3.weight", "body.3.bias"],
        ["body.4.weight", "body.4.bias"],
    ]
    assert factors(model, settings) == {
        "body.0.weight": 0.75,
        "body.1.weight": 0.25,
        "body.1.bias": 0.25,
        "body.2.weight": 0.5,
        "body.3.weight": 0.5,
        "body.3.bias": 0.5,
        "body.4.weight": 1,
        "body.4.bias": 10,
    }
    report = transferred(model, settings)
    assert report is not None
    assert [(rate.factor, rate.numbers) for rate in report.rates] == [
        (0.25, 10),
        (0.5, 42),
        (0.75, 20),
        (1, 18),
        (10, 3),
    ]
    assert chapter(report).tables[1].rows[0] == [0.25, 10]
    assert summary(report) == "All 93 parameters are fresh."
    assert {factor: len(weights) for weights, factor in groups(model, settings)} == {0.75: 1, 0.25: 2, 0.5: 3, 10: 1}


def test_a_step_of_gradient_descent_moves_by_rate_times_factor() -> None:
    """Closed form: the gradient of a sum of weights is one."""
    model = network()
    settings = TrainingSection(
        optimiser="sgd", schedule="fixed", learning_rate=0.5, averaging=0, transfer=TransferSection(rates={"0.*": 0.25})
    )
    before = copy.deepcopy(model.state_dict())
    Optimiser(model, settings, 1, groups=groups(model, settings.transfer)).step(
        torch.stack([weight.sum() for weight in model.parameters()]).sum()
    )
    for name, factor in (("0.weight", 0.25), ("4.weight", 1)):
        torch.testing.assert_close(before[name] - model.state_dict()[name], torch.full_like(before[name], 0.5 * factor))
