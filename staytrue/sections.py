"""The sections of ``staytrue.yaml``, each frozen, each refusing unknown keys; every default is a working one."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from staytrue.augmentation import AugmentationSection
from staytrue.balance import ClassWeights
from staytrue.optimisation import DECAYS, PLATEAU_EPOCHS, RATES, OptimisationSection, OptimiserName, ScheduleName
from staytrue.reduction import ReductionSection
from staytrue.regularisation import RegularisationSection
from staytrue.section import Count, Positive, Section, Share
from staytrue.transferring import TransferSection
from staytrue.watching import Logger, WatchingSection


class TrainingSection(Section):
    """How the weights are fitted."""

    loss: Literal["mse", "mae", "huber", "poisson", "pinball", "cross_entropy", "binary_cross_entropy"] | None = Field(
        default=None,
        description="what is minimised; unset: huber, or cross_entropy (the only one) for classification; "
        "poisson needs model.output positive; pinball is of model.quantiles and binary_cross_entropy of multilabel, "
        "the only one there",
    )
    epochs: Count = Field(default=200, description="at most")
    patience: Count = Field(default=20, description="epochs without a smaller validation error before stopping")
    batch_size: Count = Field(default=256, description="rows a step, of all processes together")
    optimiser: OptimiserName = Field(
        default="adamw", description="how a gradient becomes a step (docs/optimisation.md)"
    )
    learning_rate: Positive | None = Field(
        default=None, description="the largest of the schedule; unset: the optimiser's own, 0.003 of adamw"
    )
    schedule: ScheduleName = Field(
        default="cosine", description="how the learning rate falls over `epochs`; cosine: to zero"
    )
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="decoupled penalty; unset: 0.01 of adamw, none of others"
    )
    optimisation: OptimisationSection = OptimisationSection()
    regularisation: RegularisationSection = RegularisationSection()
    class_weights: ClassWeights = Field(
        default="none", description="what rows of each class count in the loss; balanced: each class as much as another"
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        default="shuffled", description="rows of an epoch; balanced: as many of each class, drawn again where too few"
    )
    averaging: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.98, description="decay a step of the moving average of the weights that is kept; 0: no averaging"
    )
    checkpoint_seconds: Annotated[float, Field(ge=0)] = Field(
        default=60, description="how often a training keeps where it stands, for `staytrue train --resume`"
    )
    seed: int = Field(default=0, description="of the weights, the order of rows and the bootstrap")
    threads: Count = Field(default=1, description="processor threads")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: a GPU where torch finds one, else the processor"
    )
    precision: Literal["full", "bf16", "fp16"] = Field(
        default="full",
        description="bf16, fp16: layers that bear it compute in 16 bits, weights stay in 32; fp16 needs a GPU",
    )
    processes: Count = Field(
        default=1, description="on this machine, that share each step; for several machines: docs/training.md"
    )
    augmentation: AugmentationSection = AugmentationSection()
    loggers: list[Logger] = Field(default=[], description="told beside metrics.jsonl (docs/watching.md)")
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="live gauges of the training for Prometheus; 0: any free port, told; unset: none"
    )
    explosion: Annotated[float, Field(gt=1)] | None = Field(
        default=100, description="stop where 20 losses in a row are so many times the first; null: never"
    )
    watching: WatchingSection = WatchingSection()
    transfer: TransferSection = TransferSection()

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        self.optimisation.check(self.optimiser, self.schedule)
        waits = self.optimisation.plateau_epochs or PLATEAU_EPOCHS
        if self.schedule == "plateau" and self.patience < waits + 2:
            raise ValueError(
                f"patience {self.patience} stops before schedule plateau lowers the rate, after {waits + 1} epochs "
                f"without a smaller error: set patience to at least {waits + 2}, or lower optimisation.plateau_epochs"
            )
        if self.optimiser == "adam" and self.weight_decay:
            raise ValueError(
                "weight_decay with adam is adamw: set optimiser: adamw, or regularisation.l2 instead of it"
            )
        if self.class_weights == self.sampling == "balanced":
            raise ValueError("class_weights and sampling both balanced would favour rare classes twice: one of them")
        return self

    @property
    def rate(self) -> float:
        """The learning rate, the optimiser's own where none is set."""
        return RATES[self.optimiser] if self.learning_rate is None else self.learning_rate

    @property
    def decay(self) -> float:
        """The decoupled weight decay, the optimiser's own where none is set."""
        return DECAYS.get(self.optimiser, 0.0) if self.weight_decay is None else self.weight_decay


class ImportingSection(Section):
    """What of files from elsewhere is taken in; they are looked through before anything of them runs."""

    max_bytes: Count = Field(default=2 * 1024**3, description="of a file, with what it keeps beside it")
    max_nodes: Count = Field(
        default=100_000,
        description="operators of a graph, those of branches and of each call of a function too; lines of TorchScript",
    )
    max_batch: Count = Field(default=32, description="rows of the largest request served, where no amendment tells it")
    formats: list[Literal["onnx", "torchscript", "mar", "pt2", "ort"]] = Field(
        default=["onnx"],
        min_length=1,
        description="forms an import is written and proven in, as `export.formats`; `torchscript` only of PyTorch's "
        "files, `pt2` only of weights",
    )


class ExportSection(Section):
    """What is exported, and how exactly it must match."""

    formats: list[Literal["onnx", "torchscript", "mar", "pt2", "ort", "int8_dynamic", "int8_static", "fp16"]] = Field(
        default=["onnx", "torchscript"],
        min_length=1,
        description="pt2 is torch.export's file, ort that of ONNX Runtime on devices, mar TorchServe's archive, whose "
        "proof runs TorchServe: it needs Java 17 and `.[torchserve]`; int8_dynamic, int8_static, fp16: ONNX of fewer "
        "bits (docs/export.md)",
    )
    archive: Literal["torchscript", "onnx"] = Field(default="torchscript", description="what a mar holds")
    max_batch: Count = Field(default=1024, description="rows of the largest request served")
    absolute_tolerance: Positive = Field(default=1e-4, description="in units of the target's standard deviation")
    relative_tolerance: Positive = Field(default=1e-4)
    reduction: ReductionSection = ReductionSection()
    signing_key: Path | None = Field(default=None, description="PEM file of a private key that signs each new version")
    importing: ImportingSection = ImportingSection()


class WebhookTarget(Section):
    """Somebody to tell."""

    url: str = Field(description="http or https address, told by POST")
    secret: SecretStr = Field(description="Standard Webhooks secret: whsec_ and base64")

    @field_validator("secret")
    @classmethod
    def _can_sign(cls, value: SecretStr) -> SecretStr:
        """Refuse what is no base64: read leniently, it would be another key than the receiver's."""
        try:
            key = base64.b64decode(value.get_secret_value().removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not key:
            raise ValueError("whsec_ and base64 are needed: `openssl rand -base64 24`, after whsec_, makes one")
        return value


class MonitoringSection(Section):
    """The sidecar: collector, analyst and alarms."""

    host: str = Field(default="127.0.0.1", description="address to listen on; anything but loopback needs `insecure`")
    insecure: bool = Field(default=False, description="listen beyond loopback without access control")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8090, description="0: any free port, printed")
    data: Path = Field(default=Path(".staytrue/monitoring"), description="folder of lake, labels, state and reports")
    poll_seconds: Positive = Field(default=0.5, description="how often the event log is collected")
    window_days: Positive = Field(default=7, description="span of event time that a look judges")
    look_hours: Positive = Field(default=24, description="event time between looks")
    lateness_seconds: Annotated[float, Field(ge=0)] = Field(
        default=0, description="how long a look waits for events that arrive out of order"
    )
    false_alarms_per_30_days: Positive = Field(default=1, description="budget of the model as a whole, drift + quality")
    traffic_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1, description="share of the traffic that this sidecar sees: 1/2 beside one of two servers"
    )
    for_looks: Count = Field(default=2, description="looks above the threshold before an alarm fires")
    resolve_looks: Count = Field(default=3, description="looks below it before the alarm resolves")
    vanished_seconds: Positive = Field(
        default=3600, description="wall-clock silence after traffic that raises an alarm"
    )
    webhooks: list[WebhookTarget] = Field(default=[], description="who is told of alerts")
    alertmanager: str | None = Field(
        default=None, description="address of an Alertmanager that alerts are pushed to, http://127.0.0.1:9093"
    )
    evidently: bool = Field(default=True, description="make an Evidently report when a drift alarm fires")


class GateSection(Section):
    """What a challenger must show."""

    holdout_share: Share = Field(default=0.3, description="share of the new rows kept for judging, by whole days")
    confidence: Share = Field(
        default=0.9,
        description="of the interval that must lie below zero; 0.9: an equal challenger passes 1 in 20 times",
    )
    minimum_rows: Count = Field(default=48, description="fewer rows to judge by: no promotion")
    minimum_days: Count = Field(default=5, description="fewer days to judge by: no promotion")
    recent_days: Count = Field(default=21, description="only rows this recent are kept for judging; older ones train")

    @property
    def labelled_days(self) -> int:
        """Newly labelled days of which `minimum_days` go to the judge."""
        return math.ceil(self.minimum_days / self.holdout_share - 1e-9)


class RetrainingSection(Section):
    """When to retrain, and what then."""

    enabled: bool = Field(default=True, description="start a retraining job when an alarm fires")
    cooldown_days: Positive = Field(default=14, description="event time between the starts of two jobs")
    minimum_labels: Count = Field(default=100, description="newly labelled rows before a job starts")
    recency_half_life_days: Positive | None = Field(
        default=None, description="a row this much older than the newest counts half; unset: all count alike"
    )
    runs: Path = Field(default=Path("runs"), description="folder of training runs")
    gate: GateSection = Field(default=GateSection())

    @model_validator(mode="after")
    def _can_judge(self) -> Self:
        gate = self.gate
        if gate.labelled_days > gate.recent_days:
            raise ValueError(
                f"gate.minimum_days {gate.minimum_days} at a holdout_share of {gate.holdout_share:g} needs "
                f"{gate.labelled_days} days, recent_days leaves {gate.recent_days}: no challenger could ever be judged"
            )
        return self
