"""The text of a keys file: what its YAML says, with the line of each entry, and never a word of it in a message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from staytrue.errors import InvalidConfig, StaytrueError

if TYPE_CHECKING:
    from pathlib import Path

FORM = "docs/access.md shows its form, and `staytrue keys` writes it"
_QUOTED = re.compile(r"(['\"])(?!<[a-z ]+>\1).{4,}\1")
"""Of a parser's words, what may be the file's; ``'<stream end>'`` is its own."""


def parsed(path: Path, text: str) -> tuple[Any, list[int]]:
    """What a text says, and the line of each entry.

    Raises:
        InvalidConfig: it is no YAML, or says a field twice; names file and line.
    """
    try:
        loader = yaml.SafeLoader(text)  # not the faster one in C, which crashes on brackets that nest deep
        node = loader.get_single_node()
        _refuse_repeated(path, node)
        values = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"keys {path}:{mark.line + 1}" if mark else f"keys {path}"
        said = _QUOTED.sub("…", str(getattr(error, "problem", "") or "holds what no text may"))
        raise InvalidConfig(where, f"is not YAML: {said}", hint=FORM) from None
    except StaytrueError:
        raise
    except Exception:  # noqa: BLE001 - dates that there are not, `!!int ""`, deep nests: PyYAML fails in many ways
        raise InvalidConfig(f"keys {path}", "holds values that no keys file has") from None
    return values, [item.start_mark.line + 1 for item in _items(node)]


def _items(node: yaml.Node | None) -> list[Any]:
    """The nodes of the entries."""
    lists = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else []
    return [item for found in lists if isinstance(found, yaml.SequenceNode) for item in found.value]


def _refuse_repeated(path: Path, node: yaml.Node | None) -> None:
    """Refuse a field that stands twice: YAML would silently keep the last."""
    for mapping in (node, *_items(node)):
        seen: set[str] = set()
        for key, _ in mapping.value if isinstance(mapping, yaml.MappingNode) else []:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise InvalidConfig(f"keys {path}:{key.start_mark.line + 1}", "a field stands there twice")
            seen.add(str(key.value) if isinstance(key, yaml.ScalarNode) else "")
