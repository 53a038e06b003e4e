"""A version as it is told to callers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from staytrue.bundle import Bundle


EXTENSIONS = ["binary_tensor_data", "classification", "model_repository", "statistics", "parameters"]
"""Of the Open Inference Protocol, that every protocol here has."""


@dataclass(frozen=True)
class Description:
    """What metadata tells."""

    bundle: Bundle
    versions: list[str]
    """Those that are loaded."""
    platform: str
    provider: str
    runtime: str
    refused: dict[str, str]
    """Version → why it did not load."""
    ready: bool

    def more(self) -> dict[str, Any]:
        """What the protocol's metadata has no place for."""
        signature = self.bundle.signature
        specs = [*signature.inputs, *signature.outputs]
        told = {
            "classes": self.bundle.classes,
            "units": {spec.name: spec.unit for spec in specs if spec.unit},
            "ranges": {spec.name: spec.range for spec in specs if spec.range},
            "descriptions": {spec.name: spec.description for spec in specs if spec.description},
            "typical": {spec.name: spec.typical for spec in specs if spec.typical},
            "state": {spec.name: spec.state for spec in specs if spec.state},
            "tokenizers": {spec.name: spec.tokenizer for spec in specs if spec.tokenizer},
            "tokens": {spec.name: spec.tokens for spec in specs if spec.tokens},
            "rows": "" if signature.rows == "independent" else signature.rows,
        }
        return {
            "version": self.bundle.version,
            "runtime": self.runtime,
            "provider": self.provider,
            "max_batch": self.bundle.max_batch,
            "categories": {spec.name: spec.categories for spec in specs if spec.categories},
            "refused_versions": self.refused,
            **{name: said for name, said in told.items() if said},
        }
