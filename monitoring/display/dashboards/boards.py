"""All our dashboards, by the name of their file."""

from __future__ import annotations

from monitoring.display.dashboards import model, service

BOARDS = {"service": service.BOARD, "model": model.BOARD}
