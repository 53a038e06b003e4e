"""Versions of a store's models, published once and checked at each load, and who answers for each model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from staytrue import bundle as bundles
from staytrue.aliases import Aliases
from staytrue.errors import CorruptData, NotFound
from staytrue.folder import Folder
from staytrue.nearest import no_model
from staytrue.shelf import VERSION, checked, place

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager
    from pathlib import Path

    from staytrue.aliases import Change
    from staytrue.bundle import Bundle
    from staytrue.project import Project
    from staytrue.shelf import Shelf


class Versions:
    """All versions of all models of one place.

    Args:
        root: folder, or address as fsspec knows it: ``s3://bucket/store``.
        trusted_keys: only those versions load that one of these keys signed.
        cache: folder for copies of versions where the store is an address.
    """

    def __init__(self, root: Path | str, trusted_keys: Path | None = None, cache: Path | None = None) -> None:
        self._root, self._trusted, self._cache = root, trusted_keys, cache
        self._shelf = _shelf(place(root), cache)

    @classmethod
    def of(cls, project: Project) -> Self:
        """A project's."""
        return cls(project.store, project.serving.trusted_keys, project.store_cache)

    def trusting(self, keys: Path | None) -> Self:
        """The same store by other keys; by none at all where there are None."""
        return type(self)(self._root, keys, self._cache)

    @property
    def root(self) -> Path:
        """Folder of this machine in which versions lie when they are read: of an address, that of its copies."""
        return self._shelf.root

    @property
    def where(self) -> str:
        """Folder or address, for people."""
        return self._shelf.where

    def exists(self) -> bool:
        """Whether there is such a store at all."""
        return self._shelf.exists()

    def models(self) -> list[str]:
        """Names of the models that have aliases."""
        return self._shelf.models()

    def present(self, name: str) -> bool:
        """Whether there is anything of a model."""
        return self._shelf.present(checked(name))

    def versions(self, name: str) -> list[str]:
        """Published versions of a model, oldest first."""
        return self._shelf.versions(checked(name))

    def glance(self, name: str) -> list[str]:
        """Published versions of a model as they were seconds ago, oldest first; bounds what an address is asked."""
        return self._shelf.glance(checked(name))

    def path(self, name: str, version: str) -> Path:
        """Folder of a version on this machine; of an address a copy, which is made where there is none.

        Raises:
            NotFound: no such model or version; says which there are.
            CorruptData: what the address holds is not whole.
        """
        self._check_there(name, version)
        return self._shelf.folder(name, version)

    def _check_there(self, name: str, version: str) -> None:
        if VERSION.fullmatch(version) and self._shelf.has(checked(name), version):
            return
        if not (there := self.versions(name)) and name not in self.models():
            raise no_model(name, self.models(), self.where)
        hint = f"versions: {', '.join(there) or 'none'}"
        raise NotFound(f'model "{name}"', f'has no version "{version[:40]}"', hint=hint)

    def load(self, name: str, version: str, *, anew: bool = False) -> Bundle:
        """Read and check a version; see :func:`staytrue.bundle.load`.

        Args:
            name: of the model.
            version: to read.
            anew: look at the store itself, not at what this machine has copied of it.

        Raises:
            NotFound: no such version.
            CorruptData: a byte changed, or a proof is missing.
        """
        self._check_there(name, version)
        if anew:
            self._shelf.forget(name, version)
        folder = self._shelf.folder(name, version)
        try:
            bundle = bundles.load(folder, self._trusted)
        except CorruptData:
            self._check_there(name, version)  # it may have been cleared away while it was read
            if not self._shelf.mend(name, version):
                raise
            bundle = bundles.load(folder, self._trusted)
        if (bundle.name, bundle.version) != (name, version):
            raise CorruptData(str(folder), expected=f"{name}/{version}", got=f"{bundle.name}/{bundle.version}")
        return bundle

    def read(self, name: str, version: str, file: str) -> bytes | None:
        """What a small file of a version holds where it was published; None where there is none."""
        return self._shelf.read(checked(name), version, file)

    def sign(self, name: str, version: str, key: Path) -> None:
        """Sign a version; a signature that is there already is replaced.

        Raises:
            NotFound: no such version.
            InvalidConfig: see :func:`staytrue.bundle.sign`.
        """
        bundles.sign(self.path(name, version), key)
        self._shelf.keep_signature(name, version)

    def aliases(self, name: str) -> Aliases:
        """Who answers for a model now.

        Raises:
            NotFound: no such model; says which there are.
        """
        found = self._shelf.standing(checked(name))
        if found is None:
            raise no_model(name, self.models(), self.where)
        return found

    def standing(self, name: str) -> Aliases:
        """Who answers for a model now; nobody, at revision 0, where no version of it was ever promoted."""
        return self._shelf.standing(checked(name)) or Aliases()

    def journal(self, name: str) -> list[Change]:
        """Changes that took effect, oldest first.

        Raises:
            NotFound: no such model; says which there are.
        """
        self.aliases(name)
        return self._shelf.journal(name)

    def new_version(self, name: str) -> AbstractContextManager[tuple[str, Path]]:
        """Claim the next version and a folder to make it in; it appears whole when the block ends, or not at all."""
        return self._shelf.new_version(checked(name))

    def clear(self, name: str, needed: Callable[[], Collection[str]], *, dry: bool) -> dict[str, int]:
        """Delete versions; see :func:`staytrue.clearing.clear`."""
        return self._shelf.clear(checked(name), needed, dry=dry)


def _shelf(root: Path | str, cache: Path | None) -> Shelf:
    if not isinstance(root, str):
        return Folder(root)
    from staytrue.remote import Remote  # noqa: PLC0415 - fsspec, which a folder needs nothing of

    return Remote(root, cache)
