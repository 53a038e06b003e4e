"""``python -m training``: the commands of this part."""

import os
import signal

import torch

from staytrue.command import main
from staytrue.orphans import end_with
from training.processes import end_after

if __name__ == "__main__":
    if torch.distributed.is_torchelastic_launched():  # by torchrun, which may be killed
        end_with(os.getppid(), signal.SIGKILL)
        end_after(main)
    raise SystemExit(main())
