"""A decision at its boundary may fall either way; one that is away from it, or that nothing argues for, may not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from export.comparison import Exact, Reduced, check_outputs, compare
from export.importing.scale import Scales
from export.pool import Pool
from export.tolerance import Tolerance
from export.trial import Nothing, Trial
from staytrue.errors import CorruptData, InvalidInput
from staytrue.reduction import ReductionSection
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec

SETTINGS = ExportSection(absolute_tolerance=1e-3, relative_tolerance=1e-9)
LIKELY = [[0.5, 0.4999, 0.0001], [0.1, 0.2, 0.7]]


def signature(kind: Any, shape: list[int], numbers: list[int]) -> Signature:
    """A decision and the numbers beside it."""
    decided = TensorSpec(name="decided", datatype=kind, shape=shape)
    return Signature(inputs=[], outputs=[decided, TensorSpec(name="numbers", datatype="FP32", shape=numbers)])


def passes(told: Signature, want: Any, have: Any, numbers: Any) -> bool:
    """Whether another decision is let through, by the tolerances and by scales of an import."""
    beside = {"numbers": np.array(numbers, np.float32)}
    sides = {"decided": np.array(want)} | beside, {"decided": np.array(have)} | beside
    said, scales = list[bool](), Scales(told, [{"decided": np.array(want), "numbers": np.ones(1)}])
    for imported in (False, True):
        try:
            if imported:
                scales.compare(*sides, SETTINGS, "m")
            else:
                compare(told, *sides, Tolerance(told, 1.0, SETTINGS), "m")
            said.append(True)
        except CorruptData as error:
            assert 'output "decided"' in str(error)  # noqa: PT017
            said.append(False)
    assert said[0] == said[1]
    return said[0]


@pytest.mark.parametrize("keep", [False, True])
def test_the_place_of_the_largest_number_may_be_the_next_largest_if_they_are_a_tie(keep: bool) -> None:
    told = signature("INT64", [-1, 1] if keep else [-1], [-1, 3])
    want, tie, wrong = ([[place] if keep else place for place in places] for places in ([0, 2], [1, 2], [0, 1]))
    assert passes(told, want, tie, LIKELY)
    assert not passes(told, want, wrong, LIKELY)
    assert not passes(told, want, [[7], [2]] if keep else [7, 2], LIKELY), "no place at all"


def test_a_class_of_each_pixel_is_argued_for_along_the_axis_of_classes() -> None:
    told, numbers = signature("INT64", [-1, 2, 2], [-1, 3, 2, 2]), np.zeros((1, 3, 2, 2))
    numbers[0, :, 0, 0], numbers[0, 2] = LIKELY[0], [[0, 1], [1, 1]]
    want = [[[0, 2], [2, 2]]]
    assert passes(told, want, [[[1, 2], [2, 2]]], numbers)
    assert not passes(told, want, [[[0, 2], [1, 2]]], numbers)


def test_numbers_that_the_model_does_not_decide_by_argue_for_nothing() -> None:
    """They are a tie, and as many as there are classes; but the model's other row is none that they would decide so."""
    assert not passes(signature("INT64", [-1], [-1, 3]), [0, 1], [1, 1], LIKELY)


@pytest.mark.parametrize("middle", [0.5, 0.0])
def test_a_flag_may_be_another_at_its_threshold_of_probabilities_or_logits(middle: float) -> None:
    told, numbers = signature("BOOL", [-1], [-1]), [middle + 5e-4, middle + 0.2, middle - 0.2]
    assert passes(told, [True, True, False], [False, True, False], numbers)
    assert not passes(told, [True, True, False], [True, False, False], numbers)
    assert not passes(told, [True, False, False], [False, False, False], numbers), "it does not decide by them"


def test_a_rounded_number_may_be_the_next_where_it_was_halfway() -> None:
    told, numbers = signature("UINT8", [-1], [-1]), [2.4999, 7.2, 9.0]
    want, tie, wrong = (np.array(some, np.uint8) for some in ([2, 7, 9], [3, 7, 9], [2, 8, 9]))
    assert passes(told, want, tie, numbers)
    assert not passes(told, want, wrong, numbers)
    cut = [2.5, 7.2, 9.0004]
    assert passes(told, want, np.array([2, 7, 8], np.uint8), cut), "floor"


def test_rows_are_counted_where_requests_run_together() -> None:
    """Elsewhere a first axis of any size may count what it likes, as the layers of a recurrent state."""
    inputs = [TensorSpec(name="x", datatype="FP32", shape=[-1, 2])]
    y, state = (TensorSpec(name=name, datatype="FP32", shape=[-1, 2]) for name in ("y", "state"))
    arrays = {"y": np.zeros((3, 2), np.float32), "state": np.zeros((2, 2), np.float32)}
    check_outputs(Signature(inputs=inputs, outputs=[y]), arrays, 3)
    check_outputs(Signature(inputs=inputs, outputs=[y, state], rows="dependent"), arrays, 3)
    with pytest.raises(InvalidInput, match=r'output "state": expected 3 rows for as many, got 2; .*rows: dependent'):
        check_outputs(Signature(inputs=inputs, outputs=[y, state]), arrays, 3)


def trial(kind: Any, answer: Any, *, reduced: bool = False) -> Trial:
    """Of an artefact that answers as its module."""
    told = Signature(inputs=[], outputs=[TensorSpec(name="y", datatype=kind, shape=[-1, 2])], rows="dependent")

    def exact() -> Any:
        return Exact(told, 1.0, SETTINGS)

    made = (lambda: Reduced(told, {"y": 1.0}, ReductionSection())) if reduced else exact
    return Trial(answer, answer, "", told, made, exact, lambda found, **_: found)


class Few:
    """One batch of two real rows."""

    def batches(self, batch: int, most: int = 1) -> list[Any]:  # noqa: ARG002
        """One."""
        return [Pool({"x": np.zeros((batch, 1))}, np.ones(batch, bool))]


@pytest.mark.parametrize(
    ("answers", "reduced"), [(np.zeros((0, 2), np.float32), False), (np.full((2, 2), np.nan, np.float32), True)]
)
def test_a_proof_of_nothing_is_none(answers: Any, reduced: bool) -> None:
    with pytest.raises(Nothing, match=r'm at batch 2: the model itself gives nothing in output "y" that could be comp'):
        trial("FP32", lambda _: {"y": answers}, reduced=reduced).batch(Few(), 2, "m")


def test_fewer_bits_may_not_decide_otherwise_by_far_more_than_is_allowed_on_the_rows_of_the_proof() -> None:
    told = Signature(inputs=[], outputs=[TensorSpec(name="y", datatype="INT64", shape=[-1])])
    for wrong, passed in ((4, True), (16, False)):
        compared = Reduced(told, {}, ReductionSection())
        want, real = {"y": np.zeros(66, np.int64)}, np.arange(66) < 64
        have = {"y": (np.arange(66) < wrong).astype(np.int64)}
        compared.add(want, have, real, "m")
        assert compared.uncompared() == []
        if passed:
            compared.end("m")
        else:
            with pytest.raises(
                CorruptData, match=r'output "y": expected at most 5 of 64 decisions .*differing\), got 16'
            ):
                compared.end("m")
    silent = Reduced(told, {}, ReductionSection())
    silent.add(want, want, np.zeros(66, bool), "m")
    assert silent.uncompared() == ["y"]
