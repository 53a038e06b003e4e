"""Files and amendments that will not do: each is told what is wrong with it, and nothing of it is published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from serving.runtimes.base import RunError
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import CorruptData, InvalidConfig, InvalidInput, StaytrueError, TooLarge, Unsupported
from staytrue.sections import ExportSection
from tests.unit.export.importing.conftest import graph_model, weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.bundle import Bundle
    from staytrue.store import Store


def scaled(**how: Any) -> onnx.ModelProto:
    """Gives twice and three times two numbers."""
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    return graph_model([node], {"x": ["batch", 2]}, {"y": ["batch", 2]}, weights=[weight("w", [2.0, 3.0])], **how)


@pytest.fixture
def refused(take: Callable[..., Bundle], store: Store, tmp_path: Path) -> Callable[..., str]:
    """Imports what is to be refused; what was said. No version may be there, nor one in the making."""

    def told(kind: type[StaytrueError], model: onnx.ModelProto | bytes | Path, *arguments: Any, **how: Any) -> str:
        path = tmp_path / "model.onnx"
        if isinstance(model, Path):
            path = model
        else:
            path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        with pytest.raises(kind) as error:
            take(path, *arguments, **how)
        assert [entry for entry in store.root.rglob("*") if entry.is_dir() and entry.parent != store.root] == []
        return str(error.value).replace(str(tmp_path), "HERE")

    return told


def test_a_whole_one_is_taken(take: Callable[..., Bundle], tmp_path: Path) -> None:
    onnx.save(scaled(), tmp_path / "m.onnx")
    bundle = take(tmp_path / "m.onnx")
    assert (bundle.signature.rows, bundle.lineage.imported[:6]) == ("independent", "m.onnx")


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_part_of_a_file(part: float, refused: Callable[..., str]) -> None:
    whole = scaled().SerializeToString()
    assert "is no ONNX model" in refused(CorruptData, whole[: int(part * len(whole))])


@pytest.mark.parametrize("data", [b"", b"# Staytrue\n\nkeeps a model true", b"\x89PNG\r\n\x1a\n" + bytes(64)])
def test_no_model_at_all(data: bytes, refused: Callable[..., str]) -> None:
    assert "HERE/model.onnx: is no ONNX model" in refused(CorruptData, data)


def test_a_file_that_is_not_there(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "No such file" in refused(CorruptData, tmp_path / "none.onnx")


@pytest.mark.parametrize("name", ["../etc", "", "a b", ".hidden"])
def test_a_name_that_is_none_of_a_model(name: str, refused: Callable[..., str]) -> None:
    assert "expected letters of ASCII, digits" in refused(InvalidInput, scaled(), name=name)


def test_an_opset_of_the_future(refused: Callable[..., str]) -> None:
    newest = onnx.defs.onnx_opset_version()
    said = refused(Unsupported, scaled(opset=newest + 1))
    assert f"expected opset {newest} of ai.onnx or an older one, got {newest + 1}; export it again" in said


def test_an_opset_that_the_runtime_no_longer_has(refused: Callable[..., str]) -> None:
    """Of onnx's own tests."""
    folder = Path(onnx.backend.test.__file__).parent / "data" / "pytorch-operator"
    said = refused(Unsupported, folder / "test_operator_pow" / "model.onnx")
    assert "cannot run it (opset ai.onnx 6)" in said
    assert f"export it again with an opset from 7 to {onnx.defs.onnx_opset_version()}" in said


def test_an_ir_version_of_the_future(refused: Callable[..., str]) -> None:
    model = scaled()
    model.ir_version = onnx.IR_VERSION + 1
    assert f"expected at most IR version {onnx.IR_VERSION}" in refused(Unsupported, model)


def test_operators_of_a_library_that_is_not_known(refused: Callable[..., str]) -> None:
    model = graph_model([helper.make_node("Spy", ["x"], ["y"], domain="evil.corp")], {"x": [1]}, {"y": [1]})
    assert "operators of a library that is not ONNX Runtime's: Spy of evil.corp" in refused(Unsupported, model)


def test_operators_within_branches_are_looked_at_too(refused: Callable[..., str]) -> None:
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
    branches = [
        helper.make_graph([helper.make_node(kind, ["x"], ["z"], domain=domain)], kind, [], [out])
        for kind, domain in (("Identity", ""), ("Spy", "evil.corp"))
    ]
    truth = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    assert "Spy of evil.corp" in refused(Unsupported, graph_model([node], {"x": [1]}, {"y": [1]}, weights=[truth]))


def called(count: int, twice: str = "f") -> onnx.ModelProto:
    """Functions that each call the one before twice; the first one negates."""
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "f0", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], sets)]
    for place in range(1, count):
        calls = [helper.make_node(f"f{place - 1}", [x], [y], domain=twice) for x, y in (("a", "c"), ("c", "b"))]
        functions.append(helper.make_function("f", f"f{place}", ["a"], ["b"], calls, sets))
    model = graph_model([helper.make_node(f"f{count - 1}", ["x"], ["y"], domain="f")], {"x": ["n", 1]}, {"y": ["n", 1]})
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid("f", 1))
    return model


def test_functions_count_as_often_as_they_are_called(refused: Callable[..., str]) -> None:
    """Sixty that each call another twice would be more than any memory holds."""
    said = refused(TooLarge, called(60))
    assert f"expected at most 100000 operators, got {2**59 + 119}; raise export.importing.max_nodes" in said


def test_a_function_that_calls_itself_or_nests_without_end(refused: Callable[..., str]) -> None:
    model = called(2)
    model.functions[0].node[0].CopyFrom(helper.make_node("f1", ["a"], ["b"], domain="f"))
    assert "its function f1 of 'f' calls itself" in refused(CorruptData, model)
    assert "stands inside more than 64 others" in refused(CorruptData, called(70))


def test_a_branch_whose_attribute_says_that_it_is_none(refused: Callable[..., str]) -> None:
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Spy", ["x"], ["z"], domain="evil.corp")], "b", [], [out])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    for attribute in node.attribute:
        attribute.type = onnx.AttributeProto.UNDEFINED
    truth = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    assert "Spy of evil.corp" in refused(Unsupported, graph_model([node], {"x": [1]}, {"y": [1]}, weights=[truth]))


def test_what_is_no_file_is_not_waited_for(refused: Callable[..., str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        assert refused(CorruptData, tmp_path / name).endswith("is no file")


def test_a_model_that_answers_nothing_to_any_row_is_not_proven(refused: Callable[..., str]) -> None:
    """As a detector that finds nothing in what was made up for it."""
    nodes = [helper.make_node("Less", ["x", "x"], ["none"]), helper.make_node("NonZero", ["none"], ["y"])]
    model = graph_model(nodes, {"x": ["n", 4]}, {"y": [2, "k"]})
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    said = refused(InvalidInput, model)
    assert (
        'at batch 1: the model itself gives nothing in output "y" that could be compared, on no row; give rows' in said
    )


def test_an_operator_that_reads_another_file(refused: Callable[..., str]) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    assert "reads a compiled model from another file" in refused(
        Unsupported, graph_model([node], {"x": [1]}, {"y": [1]})
    )


def beside(location: str, length: int = 8) -> onnx.ModelProto:
    """A model whose weights lie in another file."""
    model = scaled()
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(np.array([2, 3], np.float32), "w"))
    external_data_helper.set_external_data(tensor, location, offset=0, length=length)
    tensor.ClearField("raw_data")
    return model


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "inside/../../w.bin", "link.bin", "", "a\0b"])
def test_weights_outside_of_the_folder(location: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path.parent / "w.bin").write_bytes(bytes(8))
    (tmp_path / "link.bin").symlink_to(tmp_path.parent / "w.bin")
    said = refused(CorruptData, beside(location))
    assert 'tensor "w": expected its data in a file of the model\'s own folder' in said


@pytest.mark.parametrize("kind", ["absolute", "link", "hard link"])
def test_weights_that_are_no_plain_file_of_the_folder(kind: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.array([2, 3], np.float32).tobytes())
    if kind == "link":
        (tmp_path / "l.bin").symlink_to("w.bin")
    elif kind == "hard link":
        (tmp_path / "l.bin").hardlink_to(tmp_path / "w.bin")
    said = refused(CorruptData, beside(str(tmp_path / "w.bin") if kind == "absolute" else "l.bin"))
    assert 'model.onnx: tensor "w": its data cannot be read: ' in said
    assert said.endswith("copy them beside the model as a plain file")


def test_weights_are_looked_for_beside_the_name_that_is_given(
    take: Callable[..., Bundle], serve: Callable[[], Any], tmp_path: Path
) -> None:
    """Not where a link to the model leads: what was checked there would not be what is read here."""
    for folder, factor in (("there", 2), ("here", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.bin").write_bytes(np.full(2, factor, np.float32).tobytes())
    (tmp_path / "there" / "m.onnx").write_bytes(beside("w.bin").SerializeToString())
    (tmp_path / "here" / "m.onnx").symlink_to(tmp_path / "there" / "m.onnx")
    take(tmp_path / "here" / "m.onnx")
    assert serve().ask(x=np.ones((1, 2), np.float32))["y"].tolist() == [[5.0, 5.0]]
    (tmp_path / "here" / "w.bin").unlink()
    (tmp_path / "here" / "w.bin").symlink_to(tmp_path / "there" / "w.bin")
    with pytest.raises(CorruptData, match="expected its data in a file of the model's own folder"):
        take(tmp_path / "here" / "m.onnx")


def test_weights_beside_it_that_are_not_there_or_too_short(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "which is not there; copy it beside the model" in refused(CorruptData, beside("w.bin"))
    (tmp_path / "w.bin").write_bytes(bytes(4))
    assert "expected data within the 4 bytes of w.bin, got 8 from 0" in refused(CorruptData, beside("w.bin"))


def test_weights_beside_it_become_one_file(
    take: Callable[..., Bundle], serve: Callable[[], Any], tmp_path: Path, store: Store
) -> None:
    (tmp_path / "w.bin").write_bytes(np.array([2, 3], np.float32).tobytes())
    onnx.save(beside("w.bin"), tmp_path / "m.onnx")
    take(tmp_path / "m.onnx")
    (tmp_path / "w.bin").unlink()
    assert serve().ask(x=np.ones((1, 2), np.float32))["y"].tolist() == [[2.0, 3.0]]
    assert "model.onnx" in {path.name for path in store.path("foreign", "1").iterdir()}


@pytest.mark.parametrize("limit", [{"max_nodes": 1}, {"max_bytes": 10}])
def test_more_than_the_settings_allow(limit: dict[str, Any], refused: Callable[..., str]) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["z"]), helper.make_node("Neg", ["z"], ["y"])]
    model = graph_model(nodes, {"x": ["n", 1]}, {"y": ["n", 1]})
    settings = ExportSection.model_validate({"importing": limit})
    assert f"raise export.importing.{next(iter(limit))}" in refused(TooLarge, model, settings=settings)


def test_outputs_that_are_no_tensors(refused: Callable[..., str]) -> None:
    model = graph_model([helper.make_node("SequenceConstruct", ["x"], ["y"])], {"x": [1]}, {"y": [1]})
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    model.graph.output[0].type.CopyFrom(kind)
    assert 'output "y": expected a tensor, got sequence' in refused(Unsupported, model)


def test_a_model_that_runs_on_nothing_made_up(refused: Callable[..., str]) -> None:
    """It wants 700 numbers a row, and says any."""
    nodes = [helper.make_node("Reshape", ["x", "s"], ["z"]), helper.make_node("Add", ["z", "w"], ["y"])]
    kept = [weight("w", [1.0] * 700), numpy_helper.from_array(np.array([-1, 700]), "s")]
    model = graph_model(nodes, {"x": ["b", "t"]}, {"y": ["b", "t"]}, weights=kept)
    assert "runs on no row that was made up for it" in refused(InvalidConfig, model)


@pytest.mark.parametrize(
    ("amend", "message"),
    [
        ({"inputs": {"z": {"unit": "m"}}}, "amend.yaml:2 inputs.z: is none of the model's inputs"),
        ({"inputs": {"X": {"unit": "m"}}}, "did you mean 'x'"),
        ({"inputs": {"x": {"shape": [-1, 2, 2]}}}, "expected 2 axes, as FP32 [-1,2] has, got 3: [-1, 2, 2]"),
        ({"inputs": {"x": {"shape": [-1, 3]}}}, "expected a shape of FP32 [-1,2], got [-1, 3]"),
        ({"inputs": {"x": {"datatype": "INT64"}}}, "expected FP32, as the file says, got INT64"),
        ({"inputs": {"x": {"range": [2, 1]}}}, "expected the lowest and the highest value"),
        ({"inputs": {"x": {"typical": [1, 5]}}}, "inputs.x.typical: expected a shape of [-1, 2]"),
        ({"inputs": {"x": {"categories": ["a"]}}}, "are texts, or whole numbers"),
        ({"inputs": {"x": {"state": "none"}}}, "expected an output, got none"),
        ({"inputs": {"x": {"name": "y"}}}, "an output is called 'y' too"),
        ({"outputs": {"y": {"shape": [3, -1]}}}, "expected a shape of FP32 [-1,2]"),
        ({"classes": ["a", "b", "c"]}, "expected as many as an output has numbers a row"),
        ({"input": {}}, "unknown key"),
    ],
)
def test_an_amendment_that_contradicts_the_file(
    amend: dict[str, Any], message: str, refused: Callable[..., str]
) -> None:
    assert message in refused(InvalidConfig, scaled(), amend)


def test_outputs_of_other_sizes_than_told(refused: Callable[..., str]) -> None:
    said = refused(InvalidInput, scaled(), {"outputs": {"y": {"shape": [1, 2]}}})
    assert said == 'output "y": expected FP32 [1,2], got FP32 [2,2]'


def test_rows_that_are_told_to_be_independent_and_are_not(refused: Callable[..., str]) -> None:
    mean = helper.make_node("ReduceMean", ["x", "axes"], ["m"])
    model = graph_model([mean, helper.make_node("Sub", ["x", "m"], ["y"])], {"x": ["n", 2]}, {"y": ["n", 2]})
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "axes"))
    said = refused(InvalidConfig, model, {"rows": "independent"})
    assert "rows answer otherwise beside others" in said
    assert "rows: dependent serves them unmerged" in said


@pytest.mark.parametrize("size", [1.0, 1e-6])
def test_a_server_that_answers_otherwise(
    size: float, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is what would notice: also of a model all of whose numbers are small."""
    plain = OnnxRuntime.run
    monkeypatch.setattr(OnnxRuntime, "run", lambda self, inputs: {"y": plain(self, inputs)["y"] * np.float32(1.01)})
    model = scaled()
    model.graph.initializer[0].CopyFrom(weight("w", [2 * size, 3 * size]))
    assert "nothing was published: no proof, no bundle" in refused(CorruptData, model)


def test_no_model_of_onnx_s_own_tests_fails_in_another_way_than_with_a_message(
    take: Callable[..., Bundle], store: Store
) -> None:
    """Some 40 of its 140 have opsets that ONNX Runtime no longer has, or operators that it never had; every fourth."""
    folder, refused = Path(onnx.backend.test.__file__).parent / "data", set[str]()
    paths = sorted(path for kind in ("pytorch", "simple") for path in folder.glob(f"{kind}*/*/model.onnx"))[::4]
    for path in paths:
        try:
            take(path, name=path.parent.name)
        except (Unsupported, InvalidConfig):
            refused.add(path.parent.name)
    assert 5 <= len(refused) <= len(paths) // 2
    assert {name for name in refused if store.versions(name)} == set()


def test_a_batch_that_the_model_itself_refuses(refused: Callable[..., str]) -> None:
    """It has places for seven rows, and no more."""
    kept = helper.make_tensor("w", TensorProto.FLOAT, [7, 1], np.arange(7, dtype=np.float32))
    start, axes = (numpy_helper.from_array(np.array([0]), name) for name in ("a", "axes"))
    nodes = [
        helper.make_node("Shape", ["x"], ["n"], start=0, end=1),
        helper.make_node("Slice", ["w", "a", "n", "axes"], ["some"]),
        helper.make_node("Add", ["x", "some"], ["y"]),
    ]
    said = refused(InvalidConfig, graph_model(nodes, {"x": ["n", 1]}, {"y": ["n", 1]}, weights=[kept, start, axes]))
    assert "at batch 32: the model refuses it" in said
    assert "tell a smaller max_batch" in said


def test_a_model_that_fails_as_the_server_runs_it(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RunError("out of memory")

    monkeypatch.setattr(OnnxRuntime, "run", failing)
    assert "to rows that the model itself answers, got RunError: out of memory; the rows were" in refused(
        CorruptData, scaled()
    )
