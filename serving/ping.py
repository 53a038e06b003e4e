"""The command ``ping``: is a server, or a model of it, ready? Over REST or gRPC; the chart asks and tests by it."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from serving.caller import Caller
from staytrue.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    import argparse

    import grpc

    from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub

SECONDS = 10.0
_EXPECTED = "http://HOST:PORT, https://HOST:PORT, grpc://HOST:PORT or grpcs://HOST:PORT"


class Asked(NamedTuple):
    """What is asked: whether the server is ready, and a model of it, or only whether it is live."""

    model: str
    live: bool
    seconds: float


class Ping:
    """``staytrue ping``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("address", help="http(s)://HOST:PORT for REST, grpc(s)://HOST:PORT for gRPC")
        asked = parser.add_mutually_exclusive_group()
        asked.add_argument("--model", default="", help="a model that must be ready too")
        asked.add_argument("--live", action="store_true", help="only whether it runs, ready or not")
        parser.add_argument("--seconds", type=float, default=SECONDS, help="time for each call (default: %(default)s)")
        parser.add_argument("--key-file", type=Path, help="file with the API key that asking for a model needs")
        parser.add_argument("--ca", type=Path, help="PEM file of those who certify the server, or of its certificate")
        parser.add_argument("--server-name", default="", help="name in the server's certificate (default: HOST)")
        parser.add_argument("--certificate", type=Path, help="PEM file of the certificate to show")
        parser.add_argument("--certificate-key", type=Path, help="PEM file of that certificate's key")
        parser.add_argument("--unverified", action="store_true", help="over https: take whatever certificate is shown")

    def run(self, arguments: argparse.Namespace) -> int:
        """Ask; 0 where everything is ready.

        Raises:
            InvalidInput: the address is none, or an option does not go with it.
            InvalidConfig: a file of keys or certificates cannot be used.
            Unavailable: nobody answers, or what was asked for is not ready.
        """
        address = urllib.parse.urlsplit(arguments.address)
        ask = {"http": _rest, "grpc": _grpc}.get(address.scheme.removesuffix("s"))
        if ask is None or not address.hostname or not _port(address):
            raise InvalidInput("address", expected=_EXPECTED, got=arguments.address[:200])
        caller = Caller(
            scheme=address.scheme,
            key_file=arguments.key_file,
            ca=arguments.ca,
            server_name=arguments.server_name,
            certificate=arguments.certificate,
            certificate_key=arguments.certificate_key,
            unverified=arguments.unverified,
        )
        asked = Asked(arguments.model, arguments.live, arguments.seconds)
        said = ask(caller, address, asked)
        print(f"{arguments.address}: {said}", flush=True)
        return 0


ping = Ping()


def _port(address: urllib.parse.SplitResult) -> int | None:
    """The port; none also where there stands no number."""
    try:
        return address.port
    except ValueError:
        return None


def _rest(caller: Caller, address: urllib.parse.SplitResult, asked: Asked) -> str:
    """Ready and, of a model, its version."""
    state = "live" if asked.live else "ready"
    server = _get(caller, address, f"/v2/health/{state}", asked.seconds)
    if not asked.model:
        return f"{state}: {json.loads(server)[state]}"
    path = f"/v2/models/{urllib.parse.quote(asked.model, safe='')}/ready"
    version = json.loads(_get(caller, address, path, asked.seconds))["version"]
    return f"{asked.model} version {version} is ready"


def _get(caller: Caller, address: urllib.parse.SplitResult, path: str, seconds: float) -> bytes:
    where = f"{address.scheme}://{address.netloc}{path}"
    connection = http.client.HTTPConnection(address.netloc, timeout=seconds)
    context = caller.context()
    try:
        if context is not None:  # http.client's own asks the certificate for the host alone
            plain = socket.create_connection((connection.host, connection.port), timeout=seconds)
            name = caller.server_name or connection.host
            connection.sock = context.wrap_socket(plain, server_hostname=name)
        connection.request("GET", path, headers=dict(caller.headers()))
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(where, f"no answer: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise Unavailable(where, expected="200", got=f"{answer.status} {body[:300].decode(errors='replace')}")
    return body


def _channel(caller: Caller, place: str) -> grpc.Channel:
    import grpc

    files = caller.files()
    if files is None:
        return grpc.insecure_channel(place)
    options = [("grpc.ssl_target_name_override", caller.server_name)] if caller.server_name else []
    return grpc.secure_channel(place, grpc.ssl_channel_credentials(*files), options)


def _grpc(caller: Caller, address: urllib.parse.SplitResult, asked: Asked) -> str:
    """Ready and, of a model, its versions."""
    import grpc  # REST needs none of it

    from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub

    with _channel(caller, address.netloc) as channel:
        try:
            return _told(GRPCInferenceServiceStub(channel), caller, f"{address.scheme}://{address.netloc}", asked)
        except grpc.RpcError as error:
            problem = f"{error.code().name}: {error.details()}"[:500]
            raise Unavailable(f"{address.scheme}://{address.netloc}", problem) from error


def _told(stub: GRPCInferenceServiceStub, caller: Caller, where: str, asked: Asked) -> str:
    from serving.proto import open_inference_grpc_pb2 as proto

    model, seconds, sent = asked.model, asked.seconds, caller.headers()
    if asked.live:
        return f"live: {stub.ServerLive(proto.ServerLiveRequest(), timeout=seconds).live}"
    if not stub.ServerReady(proto.ServerReadyRequest(), timeout=seconds).ready:
        raise Unavailable(where, "the server is not ready")
    if not model:
        return "ready: True"
    if not stub.ModelReady(proto.ModelReadyRequest(name=model), timeout=seconds, metadata=sent).ready:
        raise Unavailable(where, f'model "{model}" is not ready')
    told = stub.ModelMetadata(proto.ModelMetadataRequest(name=model), timeout=seconds, metadata=sent)
    return f"{model} version {', '.join(told.versions)} is ready"
