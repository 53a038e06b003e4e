"""The command ``ping``: is a server, or a model of it, ready? Over REST or gRPC; the chart tests itself by it."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from typing import TYPE_CHECKING

from staytrue.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    import argparse

SECONDS = 10.0


class Ping:
    """``staytrue ping``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("address", help="http://HOST:PORT for REST, grpc://HOST:PORT for gRPC")
        parser.add_argument("--model", default="", help="a model that must be ready too")
        parser.add_argument("--seconds", type=float, default=SECONDS, help="time for each call (default: %(default)s)")

    def run(self, arguments: argparse.Namespace) -> int:
        """Ask; 0 where everything is ready.

        Raises:
            InvalidInput: the address is none.
            Unavailable: nobody answers, or what was asked for is not ready.
        """
        address = urllib.parse.urlsplit(arguments.address)
        ask = {"http": _rest, "grpc": _grpc}.get(address.scheme)
        if ask is None or not address.hostname or not address.port:
            raise InvalidInput("address", expected="http://HOST:PORT or grpc://HOST:PORT", got=arguments.address[:200])
        said = ask(address.netloc, arguments.model, arguments.seconds)
        print(f"{arguments.address}: {said}", flush=True)
        return 0


ping = Ping()


def _rest(place: str, model: str, seconds: float) -> str:
    """Ready and, of a model, its version."""
    server = _get(place, "/v2/health/ready", seconds)
    if not model:
        return f"ready: {json.loads(server)['ready']}"
    path = f"/v2/models/{urllib.parse.quote(model, safe='')}/ready"
    return f"{model} version {json.loads(_get(place, path, seconds))['version']} is ready"


def _get(place: str, path: str, seconds: float) -> bytes:
    connection = http.client.HTTPConnection(place, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"http://{place}{path}", f"no answer: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        got = f"{answer.status} {body[:300].decode(errors='replace')}"
        raise Unavailable(f"http://{place}{path}", expected="200", got=got)
    return body


def _grpc(place: str, model: str, seconds: float) -> str:
    """Ready and, of a model, its versions."""
    import grpc  # REST needs none of it

    from serving.proto import open_inference_grpc_pb2 as proto
    from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub

    with grpc.insecure_channel(place) as channel:
        stub = GRPCInferenceServiceStub(channel)
        try:
            if not stub.ServerReady(proto.ServerReadyRequest(), timeout=seconds).ready:
                raise Unavailable(f"grpc://{place}", "the server is not ready")
            if not model:
                return "ready: True"
            if not stub.ModelReady(proto.ModelReadyRequest(name=model), timeout=seconds).ready:
                raise Unavailable(f"grpc://{place}", f'model "{model}" is not ready')
            told = stub.ModelMetadata(proto.ModelMetadataRequest(name=model), timeout=seconds)
        except grpc.RpcError as error:
            raise Unavailable(f"grpc://{place}", f"{error.code().name}: {error.details()}"[:500]) from error
    return f"{model} version {', '.join(told.versions)} is ready"
