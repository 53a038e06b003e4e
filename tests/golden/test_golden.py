"""The written form of every record. A change here breaks whoever reads files of another version: bump ``schema``.

``python -m tests.golden.test_golden`` writes the files anew; look at the diff before you commit it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from staytrue import alerts
from staytrue.bundle import Bundle, Fidelity, FileDigest, Metric, Parity
from staytrue.checkpoint import Checkpoint
from staytrue.comparison import AgainstFirst, Comparison, Differences
from staytrue.diagnosis import Diagnosis, Finding, Remedy, Symptom
from staytrue.environment import Environment
from staytrue.evaluation import (
    CalibrationBin,
    ClassEvaluation,
    Confusion,
    Evaluation,
    Example,
    Examples,
    PartEvaluation,
    RankingCurve,
    ResidualGroup,
    Residuals,
    SliceEvaluation,
)
from staytrue.events import Event, Heartbeat, Label, Tensor, decode, encode
from staytrue.lineage import Lineage
from staytrue.openings import Opening
from staytrue.places import Places, Position
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.project import Project
from staytrue.publishing import Claim
from staytrue.records import Record, from_json, to_json
from staytrue.remote import Revision
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Aliases, Change
from staytrue.verdicts import RetrainJob, Verdict
from staytrue.windows import Check, Evidence, Quality, Window

FILES = Path(__file__).parent / "files"
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="temp", datatype="FP32", shape=[-1, 1], unit="degrees"),
        TensorSpec(name="sky", datatype="BYTES", shape=[-1, 1], categories=["clear", "rain"]),
    ],
    outputs=[TensorSpec(name="bikers", datatype="FP32", shape=[-1, 1])],
)
METRIC = {"validation": {"mae": Metric(value=17.5, low=12.5, high=23.5)}}
NOTED = Metric(value=0.5, low=0.5, high=0.5, note="rows of one day: no interval")
LINEAGE = Lineage(run="r1", data_fingerprint="d", project_fingerprint="p", trained_until=1304208000.0, trained_rows=9)
ENVIRONMENT = Environment(
    seed=7,
    threads=2,
    processor="x86_64 AVX2",
    platform="Linux-6.1-x86_64",
    versions={"python": "3.11.2", "torch": "2.13.0"},
    commit="ab" * 20,
    changed=True,
)
ALERT = alerts.fire({"alertname": "StaytrueDrift", "model": "bikes"}, {"summary": "drift in temp"}, 1304208000.0)

RECORDS: dict[str, Record] = {
    "diagnosis": Diagnosis(
        run="r1",
        findings=[
            Finding(
                kind="rate too high",
                summary="the validation error leaps",
                evidence=[Symptom(what="noise", value=0.25, low=0.125, high=0.5, limit="above 0.05")],
                remedies=[
                    Remedy(setting="training.learning_rate", value=0.01, reason="a tenth"),
                    Remedy(reason="look"),
                ],
                source="Smith, 2015",
            )
        ],
        looked_for=["rate too high"],
        dropped={"rate too low": "a range test proposes none"},
        not_looked_for={"noisy labels": "there are none"},
    ),
    "opening": Opening(
        event="judged",
        time="2024-01-01T00:00:00.000Z",
        by="ann@host",
        model="bikes",
        run="r1",
        weights_sha256="ab" * 32,
        lineage="cd" * 32,
        rows=9,
        seal="ef" * 32,
        forced=True,
        evaluation=METRIC["validation"],
    ),
    "signature": SIGNATURE,
    "signature_of_text": Signature(
        inputs=[TensorSpec(name="note", datatype="BYTES", shape=[-1, 1], tokenizer="tokenizer-0.json", tokens=32)],
        outputs=SIGNATURE.outputs,
    ),
    "checkpoint": Checkpoint(
        run="r1",
        name="bikes",
        task="regression",
        target="bikers",
        signature=SIGNATURE,
        architecture="mlp",
        model={"width": 128},
        preprocessing={"temp": {"mean": 0.5}},
        evaluation=METRIC,
        lineage=LINEAGE,
        epochs=80,
        best_epoch=40,
        weights_sha256="ab" * 32,
        environment=ENVIRONMENT,
    ),
    "evaluation": Evaluation(
        run="r1",
        parts={
            "validation": PartEvaluation(
                rows=9,
                left_out=1,
                metrics=METRIC["validation"],
                absent={"r2": "the truth is the same in every row"},
                by_class={
                    "rain": ClassEvaluation(
                        rows=4,
                        predicted=0,
                        metrics={"recall": NOTED},
                        absent={"f1": "why"},
                        curve=RankingCurve(
                            thresholds=[0.75, 0.25],
                            recall=[0.5, 1.0],
                            false_positive_rate=[0.0, 1.0],
                            precision=[1.0, 0.5],
                        ),
                    )
                },
                confusion=Confusion(classes=["clear", "rain"], rows=[[4, 1], [2, 2]], other=[1, 0]),
                calibration=[CalibrationBin(low=0.5, high=0.75, rows=4, said=0.625, right=NOTED)],
                residuals={
                    "bikers": Residuals(
                        mean=0.5,
                        deviation=1.5,
                        quantiles={"0.5": 0.25},
                        edges=[-1.0, 1.0],
                        counts=[9],
                        groups=[ResidualGroup(rows=9, prediction=3.5, mean=0.5, low=-0.5, high=1.5)],
                    )
                },
                slices=[
                    SliceEvaluation(name="sky", holds="sky = rain", rows=4, metrics=METRIC["validation"], absent={}),
                    SliceEvaluation(name="night", holds="hour < 6", rows=1, metrics={}, absent={}, note="too few"),
                ],
                worst=Examples(
                    loss="absolute error",
                    rows=[Example(row=3, time=0.5, loss=2.5, truth="1", answer="3.5", inputs={"temp": "0.5"})],
                ),
            )
        },
    ),
    "comparison": Comparison(
        name="bikes",
        runs=["r1", "r2"],
        part="validation",
        rows=9,
        blocks=3,
        blocked_by="days",
        settings={"model.width": ["64", "128"]},
        figures={"validation": [METRIC["validation"], METRIC["validation"]]},
        against=[
            AgainstFirst(
                run="r2",
                differences=[
                    Differences(
                        name="",
                        holds="all rows",
                        rows=9,
                        blocks=3,
                        metrics={"mae": Metric(value=-1.5, low=-2.5, high=-0.5)},
                        verdicts={"mae": "better"},
                    ),
                    Differences(name="sky", holds="sky = rain", rows=1, blocks=0, metrics={}, verdicts={}, note="few"),
                ],
            )
        ],
    ),
    "bundle": Bundle(
        name="bikes",
        version="3",
        created="2026-01-01T00:00:00.000Z",
        task="regression",
        target="bikers",
        signature=SIGNATURE,
        max_batch=1024,
        artefacts={"onnx": "model.onnx"},
        files={"model.onnx": FileDigest(sha256="ab" * 32, bytes=5)},
        parity=[
            Parity(
                format="onnx",
                runtime="onnxruntime 1.32.0 CPU",
                artefact_sha256="ab" * 32,
                batch=7,
                rows=56,
                max_abs_error=1e-6,
                max_rel_error=1e-7,
                absolute_tolerance=0.01,
                relative_tolerance=1e-4,
                passed=True,
                rows_sha256="cd" * 32,
                versions={"torch": "2.13.0", "onnxruntime": "1.32.0"},
                edge_rows=28,
                edge_rows_left_out=1,
                shapes={"temp": [7, 2]},
                axes={"temp": [1]},
            )
        ],
        evaluation=METRIC,
        lineage=LINEAGE,
        fidelity=[
            Fidelity(
                format="int8_static",
                artefact_sha256="ab" * 32,
                bytes=3,
                rows=9,
                rows_sha256="cd" * 32,
                apart=0.25,
                far=0.5,
                differing=0.125,
                metric="mae",
                own=17.5,
                change=Metric(value=0.5, low=-0.25, high=1.0),
                made="2 Gemm in 8 bits, minmax ranges of 256 training rows",
                bounds={"apart": 0.5, "far": 0.75, "differing": 0.02, "lost": 0.01},
                passed=True,
            )
        ],
    ),
    "profile": ReferenceProfile(
        columns=[
            ReferenceColumn(name="temp", kind="numeric", values=[0.5, None]),
            ReferenceColumn(name="sky", kind="category", values=["clear", None]),
        ],
        time=[0.0, 3600.0],
        split=["train", "validation"],
        prediction=[1.0, 2.0],
        truth=[1.5, 2.5],
        weight=[1.0, 0.5],
    ),
    "aliases": Aliases(revision=2, champion="3", traffic={"4": 0.1}),
    "claim": Claim(writer="ab" * 16, time=1304208000.0),
    "change": Change(
        revision=2, time="2026-01-01T00:00:00.000Z", action="promote", champion="3", before="1", reason="better"
    ),
    "revision": Revision(
        writer="ab" * 16,
        aliases=Aliases(revision=2, champion="3"),
        change=Change(
            revision=2, time="2026-01-01T00:00:00.000Z", action="promote", champion="3", before="1", reason="better"
        ),
        leaving=["1"],
    ),
    "places": Places(positions={"w": Position(segment=1, offset=20)}, torn_tails=1, entries=5),
    "window": Window(
        model="bikes",
        version="3",
        start=0.0,
        end=604800.0,
        rows=168,
        checks=[Check(name="missing", column="temp", verdict="warn", detail="7% missing", value=0.07)],
        drift=[Evidence(detector="block_shift", feature="temp", evidence=1.5, statistic=3.5, p_value=0.01)],
        quality=Quality(metric="mean_absolute_error", value=40.0, baseline=15.0, evidence=2.0, rows=168, coverage=1.0),
    ),
    "alert": ALERT,
    "webhook": alerts.webhook([ALERT], "staytrue", "http://127.0.0.1:8090"),
    "job": RetrainJob(id="bikes-1", model="bikes", trigger="drift", champion="1", event_time=1.0, created=2.0),
    "verdict": Verdict(
        job="bikes-1",
        model="bikes",
        champion="1",
        challenger="2",
        metric="mean_absolute_error",
        rows=168,
        blocks=7,
        champion_error=47.5,
        challenger_error=25.5,
        difference=-22.0,
        low=-33.5,
        high=-12.0,
        confidence=0.95,
        promote=True,
        reason="better",
        decided=1.0,
    ),
    "event": Event(
        id="e1",
        time=1304208000.0,
        recorded=1304208001.5,
        request_id="mine",
        model="bikes",
        version="3",
        rows=1,
        run_seconds=0.25,
        inputs=[Tensor(name="temp", datatype="FP32", shape=[1, 1], data=b"\x00\x00\x00?")],
        outputs=[Tensor(name="sky", datatype="BYTES", shape=[1, 1], data=["clear"])],
    ),
    "heartbeat": Heartbeat(worker="w", time=1.0, ready=True, versions={"bikes": ["3"]}),
    "label": Label(event_id="e1", truth=12.0, known=1304211600.0, received=1.0),
}
LOGGED = ("event", "heartbeat", "label")


@pytest.mark.parametrize("name", RECORDS)
def test_the_written_form_is_the_golden_one(name: str) -> None:
    assert to_json(RECORDS[name]).decode() == (FILES / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECORDS)
def test_the_golden_form_reads_back(name: str) -> None:
    record = RECORDS[name]
    assert from_json(type(record), (FILES / f"{name}.json").read_bytes(), name) == record


@pytest.mark.parametrize("name", LOGGED)
def test_the_logged_form_is_the_golden_one(name: str) -> None:
    data = bytes.fromhex((FILES / f"{name}.msgpack.hex").read_text())
    record: Any = RECORDS[name]
    assert encode(record) == data
    assert decode(data) == record


def test_the_defaults_of_a_project_are_the_golden_ones() -> None:
    assert defaults() == yaml.safe_load((FILES / "project.yaml").read_text(encoding="utf-8"))


def defaults() -> Any:
    """A project with nothing but what it must have."""
    data = {"source": "d.csv", "time": "t", "target": "y", "features": {"a": {"kind": "numeric"}}}
    return Project.model_validate({"name": "bikes", "data": data}).model_dump(mode="json")


def write() -> None:
    """Write the files anew."""
    FILES.mkdir(exist_ok=True)
    for name, record in RECORDS.items():
        (FILES / f"{name}.json").write_bytes(to_json(record))
    for name in LOGGED:
        entry: Any = RECORDS[name]
        (FILES / f"{name}.msgpack.hex").write_text(encode(entry).hex() + "\n")
    (FILES / "project.yaml").write_text(yaml.safe_dump(defaults(), sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    write()
