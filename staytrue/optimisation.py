"""Section of ``staytrue.yaml`` on optimisation: what an optimiser and a schedule take, and which take what."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from staytrue.section import Count, Positive, Section, Share

OptimiserName = Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw"]
ScheduleName = Literal["fixed", "step", "linear", "exponential", "polynomial", "cosine", "one_cycle", "plateau"]
Decay = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]

RATES: dict[OptimiserName, float] = {
    "sgd": 0.2,
    "momentum": 0.03,
    "nesterov": 0.03,
    "adagrad": 0.02,
    "adadelta": 1.0,
    "rmsprop": 1e-3,
    "adam": 3e-3,
    "adamw": 3e-3,
}
"""Learning rate of each where none is set: ten steps of momentum add up, those of Adadelta have the weights' unit."""
DECAYS: dict[OptimiserName, float] = {"adamw": 0.01}
"""Decoupled weight decay of each where none is set; no other has any."""
PLATEAU_EPOCHS = 5
"""Epochs without a smaller error that the schedule of this name waits for where none are set."""
TAKEN_BY: dict[str, tuple[OptimiserName | ScheduleName, ...]] = {
    "momentum": ("momentum", "nesterov", "rmsprop"),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "rho": ("adadelta", "rmsprop"),
    "epsilon": ("adagrad", "adadelta", "rmsprop", "adam", "adamw"),
    "start": ("one_cycle",),
    "peak": ("one_cycle",),
    "end": ("linear", "exponential", "polynomial", "cosine", "one_cycle", "plateau"),
    "power": ("polynomial",),
    "factor": ("step", "plateau"),
    "step_epochs": ("step",),
    "plateau_epochs": ("plateau",),
}
"""Setting → the optimisers or schedules that take it."""


class OptimisationSection(Section):
    """What the optimiser and the schedule of its learning rate take; unset, each has its own usual value."""

    momentum: Share | None = Field(
        default=None, description="momentum, nesterov (0.9), rmsprop (0): share of a step that the next one keeps"
    )
    beta1: Decay | None = Field(default=None, description="adam, adamw: decay of the mean gradient (0.9)")
    beta2: Decay | None = Field(default=None, description="adam, adamw: decay of the mean squared gradient (0.999)")
    rho: Decay | None = Field(
        default=None, description="adadelta (0.9), rmsprop (0.99): decay of the mean squared gradient"
    )
    epsilon: Positive | None = Field(
        default=None,
        description="adagrad (1e-10), adadelta (1e-6), rmsprop, adam, adamw (1e-8): keeps divisors from zero",
    )
    warmup: NotNegative = Field(
        default=0, description="steps in which the learning rate rises to the schedule's first; below 1: share of all"
    )
    start: Share | None = Field(default=None, description="one_cycle: share of the learning rate to start from (0.04)")
    peak: Share | None = Field(default=None, description="one_cycle: share of the steps that it rises for (0.3)")
    end: Decay | None = Field(
        default=None,
        description="share of the learning rate that is left at the end: linear, polynomial, cosine (0), exponential "
        "(0.01), one_cycle (4e-6); plateau: it falls no further (0)",
    )
    power: Positive | None = Field(default=None, description="polynomial: of the share of steps still to go (2)")
    factor: Share | None = Field(
        default=None, description="step, plateau: what the learning rate is multiplied by (0.1)"
    )
    step_epochs: Count | None = Field(default=None, description="step: epochs between two falls (a third of `epochs`)")
    plateau_epochs: Count | None = Field(
        default=None, description="plateau: epochs without a smaller validation error that are waited for (5)"
    )

    def check(self, optimiser: OptimiserName, schedule: ScheduleName) -> None:
        """Refuse settings that neither takes.

        Raises:
            ValueError: names the first, and who takes it.
        """
        for name, takers in TAKEN_BY.items():
            if getattr(self, name) is None or {optimiser, schedule} & {*takers}:
                continue
            role, chosen = ("optimiser", optimiser) if takers[0] in get_args(OptimiserName) else ("schedule", schedule)
            named = " or ".join(filter(None, [", ".join(takers[:-1]), takers[-1]]))
            hint = f"remove it, or set {role}: {takers[0]}"
            raise ValueError(f"optimisation.{name} belongs to {role} {named}, and {role} is {chosen}: {hint}")
        if schedule == "exponential" and self.end == 0:
            raise ValueError("optimisation.end of an exponential schedule is above 0: it never reaches zero")
