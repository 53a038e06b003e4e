"""The kernel's own commands: ``init``, ``schema``, and those that read and change a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.errors import Conflict, CorruptData, InvalidConfig, NotFound, Unavailable
from staytrue.nearest import no_model
from staytrue.shelf import place
from staytrue.store import Store

if TYPE_CHECKING:
    import argparse

    from staytrue.aliases import Aliases


def add_project(parser: argparse.ArgumentParser) -> None:
    """Flags that name the store: the project's, or one of its own."""
    projects.add_flag(parser)
    parser.add_argument("--store", type=place, help="folder or address of the model store, instead of the project's")


def store_of(arguments: argparse.Namespace) -> Store:
    """The store that the flags name."""
    if arguments.store:
        return Store(arguments.store)
    return Store.of(projects.load(arguments.project))


def _known(store: Store, name: str) -> str:
    versions = store.versions(name)
    if not versions and name not in store.models():
        raise no_model(name, store.models(), store.where)
    return f"versions: {', '.join(versions) or 'none'}"


def role_of(aliases: Aliases, version: str) -> str:
    """What a version does, in brackets; nothing for one that is only there."""
    roles = ["champion"] if version == aliases.champion else []
    roles += [f"canary at {aliases.traffic[version]:.4g}"] if version in aliases.traffic else []
    roles += ["shadow"] if version == aliases.shadow else []
    return f" ({', '.join(roles)})" if roles else ""


def _traffic(aliases: Aliases) -> str:
    """Who answers, and who answers unseen."""
    shares = "".join(
        f", version {version} takes {share:.4g} of the traffic" for version, share in aliases.traffic.items()
    )
    shadow = f", version {aliases.shadow} is its shadow" if aliases.shadow else ""
    return f"version {aliases.champion} is champion{shares}{shadow}"


class Init:
    """``staytrue init``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("data", type=Path, metavar="DATA.csv", help="a CSV file with a header line")
        parser.add_argument("--target", help="column to predict (default: the last column of numbers)")
        parser.add_argument(
            "--time",
            help="column with the time of each row: ISO 8601, 31.01.2024, 1/31/2024 or Unix (default: the first)",
        )
        parser.add_argument(  # --out: as it was called before
            "--output", "--out", type=Path, default=Path(projects.FILE), help="file to write (%(default)s)"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Write the file; refuse to overwrite one."""
        from staytrue.starter import starter

        folder = arguments.output.resolve().parent
        text = starter(arguments.data, arguments.target, arguments.time, folder)
        try:
            with arguments.output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise Conflict(str(arguments.output), "is there already", hint="give another name with --output") from error
        except OSError as error:
            raise InvalidConfig(f"--output {arguments.output}", f"cannot be written: {error.strerror}") from error
        project = projects.load(arguments.output)
        print(f"wrote {arguments.output}: predicts {project.data.goal} from {', '.join(project.data.features)}")
        print("read it, then: staytrue prepare, and staytrue train")
        return 0


class Promote:
    """``staytrue promote``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("version", help="version to promote")
        parser.add_argument("--reason", required=True, help="why, for the journal")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Make a version the champion, after checking its every byte."""
        aliases = store_of(arguments).promote(arguments.model, arguments.version, reason=arguments.reason)
        print(f"champion of {arguments.model} is version {aliases.champion}")
        return 0


class Rollback:
    """``staytrue rollback``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("--reason", required=True, help="why, for the journal")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Make the champion before this one the champion again."""
        aliases = store_of(arguments).roll_back(arguments.model, reason=arguments.reason)
        print(f"champion of {arguments.model} is version {aliases.champion} again")
        return 0


class Canary:
    """``staytrue canary``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("version", nargs="?", help="version that takes a share; with --end by default all that do")
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--share", type=float, help="of the traffic, above 0 and below 1; 0.1 is a tenth")
        how.add_argument("--end", action="store_true", help="give its share back to the champion")
        parser.add_argument("--reason", required=True, help="why, for the journal")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Begin a canary, change its share, or end it."""
        store, name, version = store_of(arguments), arguments.model, arguments.version
        if arguments.end:
            aliases = store.clear_canary(name, version, reason=arguments.reason)
        elif version is None:
            raise InvalidConfig("--share", expected="a version", got="none", hint=_known(store, name))
        else:
            aliases = store.set_canary(name, version, arguments.share, reason=arguments.reason)
        print(f"{name}: {_traffic(aliases)}")
        return 0


class Shadow:
    """``staytrue shadow``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("version", nargs="?", help="version that is asked what the champion is asked")
        parser.add_argument("--end", action="store_true", help="ask it no more")
        parser.add_argument("--reason", required=True, help="why, for the journal")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Set up a shadow, or end it."""
        store, name, version = store_of(arguments), arguments.model, arguments.version
        if arguments.end == (version is not None):
            got = f"version {version} and --end" if arguments.end else "none"
            raise InvalidConfig(name, expected="a version, or --end", got=got, hint=_known(store, name))
        if arguments.end:
            aliases = store.clear_shadow(name, reason=arguments.reason)
        else:
            aliases = store.set_shadow(name, version, reason=arguments.reason)
        print(f"{name}: {_traffic(aliases)}")
        return 0


class Models:
    """``staytrue models``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """List models, versions, who answers and what changed; 1 if that of one cannot be read."""
        store = store_of(arguments)
        if not store.exists():
            hint = "name the store with --store; `staytrue export` makes one"
            raise NotFound(f'store "{store.where}"', "is not there", hint=hint)
        names, failed = store.models(), False
        if not names:
            print(f"no model in {store.where} yet: `staytrue train`, then `staytrue export`")
        for name in names:
            try:
                _tell(store, name)
            except (CorruptData, Unavailable) as error:  # of one model, which hides no other
                print(f"{name}: {error}")
                failed = True
        return int(failed)


def _tell(store: Store, name: str) -> None:
    aliases, journal = store.aliases(name), store.journal(name)
    versions = [version + role_of(aliases, version) for version in store.versions(name)]
    print(f"{name}: versions {', '.join(versions)}")
    for change in journal:
        share = f" at {change.share:.4g}" if change.share else ""
        print(f"  {change.time[:19]}  {change.action} {change.about}{share}: {change.reason}")


class Schema:
    """``staytrue schema``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """No arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the JSON Schema of staytrue.yaml."""
        del arguments
        print(json.dumps(projects.schema(), indent=2))
        return 0


init, schema = Init(), Schema()
promote, rollback, canary, shadow = Promote(), Rollback(), Canary(), Shadow()
models = Models()
