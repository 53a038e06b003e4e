"""The demo's own project: the example's staytrue.yaml with the few settings that a replay needs."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any

import yaml

EXAMPLE = Path(__file__).resolve().parent.parent / "staytrue.yaml"


def new_secret() -> str:
    """A Standard Webhooks secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def write_project(folder: Path, webhook_url: str, secret: str) -> Path:
    """Write ``staytrue.yaml`` into a folder; its path."""
    project: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    project["data"]["source"] = str((EXAMPLE.parent / project["data"]["source"]).resolve())
    project["store"] = "store"
    project.setdefault("retraining", {})["runs"] = "runs"
    project.setdefault("serving", {}).update(
        port=0,
        grpc_port=0,
        log="events",
        event_time="request",  # a year is replayed in minutes
    )
    project.setdefault("monitoring", {}).update(
        port=0,
        data="monitoring",
        poll_seconds=0.02,
        webhooks=[{"url": webhook_url, "secret": secret}],
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "staytrue.yaml"
    path.write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")
    path.chmod(0o600)  # it holds the webhook's secret
    return path
