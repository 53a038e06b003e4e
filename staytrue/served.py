"""What a server reads of ``staytrue.yaml``: its own section, and where the models are.

All sections are those of :class:`staytrue.project.Project`. Those of data and training take memory and time to know,
which a server has no use for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from staytrue import yamlfile
from staytrue.errors import InvalidConfig
from staytrue.section import Section
from staytrue.server import ServingSection
from staytrue.settings import warn_of_strays
from staytrue.shelf import place

HINT = "`staytrue init DATA.csv` writes one"
OTHERS = ("rules", "gateway")
"""What variables set beside the sections."""


def _place(said: Any) -> Path | str:
    if not isinstance(said, Path | str):
        raise PydanticCustomError("place", "is no path")
    try:
        return place(said)
    except InvalidConfig as error:
        raise ValueError(f"expected {error.expected}, got {error.got}") from error


ModelName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", description="name of the model, in addresses and metrics")
]
Shelf = Annotated[
    Path | str,
    PlainValidator(_place, json_schema_input_type=str),
    Field(description="folder of the model store, or its address as fsspec knows it: `s3://bucket/store`"),
]
Cache = Annotated[
    Path | None,
    Field(
        description="folder for copies of versions where `store` is an address; unset: in the temporary one",
    ),
]


class Served(Section):
    """A project as a server sees it. What it does not read is looked at by the commands that do."""

    name: ModelName
    store: Shelf = Path("store")
    store_cache: Cache = None
    data: Any = None
    cleaning: Any = None
    split: Any = None
    labelling: Any = None
    model: Any = None
    training: Any = None
    evaluation: Any = None
    tuning: Any = None
    export: Any = None
    serving: ServingSection = ServingSection()
    monitoring: Any = None
    retraining: Any = None


def load(path: Path) -> Served:
    """Read a project file as a server does; relative paths in it mean the file's own folder.

    Raises:
        InvalidConfig: unreadable, not YAML, an unknown section, a wrong value: says file, line, expected and got.
    """
    served, _ = yamlfile.read(Served, path, HINT)
    warn_of_strays([*Served.model_fields, *OTHERS])
    base = path.resolve().parent
    store, cache = placed(served.store, served.store_cache, base)
    return served.model_copy(update={"store": store, "store_cache": cache, "serving": served.serving.within(base)})


def alone() -> Served:
    """Where there is no project file, and a flag names the store; relative paths mean the working folder."""
    warn_of_strays([*Served.model_fields, *OTHERS])
    served = Served(name="models")
    return served.model_copy(update={"serving": served.serving.within(Path.cwd())})


def placed(store: Path | str, cache: Path | None, base: Path) -> tuple[Path | str, Path | None]:
    """A store and its cache with absolute paths; an address is one already."""
    return store if isinstance(store, str) else base / store, None if cache is None else base / cache
