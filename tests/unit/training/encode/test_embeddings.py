"""Embeddings: weights of the model in front of its body, saved, exported and retrained with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from serving.runtimes.onnx import OnnxRuntime
from staytrue.feature import Feature
from staytrue.store import Store
from staytrue.verdicts import RetrainJob
from tests.encoders import Exported, learnt, signature
from tests.unit.training.conftest import table
from training import checkpoint as checkpoints
from training.models.assembly import assemble
from training.models.embeddings import Embedded, Embedding
from training.models.regressor import Regressor, Scale
from training.retrain import publish_run, retrain
from training.run import train
from training.tasks.classification import Classification
from training.tasks.regression import Regression

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.project import Project
    from training.models.model import Model

TOWNS = {"town": np.array(["a", "a", "b", "c"], dtype=object)}
BODY = {"width": 4, "depth": 1}


def embedding(unknown: str) -> Embedding:
    """Of towns a (half of the rows), b and c."""
    feature = Feature.model_validate({"kind": "category", "encoding": "embedding", "width": 2, "unknown": unknown})
    made = Embedding(learnt(TOWNS, {"town": feature}).states[0])  # type: ignore[arg-type]
    with torch.no_grad():
        made.table.weight.copy_(torch.tensor([[9.0, 9], [1, 2], [5, 6], [7, 8]]))
    return made


def table_of(embedded: Embedded, name: str) -> torch.nn.Embedding:
    """The weights of a column, by its place."""
    found = embedded.tables[name]
    assert isinstance(found, Embedding)
    return found.table


def test_a_known_value_becomes_its_row_and_an_unknown_one_the_average_of_the_training_rows() -> None:
    """(2 * [1,2] + [5,6] + [7,8]) / 4."""
    assert embedding("average")(torch.tensor([[2.0], [0.0], [1.0]])).tolist() == [[5, 6], [3.5, 4.5], [1, 2]]


def test_with_a_bucket_an_unknown_value_has_a_row_of_its_own() -> None:
    assert embedding("bucket")(torch.tensor([[0.0], [3.0]])).tolist() == [[9, 9], [7, 8]]


def test_a_body_sees_embeddings_in_the_place_of_their_columns() -> None:
    features = {
        "x": Feature(kind="numeric", scale="none"),
        "town": Feature(kind="category", encoding="embedding", width=2),
        "y": Feature(kind="numeric", scale="none"),
        "z": Feature(kind="numeric", scale="none"),
        "again": Feature(kind="category", encoding="embedding", width=1),
    }
    numbers = {name: np.arange(4, dtype=np.float32) + at for at, name in enumerate("xyz")}
    encoder = learnt(numbers | TOWNS | {"again": TOWNS["town"]}, features)
    embedded = Embedded(encoder.states, torch.nn.Identity())
    tables = {name: torch.nn.Parameter(torch.arange(8.0).reshape(4, 2)) for name in ("1",)}
    tables["4"] = torch.nn.Parameter(torch.tensor([[0.0], [-1], [-2], [-3]]))
    for name, weight in tables.items():
        table_of(embedded, name).weight = weight
    columns = numbers | TOWNS | {"again": TOWNS["town"]}
    row = embedded(encoder.forward(*(state.tensor(columns[state.name]) for state in encoder.states)))[2]
    assert row.tolist() == [2, 4, 5, 3, 4, -2]


def test_only_models_with_embeddings_have_other_names_of_weights_than_before() -> None:
    plain = learnt(TOWNS, {"town": Feature(kind="category")}).states
    names = set(assemble(plain, "mlp", BODY, Classification("y", ("yes", "no"))).head.state_dict())
    assert names == {"layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"}


def with_embedding(project: Project) -> Project:
    """The toy project, its hour an embedding and its x by quantiles."""
    features = {
        "x": Feature(kind="numeric", scale="quantile"),
        "hour": Feature(kind="category", datatype="INT64", encoding="embedding", width=3),
        "sky": Feature(kind="category", encoding="embedding", width=2, unknown="bucket"),
    }
    return project.model_copy(update={"data": project.data.model_copy(update={"features": features})})


def head_of(model: Model) -> Embedded:
    """What holds the embeddings of a regressor."""
    assert isinstance(model, Regressor)
    assert isinstance(model.head.body, Embedded)
    return model.head.body


def test_embeddings_are_learnt_saved_exported_and_retrained(
    project: Project, serve: Callable[[int, float], float]
) -> None:
    """The toy law is learnt through them; a checkpoint gives the same numbers; a challenger learns its own."""
    made, store = with_embedding(project), Store(project.store)
    run = train(made, opening="skip")
    record, _, model = checkpoints.load(run)
    assert isinstance(model, Regressor)
    assert record.evaluation["validation"]["mae"].value < 1.0  # hour alone moves the target by up to 11.5
    fresh = head_of(fresh_like(model))
    assert not torch.equal(table_of(head_of(model), "2").weight, table_of(fresh, "2").weight)
    bundle = publish_run(store, run, made)
    store.promote("toy", bundle.version, reason="first version")
    x, hour, sky, _ = table(3, seed=8)
    rows = {"x": x.astype(np.float32), "hour": hour, "sky": np.array([*sky[:-1], "never seen"], dtype=object)}
    sent = {name: column.reshape(-1, 1) for name, column in rows.items()}
    runtime = OnnxRuntime(store.path("toy", bundle.version) / "model.onnx", bundle.signature)
    np.testing.assert_allclose(runtime.run(sent)["y"][:, 0], model.predict(rows), rtol=1e-4)
    job = RetrainJob(id="j", model="toy", trigger="drift", champion="1", event_time=serve(14, 20.0), created=0)
    verdict = retrain(made, job)
    assert verdict.promote
    assert store.aliases("toy").champion == "2"


def fresh_like(model: Model) -> Model:
    """The same module, not trained."""
    torch.manual_seed(0)
    return assemble(
        model.encoder.states,
        "mlp",
        {"width": 16, "depth": 1},
        Regression("y", Scale(link="linear", location=0, spread=1)),
    )


def test_an_embedded_model_agrees_with_its_exports(tmp_path: Path) -> None:
    """Unknown values in either way."""
    features = {
        f"{unknown}_{kind}": Feature.model_validate(
            {"kind": "category", "encoding": "embedding", "width": 3, "unknown": unknown, "datatype": kind}
        )
        for unknown in ("average", "bucket")
        for kind in ("BYTES", "INT64")
    }
    codes = np.array([4, 5, 5, 6, 4])
    columns = {
        name: codes if one.sent_as == "INT64" else np.array(list(map(str, codes)), dtype=object)
        for name, one in features.items()
    }
    states = learnt(columns, features).states
    model = assemble(states, "mlp", BODY, Regression("y", Scale(link="linear", location=0, spread=1))).eval()
    exported = Exported.of(model, signature(states, 1), tmp_path)
    fresh = np.array([[6], [-1], [4], [2**62], [0]])
    rows = {
        name: fresh if one.sent_as == "INT64" else fresh.astype(str).astype(object) for name, one in features.items()
    }
    expected = exported.eager(rows)
    np.testing.assert_allclose(expected[[3, 4]], expected[[1, 1]], rtol=1e-5)  # all unknown
    assert len(set(expected.ravel().round(4).tolist())) == 3
    np.testing.assert_allclose(exported.onnx(rows), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(exported.torchscript(rows), expected, rtol=1e-5, atol=1e-6)
