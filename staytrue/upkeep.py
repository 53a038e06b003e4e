"""Commands that look after the versions of a store: ``show``, ``gc``, ``sign``, ``verify``, ``fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import showing
from staytrue.clearing import clear
from staytrue.commands import add_project, role_of, store_of
from staytrue.errors import InvalidConfig, NotFound, StaytrueError
from staytrue.fetching import fetch as fetch_store
from staytrue.nearest import no_model
from staytrue.records import to_json
from staytrue.store import Store

if TYPE_CHECKING:
    import argparse


class Show:
    """``staytrue show``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("version", nargs="?", help="default: the champion, or the newest where there is none")
        parser.add_argument("--json", action="store_true", help="the record itself, bundle.json")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Tell what a version is, after checking its every byte."""
        store, name = store_of(arguments), arguments.model
        aliases = store.standing(name)
        newest = next(reversed(store.versions(name)), "")
        bundle = store.load(name, arguments.version or aliases.champion or newest)
        if arguments.json:
            print(to_json(bundle).decode(), end="")
        else:
            print(showing.described(bundle, role_of(aliases, bundle.version)))
        return 0


class Gc:
    """``staytrue gc``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("--keep", type=int, default=5, help="so many of the newest stay (default: %(default)s)")
        parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Delete versions that nobody answers with or goes back to."""
        found = clear(store_of(arguments), arguments.model, keep=arguments.keep, dry=arguments.dry_run)
        for version, why in found.kept.items():
            print(f"{arguments.model} {version}: stays, {why}")
        for version, size in found.removed.items():
            print(f"{arguments.model} {version}: {'would go' if arguments.dry_run else 'gone'}, {size / 1e6:,.1f} MB")
        if not found.removed:
            print("nothing to delete")
        return 0


class Sign:
    """``staytrue sign``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("version", help="number of the version")
        parser.add_argument("--key", type=Path, required=True, help="PEM file of a private Ed25519 key")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Sign a version after checking its every byte; an older signature is replaced."""
        store = store_of(arguments).trusting(None)  # whoever signed it before
        store.load(arguments.model, arguments.version, anew=True)
        store.sign(arguments.model, arguments.version, arguments.key)
        print(f"{arguments.model} {arguments.version}: signed")
        return 0


class Verify:
    """``staytrue verify``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("version", nargs="?", help="default: all versions")
        parser.add_argument("--trusted-keys", type=Path, help="PEM file of public keys that must have signed them")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Check every byte, every proof and, where keys are given, the signature; 1 if a version would not load."""
        store, failed = store_of(arguments), 0
        if arguments.trusted_keys is not None:
            store = store.trusting(arguments.trusted_keys)
        versions = [arguments.version] if arguments.version else store.versions(arguments.model)
        if not versions:
            raise no_model(arguments.model, store.models(), store.where)
        for version in versions:
            try:
                bundle = store.load(arguments.model, version, anew=True)
            except InvalidConfig:  # of the keys, not of the version
                raise
            except StaytrueError as error:
                if (
                    isinstance(error, NotFound)
                    and not arguments.version
                    and version not in store.versions(arguments.model)
                ):
                    continue  # cleared away since it was listed
                failed += 1
                print(f"{arguments.model} {version}: {error}")
            else:
                print(f"{arguments.model} {version}: {len(bundle.files)} files, {len(bundle.parity)} proofs, all hold")
        return 1 if failed else 0


class Fetch:
    """``staytrue fetch``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("source", help="store to copy from: a folder, or an address that fsspec reads (s3://…)")
        parser.add_argument("--store", type=Path, required=True, help="folder of the store to fill")

    def run(self, arguments: argparse.Namespace) -> int:
        """Copy models whose every byte and proof is right."""
        for name, versions in fetch_store(arguments.source, arguments.store).items():
            new = f"new versions {', '.join(versions)}" if versions else "nothing new"
            print(f"{name}: {new}; champion {Store(arguments.store).aliases(name).champion}")
        return 0


show, gc = Show(), Gc()
sign, verify, fetch = Sign(), Verify(), Fetch()
