"""Every option of every kind: the module, ONNX Runtime and TorchScript agree on whatever a caller may send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from export.parity import prove
from staytrue.feature import _OWN, Feature
from staytrue.sections import ExportSection
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from tests.encoders import Exported, learnt, signature
from training.data.clean.filters import Filter
from training.data.encode.encoder import ColumnState, Encoder
from training.data.encode.sequences import SequenceState
from training.data.rows import Rows

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

    from tests.encoders import Columns

DRAW = np.random.default_rng(11)
TRAINED = 40
ROWS = 5
"""Of a request that is made up."""


def numbers() -> dict[str, dict[str, Any]]:
    """Each scale, of numbers and whole numbers, each fill."""
    scales = ("standard", "minmax", "symmetric", "robust", "log", "quantile", "none")
    made: dict[str, dict[str, Any]] = {
        f"{s}_{d}": {"scale": s, "datatype": d} for s in scales for d in ("FP32", "INT64")
    }
    made |= {f"fill_{fill}": {"fill": fill} for fill in ("mean", "mode", -3.5)}
    return {name: {"kind": "numeric"} | values for name, values in made.items()}


def categories() -> dict[str, dict[str, Any]]:
    """Each encoding with either unknown, of texts and whole numbers; an order, and rare values."""
    made: dict[str, dict[str, Any]] = {
        f"{e}_{u}_{d}": {"encoding": e, "unknown": u, "datatype": d}
        for e in ("one_hot", "ordinal", "embedding")
        for u in ("average", "bucket")
        for d in ("BYTES", "INT64")
    }
    made |= {"ordered": {"encoding": "ordinal", "order": ["3", "1", "2", "0"]}, "rare": {"rare_below": 9}}
    return {name: {"kind": "category"} | values for name, values in made.items()}


def pictures() -> dict[str, dict[str, Any]]:
    """Each scale, of bytes and numbers, in one order or the other; larger, smaller, cut."""
    made: dict[str, dict[str, Any]] = {
        f"{n}_{d}": {"normalise": n, "datatype": d, "shape": [2, 5, 4]}
        for n in ("channel", "picture", "half", "given", "none")
        for d in ("UINT8", "FP32")
    }
    for name, values in made.items():
        if name.startswith("given"):
            values |= {"mean": [0.4, 0.6], "deviation": [0.2, 0.3]}
    last = {"shape": [5, 4, 2], "layout": "channels_last", "channel_order": "reversed"}
    made |= {"last_UINT8": last, "last_FP32": last | {"datatype": "FP32"}}
    made |= {"larger": {"shape": [1, 3, 4], "resize": [7, 9], "crop": [4, 5]}}
    made |= {
        "smaller": {"shape": [1, 9, 8], "resize": [4, 3], "datatype": "FP32"},
        "cut": {"shape": [1, 9, 8], "crop": [2, 3]},
    }
    return {name: {"kind": "image"} | values for name, values in made.items()}


def repaired() -> dict[str, dict[str, Any]]:
    """What cleaning gives the graph to do, as :func:`instructed` says: bounds, fills and filters."""
    made: dict[str, dict[str, Any]] = {
        f"bounds_{s}_{d}": {"kind": "numeric", "scale": s, "datatype": d}
        for s, d in (("standard", "FP32"), ("log", "INT64"))
    }
    made |= {
        f"fill_{e}_{d}": {"kind": "category", "encoding": e, "datatype": d}
        for e, d in (("one_hot", "BYTES"), ("embedding", "INT64"))
    }
    filters = ("rolling_median_causal", "rolling_mean_centred", "savitzky_golay_centred", "hampel_causal")
    return made | {name: {"kind": "sequence", "shape": [7, 2]} for name in filters}


OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "numbers": numbers(),
    "categories": categories(),
    "pictures": pictures(),
    "repaired": repaired(),
    "others": {
        "date": {"kind": "date"},
        "hours": {"kind": "date", "parts": ["hour", "weekday"]},
        "text": {"kind": "text", "shape": [9]},
        "sequence": {"kind": "sequence", "shape": [4, 3]},
    },
}
FEATURES = {
    family: {name: Feature.model_validate(values) for name, values in options.items()}
    for family, options in OPTIONS.items()
}


def trained_on(feature: Feature) -> np.ndarray:
    """Rows to learn from."""
    if feature.kind == "category":
        codes = DRAW.integers(0, 4, TRAINED)
        return codes if feature.sent_as == "INT64" else np.array([str(code) for code in codes], dtype=object)
    if feature.kind == "date":
        return DRAW.integers(-(2**31), 2**32, TRAINED)
    if feature.sent_as == "UINT8":
        return DRAW.integers(0, 256, (TRAINED, *feature.shape)).astype(np.uint8)
    if feature.sent_as == "INT64":
        return DRAW.integers(-50, 50, TRAINED)
    column = DRAW.normal(1, 3, (TRAINED, *feature.shape)).astype(np.float32)
    return np.round(column) if feature.fill == "mode" else column


COLUMNS = {family: {name: trained_on(one) for name, one in features.items()} for family, features in FEATURES.items()}


def instructed(family: str) -> Encoder:
    """The encoder of a family; of those repaired as cleaning has told it."""
    encoder = learnt(COLUMNS[family], FEATURES[family])
    if family != "repaired":
        return encoder
    states: list[ColumnState] = []
    for state in encoder.states:
        head, _, tail = state.name.rpartition("_")
        changes: dict[str, Any] = {"lowest": -4.0, "highest": 5.0} if head.startswith("bounds") else {"fill": "2"}
        if isinstance(state, SequenceState):
            how = Filter(method=head, window=3, centred=tail == "centred", order=1, threshold=0.5)  # type: ignore[arg-type]
            changes = {"smoothing": how}
        states.append(msgspec.structs.replace(state, **changes))
    return Encoder(states).eval()


FLOATS = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 1e-7, 1.0, 1e3, -1e3, 1e30, 3.4e38, -3.4e38], np.float32)
WHOLES = np.array([MISSING_INTEGER, MISSING_INTEGER + 1, 2**63 - 1, 0, 2**53 + 1, -1, 1000, -62_135_596_801], np.int64)


def sent(feature: Feature) -> SearchStrategy[Any]:
    """Rows that a caller may send: missing, unknown, huge, infinite and empty ones are among them.

    Of what is large, a seed is drawn for usual values, and a share of odd ones among them.
    """
    shape = (ROWS, *(feature.shape or [1]))
    if feature.sent_as == "BYTES":
        text = st.sampled_from(["0", "1", "2", "3", MISSING_TEXT, "3 ", "\N{SNOWMAN}"]) | st.text(max_size=5)
        return arrays.arrays(object, shape, elements=text)
    if feature.sent_as == "INT64":
        whole = st.integers(-60, 60) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from(WHOLES.tolist())
        return arrays.arrays(np.int64, shape, elements=whole)
    if not feature.shape:
        usual = st.floats(-20, 20, width=32) | st.sampled_from(FLOATS.tolist())
        return arrays.arrays(np.float32, shape, elements=usual | st.floats(width=32))
    return st.tuples(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 1.0])).map(lambda drawn: large(feature, *drawn))


def large(feature: Feature, seed: int, share: float) -> np.ndarray:
    """Rows of pictures, texts or sequences; each is odd in a share of its values, one is of a single value."""
    draw, shape = np.random.default_rng(seed), (ROWS, *feature.shape)
    if feature.sent_as == "UINT8":
        rows = draw.integers(0, 256, shape).astype(np.uint8)
        odd = draw.choice(np.array([0, 0, 1, 254, 255], np.uint8), shape)
    else:
        rows, odd = draw.normal(1, 3, shape).astype(np.float32), draw.choice(FLOATS, shape)
    rows = np.where(draw.random(shape) < share, odd, rows)
    rows[0] = rows[0].ravel()[0]
    return rows


@pytest.fixture(scope="module", params=FEATURES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Exported, Path]:
    """One encoder of all options of a family, and its exports."""
    encoder = instructed(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, Exported.of(encoder, signature(encoder.states, encoder.width), folder), folder


def near(expected: np.ndarray, got: np.ndarray, encoder: Any) -> None:
    """Each column within a few units in the last place of its largest number; nothing is NaN."""
    assert not np.isnan(expected).any()
    at = 0
    for state in encoder.states:
        wide = state.module().width
        own, other = expected[:, at : at + wide], got[:, at : at + wide]
        np.testing.assert_allclose(
            other, own, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(own).max())), err_msg=state.name
        )
        at += wide
    assert at == expected.shape[1] == got.shape[1]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_module_onnx_runtime_and_torchscript_agree_on_any_rows(
    family: tuple[str, Exported, Path], data: st.DataObject
) -> None:
    name, exported, _ = family
    rows: Columns = {column: data.draw(sent(one), label=column) for column, one in FEATURES[name].items()}
    expected = exported.eager(rows)
    near(expected, exported.onnx(rows), exported.module)
    near(expected, exported.torchscript(rows), exported.module)


def test_the_proof_of_an_export_passes(family: tuple[str, Exported, Path]) -> None:
    """On edge rows and real ones, at each size of a batch, by the tolerances of a project."""
    name, exported, folder = family
    rows = Rows(np.arange(float(TRAINED)), COLUMNS[name], np.zeros(TRAINED)).inputs()
    largest = float(np.abs(exported.eager(rows)).max())
    for kind, file in (("onnx", "model.onnx"), ("torchscript", "model.ts")):
        told = ExportSection(max_batch=64)
        proofs = prove(kind, folder / file, exported.module, exported.signature, rows, largest, told)  # type: ignore[arg-type]
        assert [proof.batch for proof in proofs] == [1, 2, 7, 64, 7]


@pytest.mark.parametrize("family_name", FEATURES)
def test_a_state_survives_being_written_as_json(family_name: str) -> None:
    """And encodes to the last bit as before."""
    encoder = instructed(family_name)
    states = msgspec.json.decode(msgspec.json.encode(encoder.states), type=list[ColumnState])
    assert states == encoder.states
    parts = [state.tensor(COLUMNS[family_name][state.name]) for state in states]
    np.testing.assert_array_equal(Encoder(states).forward(*parts).numpy(), encoder.forward(*parts).numpy())


def test_no_option_is_forgotten() -> None:
    """Each choice of each setting, and of each free one a value other than the default, is among those above.

    The width of an embedding lies behind the encoder, how a text is split in a module of its own.
    """
    features = [feature for family in FEATURES.values() for feature in family.values()]
    elsewhere = {"unit", "description", "width", "quantiles", *(name for name, kind in _OWN.items() if kind == "text")}
    for name, field in Feature.model_fields.items():
        used = [getattr(feature, name) for feature in features]
        choices = {choice for one in literals(field.annotation) for choice in get_args(one)}
        if name not in elsewhere:
            said = {one for value in used for one in (value if isinstance(value, list) else [value])}
            assert choices <= said, name
            assert choices or any(value != field.default for value in used), name


def literals(annotation: Any) -> list[Any]:
    """The lists of choices within a type."""
    inner = [found for one in get_args(annotation) if not isinstance(one, str) for found in literals(one)]
    return [annotation, *inner] if get_origin(annotation) is Literal else inner
