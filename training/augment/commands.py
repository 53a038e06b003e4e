"""The command ``augment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from staytrue import project as projects

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray
    from torch import Tensor


class Augment:
    """``staytrue augment``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument(
            "--output", type=Path, default=Path("augmented"), help="folder for sheets and pages (default: %(default)s)"
        )
        parser.add_argument("--rows", type=int, default=6, help="rows shown, from all over (default: %(default)s)")
        parser.add_argument("--epochs", type=int, default=5, help="first epochs shown of each (default: %(default)s)")

    def run(self, arguments: argparse.Namespace) -> int:
        """Write what training would see of some rows."""
        from staytrue.errors import InvalidConfig
        from staytrue.settings import resolve
        from training.augment.augmenter import augmentation
        from training.augment.preview import preview
        from training.data.clean import steps
        from training.prepare import prepare

        for name in ("rows", "epochs"):
            if getattr(arguments, name) < 1:
                raise InvalidConfig(f"--{name}", expected="1 or more", got=str(getattr(arguments, name)))
        project = projects.load(arguments.project)
        sections = {name: resolve(getattr(project, name), name, {}) for name in ("cleaning", "split", "training")}
        project = project.model_copy(update=sections)
        if not project.training.augmentation.varies:
            hint = "set what is to be varied; docs/augmentation.md says what there is"
            raise InvalidConfig("training.augmentation", "varies nothing", hint=hint)
        rows = prepare(project).training
        project = steps.dense(project, rows)
        features = project.data.features
        rows = steps.apply(rows.only(features), features, project.cleaning).rows
        augmenter = augmentation(project.training, features, len(rows), lambda name: (rows.columns[name], _unasked))
        shown = {"count": arguments.rows, "epochs": range(1, arguments.epochs + 1)}
        made = [] if augmenter is None else preview(augmenter, rows, features, arguments.output, **shown)
        for path in made:
            print(f"wrote {path}")
        if not made:
            print("rows are mixed, and nothing else: there is no picture of that")
        return 0


def _unasked(texts: NDArray[Any]) -> Tensor:
    """Texts are shown as texts, whatever ids a tokenizer makes of them."""
    raise TypeError(f"{len(texts)} texts are shown, and not encoded")


augment = Augment()
