"""Texts become token ids in front of an artefact, by the tokenizer files beside it that its signature names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import CorruptData, InvalidConfig, InvalidInput, StaytrueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.signature import Signature

_AT_ONCE = 1024
"""Texts: of each the library keeps far more than its ids."""
CHARACTERS = 32
"""Of a text so many for each of its tokens are looked at: several times what tokens have, so that a text of megabytes
takes no longer than one that fits."""
_PROBES = ("", "a", "\u0378 \U0001f600 zq")
"""Nothing, something, and what hardly any tokenizer knows."""
_PADDING = "[PAD]"


def library() -> Any:
    """The package that reads tokenizer files: only models that have one need it.

    Raises:
        InvalidConfig: it is not installed.
    """
    try:
        return importlib.import_module("tokenizers")
    except ImportError as error:
        what = 'the package "tokenizers", which makes tokens of texts, is not installed'
        raise InvalidConfig("tokenizer", what, hint="pip install -e '.[tokenizer]'") from error


class Tokenizer:
    """A tokenizer as one column uses it: of each text as many ids, cut or filled up with padding.

    Args:
        text: a file of the library ``tokenizers``, JSON.
        where: opens messages.
        length: ids of a text; nothing: as the file says.

    Raises:
        CorruptData: it is no such file, fails on some texts, or does not fix how many ids there are.
        InvalidConfig: the library is not installed.
    """

    def __init__(self, text: str, where: str, length: int | None = None) -> None:
        inner = library().Tokenizer
        self._inner: Any = _guarded(
            where, "is no tokenizer file of the library tokenizers", lambda: inner.from_str(text)
        )
        if getattr(self._inner.model, "dropout", None):
            hint = "set its dropout to null"
            raise CorruptData(where, "makes other tokens of one text each time (dropout)", hint=hint)
        self.vocabulary = 1 + max(self._inner.get_vocab(with_added_tokens=True).values(), default=-1)
        if length is not None:
            self._fix(length, where)
        padding, cutting = self._inner.padding or {}, self._inner.truncation or {}
        self.length, self.padding = int(padding.get("length") or 0), int(padding.get("pad_id", 0))
        self.vocabulary = max(self.vocabulary, self.padding + 1)
        if not self.length or cutting.get("max_length") != self.length:
            raise CorruptData(where, expected="truncation and padding to one length", got=f"{cutting} and {padding}")
        most = CHARACTERS * self.length
        self._seen = slice(-most, None) if cutting.get("direction") == "left" else slice(most)
        found = _guarded(where, "fails on a text", lambda: self._inner.encode_batch(list(_PROBES)))
        if any(len(one.ids) != self.length for one in found):
            raise CorruptData(
                where, expected=f"{self.length} ids of each text", got=str([len(one.ids) for one in found])
            )

    def encode(self, texts: NDArray[Any], where: str) -> NDArray[np.int64]:
        """Token ids of texts; may be called from several threads at once. Shapes: [N] or [N,1] → [N,length].

        Of a text the first (last, where it is cut at its beginning) :data:`CHARACTERS` * length characters count.

        Raises:
            InvalidInput: one of them is none, or the tokenizer fails on it.
        """
        flat = texts.ravel().tolist()
        made = np.empty((len(flat), self.length), dtype=np.int64)
        for begin in range(0, len(flat), _AT_ONCE):
            part = flat[begin : begin + _AT_ONCE]
            try:
                found = self._inner.encode_batch_fast([text[self._seen] for text in part])
            except BaseException as error:
                _not_mine(error)
                raise InvalidInput(where, f"cannot be made tokens: {str(error)[:200]}") from error
            made[begin : begin + len(part)] = [one.ids for one in found]
        return made

    def written(self) -> str:
        """The file that makes this tokenizer again, length and padding included."""
        return str(self._inner.to_str(pretty=False))

    def unbounded(self, texts: list[str]) -> list[list[str]]:
        """All tokens of some texts, neither cut nor filled up, without those that the tokenizer adds."""
        free = type(self._inner).from_str(self.written())
        free.no_truncation()
        free.no_padding()
        return [one.tokens for one in free.encode_batch(texts, add_special_tokens=False)]

    @property
    def unknown(self) -> str:
        """What stands for what it does not know; nothing where it knows everything."""
        return str(getattr(self._inner.model, "unk_token", None) or "")

    @property
    def added(self) -> int:
        """Tokens that it puts around each text."""
        return int(self._inner.num_special_tokens_to_add(is_pair=False))

    def _fix(self, length: int, where: str) -> None:
        """Cut and fill up to a length, on the sides and with the padding that the file says.

        Without any it is filled up with ``[PAD]``, or else with an id of its own that no token has.
        """
        if self.added >= length:
            raise CorruptData(where, expected=f"fewer than {length} tokens around each text", got=str(self.added))
        cutting, padding = self._inner.truncation or {}, self._inner.padding or {}
        kept = {key: cutting[key] for key in ("stride", "strategy", "direction") if key in cutting}
        self._inner.enable_truncation(length, **(kept | {"stride": 0}))
        known = self._inner.token_to_id(_PADDING)
        filling = {"pad_id": self.vocabulary if known is None else known, "pad_token": _PADDING}
        filling |= {key: padding[key] for key in ("pad_id", "pad_token", "pad_type_id", "direction") if key in padding}
        self._inner.enable_padding(length=length, **filling)


class Front:
    """What stands in front of an artefact: it puts token ids in the place of texts."""

    def __init__(self, tokenizers: Mapping[str, Tokenizer]) -> None:
        self._tokenizers = dict(tokenizers)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs as callers send them, as the artefact takes them. Shapes: a text's [N,1] → [N,tokens]."""
        made = {name: one.encode(inputs[name], f'input "{name}"') for name, one in self._tokenizers.items()}
        return {**inputs, **made}


def front(signature: Signature, folder: Path) -> Front | None:
    """What stands in front of an artefact that lies in a folder; nothing where its signature names no tokenizer.

    Raises:
        CorruptData: a file is missing, no tokenizer, or of another length than the signature says.
        InvalidConfig: the library is not installed.
    """
    named = [spec for spec in signature.inputs if spec.tokenizer]
    made: dict[str, Tokenizer] = {}
    for spec in named:
        path = folder / spec.tokenizer
        made[spec.name] = tokenizer = Tokenizer(read(path), str(path))
        if tokenizer.length != spec.tokens:
            raise CorruptData(str(path), expected=f"{spec.tokens} tokens a text", got=str(tokenizer.length))
    return Front(made) if made else None


def read(path: Path) -> str:
    """The text of a tokenizer file.

    Raises:
        CorruptData: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CorruptData(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CorruptData(str(path), "is no tokenizer file: no UTF-8") from error


def _guarded(where: str, problem: str, do: Callable[[], Any]) -> Any:
    """What the library gives. Of what it cannot read it raises plain Exceptions, and rarely panics beside them."""
    try:
        return do()
    except StaytrueError:
        raise
    except BaseException as error:
        _not_mine(error)
        raise CorruptData(where, f"{problem}: {str(error)[:200]}") from error


def _not_mine(error: BaseException) -> None:
    """Let through what ends the process: the library's panics are no plain exceptions either."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
