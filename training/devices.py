"""Devices: where a training runs, in which precision, and how many processes share each of its steps."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn

from staytrue.errors import InvalidConfig
from training.ending import is_one_of_several
from training.scaling import Scaler
from training.transfer.freezing import held, hold

if TYPE_CHECKING:
    from torch import Tensor

    from staytrue.sections import TrainingSection
    from training.batches import Taken


class Devices(Protocol):
    """What a training asks of the machines it runs on."""

    processes: int
    main: bool
    """Whether this process is the one that writes."""
    device: str
    """By torch's name."""

    def placed(self, module: nn.Module) -> nn.Module:
        """The module, brought to the device."""

    def prepared(self, module: nn.Module) -> nn.Module:
        """What to call in training in place of a placed module: in the precision, its gradients shared by all.

        The module itself stays as it is: called by itself, to be judged or exported, it is at full precision.
        """

    def draws(self, seed: int, step: int) -> None:
        """Before a step: let what it draws (dropout, noise) be another in each process, and the same if done again."""

    def share(self, which: Tensor) -> Tensor:
        """The rows of a step that this process takes."""

    def moved(self, rows: Taken) -> Taken:
        """Rows where the module is."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss; all processes get the mean of theirs."""

    def ready(self, optimiser: torch.optim.Optimizer) -> bool:
        """Whether gradients are to be stepped by; called once after each ``backward``, before they are looked at."""

    def total(self, number: Tensor) -> float:
        """The sum of a number over all processes."""

    def told(self, words: str) -> list[str]:
        """What each process has to tell, in their order; all of them must ask."""

    def agree(self, module: nn.Module) -> None:
        """Give all processes the main one's buffers (a norm's statistics), which each takes from its own rows."""

    def state(self) -> dict[str, Any]:
        """What the next steps depend on; JSON values."""

    def restore(self, values: dict[str, Any]) -> None:
        """Go on where ``state`` was asked."""

    def done(self, module: nn.Module) -> None:
        """Bring the module back to where it came from."""


class Processor:
    """One process on the processor, at full precision: nothing needs to be done."""

    processes, main, device = 1, True, "cpu"

    def placed(self, module: nn.Module) -> nn.Module:
        """It is there."""
        return module

    def prepared(self, module: nn.Module) -> nn.Module:
        """As it is."""
        return module

    def draws(self, seed: int, step: int) -> None:
        """From torch's generator as it stands, which a run keeps."""

    def share(self, which: Tensor) -> Tensor:
        """All."""
        return which

    def moved(self, rows: Taken) -> Taken:
        """As they are."""
        return rows

    def backward(self, loss: Tensor) -> None:
        """Its gradient."""
        loss.backward()  # type: ignore[no-untyped-call]

    def ready(self, optimiser: torch.optim.Optimizer) -> bool:  # noqa: ARG002 - they are as they are
        """Always."""
        return True

    def total(self, number: Tensor) -> float:
        """The number."""
        return number.item()

    def told(self, words: str) -> list[str]:
        """What this one has."""
        return [words]

    def agree(self, module: nn.Module) -> None:
        """With itself."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, values: dict[str, Any]) -> None:
        """Nothing."""

    def done(self, module: nn.Module) -> None:
        """It never left."""


def _part() -> None:
    """Leave the other processes, at the end of this one."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class Accelerated:
    """By Accelerate: a GPU, mixed precision, several processes on one host or on many.

    A step's rows are dealt to the processes, and a loss is divided by the rows of the whole step: the mean of the
    processes' gradients times their number is the gradient that one process would have found.
    """

    def __init__(self, settings: TrainingSection) -> None:
        from accelerate import Accelerator  # noqa: PLC0415 - it takes seconds, and most trainings do without it
        from accelerate.state import AcceleratorState  # noqa: PLC0415

        AcceleratorState._reset_state()  # noqa: SLF001 - it is the process's, and a training before may have had another
        check(settings)
        mixed = {"full": "no", "bf16": "bf16", "fp16": "fp16"}[settings.precision]
        processor = settings.device == "cpu" or not torch.cuda.is_available()
        self._accelerator: Any = Accelerator(cpu=processor, mixed_precision=mixed)
        self.processes, self.main = self._accelerator.num_processes, self._accelerator.is_main_process
        if self.processes > 1:
            atexit.register(_part)
        self._at, self.device = self._accelerator.process_index, str(self._accelerator.device)
        if settings.device == "cuda" and self._accelerator.device.type != "cuda":
            expected = "a CUDA device that this torch can use"
            raise InvalidConfig("training.device", expected=expected, got=str(self._accelerator.device))
        self._scaler = Scaler(self._accelerator.device) if mixed == "fp16" else None

    def placed(self, module: nn.Module) -> nn.Module:
        """On the device; the statistics of batches are those of all processes, where the device can do that."""
        if self.processes > 1 and self._accelerator.device.type == "cuda":
            module = joined(module)
        return module.to(self._accelerator.device)

    def prepared(self, module: nn.Module) -> nn.Module:
        """With several processes behind what averages their gradients."""
        made: nn.Module = self._accelerator.prepare_model(_Called(module))
        return made

    def draws(self, seed: int, step: int) -> None:
        """From a seed of the step and the process: a run keeps the main process's generator, and none of a GPU."""
        if self.processes > 1 or self.device != "cpu":
            mixed = np.random.SeedSequence((seed, step, self._at)).generate_state(1, np.uint64)
            torch.manual_seed(int(mixed[0] >> np.uint64(1)))

    def share(self, which: Tensor) -> Tensor:
        """Every so many-th row."""
        return which[self._at :: self.processes]

    def moved(self, rows: Taken) -> Taken:
        """To the device."""
        return rows.to(self._accelerator.device)

    def backward(self, loss: Tensor) -> None:
        """Its gradient; Accelerate divides by the number of processes, which the loss is not yet divided by."""
        if self._scaler is not None:  # in place of Accelerate's, which an optimiser must be wrapped for
            self._scaler.backward(loss * self.processes)
        else:
            self._accelerator.backward(loss * self.processes)

    def ready(self, optimiser: torch.optim.Optimizer) -> bool:
        """Unless they overflowed in 16 bits, which they do in all processes, having their mean."""
        return self._scaler is None or self._scaler.ready(optimiser)

    def total(self, number: Tensor) -> float:
        """Over all processes."""
        summed: Tensor = self._accelerator.reduce(number.detach().to(self._accelerator.device), "sum")
        return summed.item()

    def told(self, words: str) -> list[str]:
        """As bytes, filled up to the longest: objects would travel as pickles."""
        mine, there = torch.tensor(list(words.encode()), dtype=torch.uint8), self._accelerator.device
        sizes = self._accelerator.gather(torch.tensor([len(mine)], device=there)).tolist()
        full = nn.functional.pad(mine, (0, max(sizes) - len(mine))).to(there).unsqueeze(0)
        rows = self._accelerator.gather(full).tolist()  # [processes, longest]
        return [bytes(row[:size]).decode() for row, size in zip(rows, sizes, strict=True)]

    def agree(self, module: nn.Module) -> None:
        """As in each forward pass of training, where they are the main process's too."""
        if self.processes > 1:
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def state(self) -> dict[str, Any]:
        """The factor of the loss, where there is one."""
        return {} if self._scaler is None else self._scaler.state()

    def restore(self, values: dict[str, Any]) -> None:
        """Go on with that factor."""
        if self._scaler is not None:
            self._scaler.restore(values)

    def done(self, module: nn.Module) -> None:
        """To the processor."""
        module.cpu()


def joined(module: nn.Module) -> nn.Module:
    """Its batch norms made such that take their statistics from all processes; frozen ones stay frozen."""
    frozen = held(module)
    made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    for name in frozen:
        hold(made.get_submodule(name))
    return made


class _Called(nn.Module):
    """A module as Accelerate may change it: it puts a forward pass in 16 bits into what it is given, and leaves it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, matrix: Tensor) -> Tensor:
        """The module's."""
        made: Tensor = self.module(matrix)
        return made


def alone(called: nn.Module) -> nn.Module:
    """What ``prepared`` gave, in its precision, without the other processes."""
    return called.module if isinstance(called, nn.parallel.DistributedDataParallel) else called


def check(settings: TrainingSection) -> None:
    """Refuse what needs a GPU where there is none.

    Raises:
        InvalidConfig: names the setting.
    """
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        hint = "auto takes one where there is one"
        raise InvalidConfig("training.device", expected="a CUDA device that this torch can use", got="none", hint=hint)
    if settings.precision == "fp16" and (settings.device == "cpu" or not there):
        hint = "bf16 computes in 16 bits on any processor"
        raise InvalidConfig("training.precision", expected="full or bf16 without a GPU", got="fp16", hint=hint)


def devices(settings: TrainingSection) -> Devices:
    """What the settings and the machine call for; Accelerate is asked only where it has something to do.

    Raises:
        InvalidConfig: a device that is not there.
    """
    alone = not is_one_of_several()
    gpu = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    return Processor() if alone and not gpu and settings.precision == "full" else Accelerated(settings)
