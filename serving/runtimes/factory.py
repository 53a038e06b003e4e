"""From settings to the maker of runtimes that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.runtimes.onnx import OnnxMaker
from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from serving.runtimes.base import RuntimeMaker
    from staytrue.server import ServingSection


def maker(settings: ServingSection) -> RuntimeMaker:
    """What the settings ask for, or nothing: there is no silent falling back to something else.

    Raises:
        InvalidConfig: the device, the program or the packages that it needs are not here.
        Unavailable: TorchServe did not start in its time.
    """
    if settings.runtime == "onnx":
        return OnnxMaker(
            settings.provider,
            settings.device_id,
            threads=settings.threads,
            fallback=settings.provider_fallback,
            device_memory_bytes=settings.device_memory_bytes,
            artefact=settings.artefact,
        )
    if settings.provider != "cpu":
        hint = "GPUs are ONNX Runtime's: set serving.runtime: onnx"
        raise InvalidConfig(
            "serving.provider", expected="cpu with runtime torchserve", got=settings.provider, hint=hint
        )
    from serving.runtimes.torchserve.runtime import TorchServeMaker  # noqa: PLC0415 - a megabyte for its client

    return TorchServeMaker(settings.torchserve, threads=settings.threads)
