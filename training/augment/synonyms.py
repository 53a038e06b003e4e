"""Synonyms: a file of words and what may stand for each, YAML or TSV, read and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Line = tuple[int, str, list[str]]

_HINT = "YAML has `word: [synonym, synonym]`; TSV has a line for each word: it, a tab, its synonyms with tabs between"
_YAML = {".yaml", ".yml"}
_TABLES = {".tsv", ".tab", ".txt"}


def read(path: Path) -> dict[str, tuple[str, ...]]:
    """The synonyms of each word, which is in small letters.

    Raises:
        InvalidConfig: no such file, another form, a word without synonyms, of several words, or twice; with the line.
    """
    if path.suffix not in _YAML | _TABLES:
        raise InvalidConfig(str(path), expected="a file of synonyms, .yaml or .tsv", got=path.suffix or "no suffix")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidConfig(str(path), f"cannot be read: {error.strerror}", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise InvalidConfig(str(path), expected="text in UTF-8", got=f"byte {error.start} that is none") from error
    found: dict[str, tuple[str, ...]] = {}
    for line, said, synonyms in _tree(path, text) if path.suffix in _YAML else _table(path, text):
        word, where = said.casefold(), f"{path}:{line}"
        if word.split() != [word]:
            raise InvalidConfig(where, expected="one word, which has no white space", got=repr(said), hint=_HINT)
        if word in found:
            raise InvalidConfig(where, f"word '{said}' stands there twice; capitals do not tell words apart")
        if not synonyms or not all(synonym.strip() for synonym in synonyms):
            raise InvalidConfig(where, expected=f"synonyms of '{said}'", got="none, or an empty one", hint=_HINT)
        found[word] = tuple(synonym.strip() for synonym in synonyms)
    if not found:
        raise InvalidConfig(str(path), expected="words and their synonyms", got="none", hint=_HINT)
    return found


def _table(path: Path, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        word, *synonyms = line.split("\t")
        if not synonyms:
            raise InvalidConfig(f"{path}:{number}", expected="a tab after the word", got=repr(line[:60]), hint=_HINT)
        yield number, word.strip(), synonyms


def _tree(path: Path, text: str) -> Iterator[Line]:
    """Words as they are written: `no` is one here, and not false."""
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InvalidConfig(where, f"is not YAML: {getattr(error, 'problem', error)}", hint=_HINT) from error
    if tree is None:
        return
    if not isinstance(tree, yaml.MappingNode):
        got = "a list" if isinstance(tree, yaml.SequenceNode) else "a text"
        raise InvalidConfig(f"{path}:{tree.start_mark.line + 1}", expected="words with synonyms", got=got, hint=_HINT)
    for key, value in tree.value:
        several = isinstance(value, yaml.SequenceNode)
        texts = [key, *(value.value if several else [value])]
        for node in texts:
            if not isinstance(node, yaml.ScalarNode):
                where = f"{path}:{node.start_mark.line + 1}"
                raise InvalidConfig(where, expected="a word, and a list of texts", got="something nested", hint=_HINT)
        yield key.start_mark.line + 1, key.value, [node.value for node in texts[1:]]
