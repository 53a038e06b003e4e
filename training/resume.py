"""Resume: where a training stands, kept so that one that was killed goes on as if it never had been."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import safetensors
import safetensors.torch
import torch

from staytrue.errors import Conflict, CorruptData
from staytrue.records import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from staytrue.environment import Environment
    from training.devices import Devices
    from training.guard import Guard
    from training.history import History
    from training.optim import Optimiser

STATE = "state.safetensors"
OTHERWISE = "put them back as they were, or start a new run without --resume"
"""What to do where settings are not those of the run."""
SHARE = 0.02
"""Of the time may go into keeping where a training stands."""
MOST_SECONDS = 600.0
"""Between two times, however long the last one took: a disk may have stalled."""
_STANDING, _RANDOM, _DIGEST = "standing", "random", "sha256"


@dataclasses.dataclass
class Place:
    """Where a training stands: epochs done; of the one under way the steps done, its rows' loss so far, its rate."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    rate: float = 0.0

    def took(self, loss: float, rate: float) -> None:
        """A step is done, with the sum of its rows' losses, in an epoch that began with this rate."""
        self.step, self.loss, self.rate = self.step + 1, self.loss + loss, rate

    def turn(self) -> None:
        """An epoch is done."""
        self.epoch, self.step, self.loss = self.epoch + 1, 0, 0.0


class Keeper:
    """Keeps all that the rest of a training depends on in one file of a run's folder, replaced in one step.

    That is: weights, optimiser, schedule and average, the epochs so far with the best weights, the place, and torch's
    generator, which dropout draws from (with several processes from the step's seed instead). The order of rows depends
    on seed and epoch alone. ``identity`` is what must be the same for a run to go on, beside the number of processes:
    settings and data.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        identity: Mapping[str, str],
        surroundings: Environment,
        module: nn.Module,
        optimiser: Optimiser,
        history: History,
        guard: Guard,
        machine: Devices,
    ) -> None:
        self._path, self._seconds, self._identity = folder / STATE, seconds, dict(identity)
        self._module, self._optimiser, self._history = module, optimiser, history
        self._guard, self._machine = guard, machine
        self._surroundings = surroundings
        self.moved = ""
        """What the run that goes on began with, where that is other software; empty else."""
        self._last, self._wait = time.monotonic(), seconds

    def keep(self, place: Place) -> None:
        """Write where the training stands, if the last time was long enough ago.

        Long enough is what the settings say, or longer where writing takes long: it takes :data:`SHARE` of the time at
        most, unless every step is asked for.
        """
        began = time.monotonic()
        if began - self._last < self._wait:
            return
        self._write(place)
        self._last = time.monotonic()
        if self._seconds:
            self._wait = max(self._seconds, min((self._last - began) / SHARE, MOST_SECONDS))

    def _write(self, place: Place) -> None:
        optimiser, numbers = self._optimiser.state()
        epochs, best = self._history.state()
        tensors = {
            **_within("module", self._module.state_dict()),
            **_within("optimiser", optimiser),
            **_within("best", best),
            _RANDOM: torch.get_rng_state(),
        }
        _part_shared(tensors)
        standing = {
            "identity": self._identity,
            "place": dataclasses.asdict(place),
            "optimiser": numbers,
            "history": epochs,
            "guard": self._guard.state(),
            "machine": self._machine.state(),
            "processes": self._machine.processes,
            "environment": msgspec.to_builtins(self._surroundings),
        }
        told = json.dumps(standing)
        with replacing(self._path) as new:
            safetensors.torch.save_file(tensors, new, {_STANDING: told, _DIGEST: _digest(tensors, told)})

    def restore(self) -> Place:
        """Put everything back as it was kept; the very beginning where nothing was.

        Raises:
            Conflict: the run was made with other settings, on other data, or by another number of processes.
            CorruptData: the file cannot be read, or is not of this model.
        """
        if not self._path.is_file():
            return Place()
        try:
            with safetensors.safe_open(self._path, framework="pt") as file:
                told = file.metadata()
            standing, tensors = json.loads(told[_STANDING]), safetensors.torch.load_file(self._path)
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise CorruptData(str(self._path), f"cannot be read: {error}", hint="start a new run") from error
        if _DIGEST in told and told[_DIGEST] != _digest(tensors, told[_STANDING]):  # of older runs there is none
            raise CorruptData(str(self._path), "its bytes are not those that were written", hint="start a new run")
        self._check(standing["identity"], standing.get("processes", 1))
        try:
            self._module.load_state_dict(_part("module", tensors))
            self._optimiser.restore(_part("optimiser", tensors), standing["optimiser"])
            self.moved = self._begun(standing.get("environment", {}))
            self._history.restore(standing["history"], _part("best", tensors))
            self._guard.restore(standing["guard"])
            self._machine.restore(standing.get("machine", {}))
            torch.set_rng_state(tensors[_RANDOM])
            return Place(**standing["place"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise CorruptData(str(self._path), f"is not of this model: {error}", hint="start a new run") from error

    def _check(self, found: dict[str, Any], processes: int) -> None:
        for what, now in self._identity.items():
            if found.get(what) != now:
                raise Conflict(str(self._path.parent), f"was made with other {what}", hint=OTHERWISE)
        if processes != self._machine.processes:
            what = f"was made by {processes} process{'es' * (processes > 1)}, and {self._machine.processes} would go on"
            hint = f"start {processes} (training.processes, or torchrun's), or start a new run without --resume"
            raise Conflict(str(self._path.parent), what, hint=hint)

    def _begun(self, found: dict[str, Any]) -> str:
        """Versions and code that differ from those of now, as they were."""
        were, now = found.get("versions", {}), self._surroundings
        other = [f"{name} {version}" for name, version in were.items() if now.versions.get(name) != version]
        if found.get("commit") and found["commit"] != now.commit:
            other.append(f"code at commit {found['commit'][:12]}")
        return ", ".join(other)


def _within(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under a name, on the processor: as they are, not copied, if they are there."""
    return {f"{name}/{key}": value.detach().cpu().contiguous() for key, value in tensors.items()}


def _part_shared(tensors: dict[str, Tensor]) -> None:
    """Give each tensor memory of its own, which a file of them asks for: weights that are tied have one in common."""
    seen: set[int] = set()
    for name, value in tensors.items():
        if value.untyped_storage().data_ptr() in seen:
            tensors[name] = value.clone()
        seen.add(value.untyped_storage().data_ptr())


def _part(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What :func:`_within` put under a name."""
    start = f"{name}/"
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}


def _digest(tensors: Mapping[str, Tensor], told: str) -> str:
    """SHA-256 of all that a state holds."""
    made = hashlib.sha256(told.encode())
    for name in sorted(tensors):
        made.update(name.encode())
        made.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return made.hexdigest()
