"""The section ``training.watching`` of ``staytrue.yaml``: details of who watches a training."""

from __future__ import annotations

import urllib.parse
from typing import Literal

from pydantic import Field, field_validator

from staytrue.section import Section

Logger = Literal["tensorboard", "mlflow"]


class WatchingSection(Section):
    """Where loggers write, and where gauges are asked for."""

    metrics_host: str = Field(
        default="127.0.0.1", description="address of `metrics_port`; anybody who reaches it can read the gauges"
    )
    mlflow_tracking: str | None = Field(
        default=None,
        description="address of an MLflow server, or a folder; unset: MLFLOW_TRACKING_URI, or else the folder `mlruns`",
    )
    mlflow_experiment: str | None = Field(default=None, description="experiment of the runs; unset: the model's name")

    @field_validator("mlflow_tracking")
    @classmethod
    def _holds_no_secret(cls, value: str | None) -> str | None:
        """Refuse what every run would write down with its settings."""
        if value and urllib.parse.urlsplit(value).password:
            raise ValueError("no password in an address: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
        return value
