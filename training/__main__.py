"""``python -m training``: the commands of this part."""

import os
import signal

from staytrue.command import main
from staytrue.orphans import end_with
from training.ending import end_after, is_one_of_several, launcher

if __name__ == "__main__":
    if is_one_of_several():  # by torchrun, which may be killed, and may be gone by now
        end_with(launcher() or os.getppid(), signal.SIGKILL)
        end_after(main)
    raise SystemExit(main())
