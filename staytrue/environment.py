"""The record of what a training ran on: with it and the project, the same machine gives the same weights."""

from __future__ import annotations

from staytrue.records import Record


class Environment(Record, frozen=True, kw_only=True):
    """Seed, software, machine and the state of the project's code; the data's fingerprint is in the lineage."""

    seed: int
    threads: int
    """Of the processor: sums that are taken in another order round to other bits."""
    processor: str
    """What decides which kernels run: ``x86_64 AVX512``, or a GPU's name."""
    platform: str
    versions: dict[str, str]
    """Of Python and of the packages that compute."""
    commit: str | None = None
    """Of the checkout that the project lies in; None outside of one, without a commit, or without git."""
    changed: bool | None = None
    """Whether tracked files differ from that commit."""


def said(environment: Environment) -> str:
    """In a sentence, for a model card."""
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    threads = f"{environment.threads} thread" + "s" * (environment.threads != 1)
    text = f"Trained with seed {environment.seed} by {versions}, {threads} of {environment.processor}"
    text += f", {environment.platform}"
    if environment.commit:
        text += f"; code at commit `{environment.commit}`" + (
            ", **with changes that it lacks**" * bool(environment.changed)
        )
    return text + "."
