"""A running Grafana, which takes our dashboards over its HTTP API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grafana_client
from grafana_client import client

from staytrue.errors import Conflict, InvalidConfig, NotFound, StaytrueError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring.display.dashboards.board import Board

TIMEOUT_SECONDS = 15.0
MESSAGE = "staytrue dashboards push"
"""Stands in the dashboard's history."""


class Grafana:
    """Grafana's folders and dashboards, by the token of a service account.

    Raises:
        InvalidConfig: the address is none.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise InvalidConfig("--url", expected="https://grafana.example.org", got=url.rpartition("@")[2][:200])
        self._url = url.rstrip("/")
        self._api: Any = grafana_client.GrafanaApi.from_url(self._url + "/", credential=token, timeout=TIMEOUT_SECONDS)

    def folder(self, title: str) -> str:
        """The uid of a folder at the top, made if there is none of that title.

        Raises:
            StaytrueError: Grafana refuses, or does not answer.
        """
        folders = self._ask(self._api.folder.get_all_folders)
        found = next((each["uid"] for each in folders if each["title"] == title), None)
        return str(found or self._ask(lambda: self._api.folder.create_folder(title))["uid"])

    def put(self, board: Board, folder: str | None) -> str:
        """Put a dashboard over the one of its uid, into a folder or to the top; its address.

        Raises:
            StaytrueError: Grafana refuses, or does not answer.
        """
        body: dict[str, Any] = {"dashboard": json.loads(board.to_json()), "overwrite": True, "message": MESSAGE}
        body |= {"folderUid": folder} if folder else {}
        answer = self._ask(lambda: self._api.dashboard.update_dashboard(body))
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}{answer['url']}"  # it holds the sub-path that Grafana is served under

    def _ask(self, call: Callable[[], Any]) -> Any:
        """Ask, and say what went wrong in our terms."""
        try:
            answer = call()
        except client.GrafanaTimeoutError as error:
            raise Unavailable(self._url, f"did not answer in {TIMEOUT_SECONDS:g} s") from error
        except client.GrafanaException as error:
            raise self._refused(error) from error
        except ValueError as error:  # no JSON; of the exceptions of requests it is an OSError too
            raise self._stranger() from error
        except OSError as error:
            raise Unavailable(self._url, "cannot be reached", got=str(error)[:200]) from error
        if not isinstance(answer, dict | list):
            raise self._stranger()
        return answer

    def _stranger(self) -> StaytrueError:
        return InvalidConfig("--url", expected="a Grafana", got=f"another answer from {self._url}")

    def _refused(self, error: client.GrafanaException) -> StaytrueError:
        """What a status means, in the words of Grafana's documentation."""
        told = error.response.get("message", "") if isinstance(error.response, dict) else str(error.response or "")
        said, status = str(told)[:300], error.status_code
        if status == 401:
            return InvalidConfig("--token-file", "Grafana takes the token for invalid", got=said)
        if status == 403:
            hint = "the service account needs the role Editor, or the permissions dashboards:create and :write"
            return InvalidConfig("--token-file", "the token may not do this", got=said, hint=hint)
        if status == 404:
            hint = "where Grafana is served under a path, --url holds it too"
            return NotFound(self._url, "is there, but not what Grafana has there", got=said, hint=hint)
        if status in (409, 412):
            return Conflict(self._url, "something else is there", got=said, hint="rename it, or give another --folder")
        if status >= 500:
            return Unavailable(self._url, f"failed with {status}", got=said, hint="its own log says why")
        return InvalidConfig(self._url, f"refused with {status}", got=said)
