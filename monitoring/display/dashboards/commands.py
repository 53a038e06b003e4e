"""The command ``dashboards``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig, NotFound

if TYPE_CHECKING:
    import argparse


class Dashboards:
    """``staytrue dashboards``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        actions = parser.add_subparsers(dest="action", required=True, help="`export --help`, `push --help` tell more")
        export = actions.add_parser("export", help="write service.json and model.json into a folder")
        export.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
        push = actions.add_parser("push", help="put both into a running Grafana, over what is there")
        push.add_argument("--url", required=True, help="Grafana's address: https://grafana.example.org")
        push.add_argument(
            "--token-file",
            type=Path,
            required=True,
            metavar="FILE",
            help="file that holds a token of a service account with the role Editor",
        )
        push.add_argument("--folder", default="", metavar="TITLE", help="Grafana's folder, made if missing")

    def run(self, arguments: argparse.Namespace) -> int:
        """Write or push the dashboards."""
        return _export(arguments.output) if arguments.action == "export" else _push(arguments)


def _export(folder: Path) -> int:
    from monitoring.display.dashboards.boards import BOARDS

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, board in BOARDS.items():
            (folder / f"{name}.json").write_text(board.to_json(), encoding="utf-8")
            print(folder / f"{name}.json")
    except OSError as error:
        raise InvalidConfig(f"--output {folder}", f"cannot be written: {error.strerror}") from error
    return 0


def _push(arguments: argparse.Namespace) -> int:
    from monitoring.display.dashboards.boards import BOARDS
    from monitoring.display.dashboards.grafana import Grafana

    grafana = Grafana(arguments.url, _token(arguments.token_file))
    folder = grafana.folder(arguments.folder) if arguments.folder else None
    for board in BOARDS.values():
        print(f"{board.title}: {grafana.put(board, folder)}")
    return 0


def _token(path: Path) -> str:
    """The token that a file holds.

    Raises:
        NotFound: no such file, or it cannot be read.
        InvalidConfig: it holds no token.
    """
    where = f"--token-file {path}"
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is no text"
        raise NotFound(where, f"cannot be read: {why}") from error
    if not token or not token.isascii() or len(token.split()) > 1:
        raise InvalidConfig(where, expected="a token of a Grafana service account and nothing else")
    return token


dashboards = Dashboards()
