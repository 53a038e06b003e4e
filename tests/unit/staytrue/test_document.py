"""``docs/settings.md`` is what the code says: an undocumented setting, or one that is gone, fails here."""

from __future__ import annotations

from pathlib import Path

from staytrue import document
from staytrue.server import ServingSection

ROOT = Path(__file__).parents[3]


def test_the_settings_page_is_up_to_date() -> None:
    assert document.page() == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"), "run `make docs`"


def test_every_serving_setting_is_on_the_page() -> None:
    page = document.page()
    assert all(f"`{name}`" in page for name in ServingSection.model_fields)
