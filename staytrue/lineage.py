"""Lineage: which run, rows, settings and files a version comes from, and who opened the sealed rows that judge it."""

from __future__ import annotations

import msgspec

from staytrue.records import Record


class Lineage(Record, frozen=True, kw_only=True):
    """Where a version comes from."""

    run: str
    data_fingerprint: str
    project_fingerprint: str
    parent: str = ""
    """The version that was champion when this one was made."""
    reason: str = "first training"
    trained_until: float = 0.0
    """Event time of the newest row it has seen, Unix seconds."""
    trained_rows: int = 0
    test_openings: int = 0
    """How often the sealed test split was opened; more than 1 was forced."""
    test_opened: list[str] = msgspec.field(default_factory=list)
    """When; nothing in records from before it was written down."""
    test_opened_for: list[str] = msgspec.field(default_factory=list)
    """For which run each time; empty where it is not known, as in older records."""
    test_opened_by_time: list[str] = msgspec.field(default_factory=list)
    """For which other model, where it knew these rows by their times alone; else empty, and none where all are."""
    let_through: list[str] = msgspec.field(default_factory=list)
    """What the parts of the data share although they should not, each in a sentence; a setting allowed it."""
    began_with: str = ""
    """SHA-256 of the weights that its training began with; empty where all were fresh."""
    members: list[str] = msgspec.field(default_factory=list)
    """Runs that answer together, of an ensemble; their weights stand in its checkpoint."""
    imported: str = ""
    """The file that it was made of elsewhere, with its SHA-256; empty where it was trained here."""
