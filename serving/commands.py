"""The command ``serve``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from serving.told import told
from staytrue import logs
from staytrue.flag import add_flag, goes_without
from staytrue.orphans import hear_of_ends
from staytrue.shelf import place

if TYPE_CHECKING:
    import argparse

    from serving.ports import Ports

_FLAGS = (
    "host", "port", "grpc_port", "admin_port", "keys", "workers", "log", "insecure", "threads", "nan_policy",
    "runtime", "provider",
)  # fmt: skip


class Serve:
    """``staytrue serve``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        add_flag(parser)
        parser.add_argument("--store", type=place, help="folder or address of the model store")
        parser.add_argument("--host", help="address to listen on")
        parser.add_argument("--port", type=int, help="port; 0 for any free one, which is printed")
        parser.add_argument("--grpc-port", type=int, help="port of gRPC; 0 for any free one, which is printed")
        parser.add_argument("--admin-port", type=int, help="port for loading and unloading; none by default")
        parser.add_argument("--keys", type=Path, help="file of API keys, as `staytrue keys new` writes it")
        parser.add_argument("--workers", type=int, help="processes that share the ports")
        parser.add_argument("--log", type=Path, help="folder of the event log")
        parser.add_argument("--runtime", help="onnx, or torchserve: a TorchServe that is started and watched")
        parser.add_argument("--provider", help="where ONNX Runtime runs: cpu, cuda, tensorrt or openvino")
        parser.add_argument("--threads", type=int, help="processor threads a run")
        parser.add_argument("--nan-policy", help="reject, null or string")
        parser.add_argument("--insecure", action="store_const", const=True, help="allow an address beyond loopback")

    def run(self, arguments: argparse.Namespace) -> int:
        """Serve until SIGTERM."""
        logs.configure()
        hear_of_ends()
        alone = arguments.store is not None and goes_without(arguments.project)  # a store is all that a server needs
        flags = {name: getattr(arguments, name) for name in _FLAGS}
        settings, place_of_store, cache = told(arguments.project, flags, alone=alone)
        from serving.ports import reserve  # from here on: numpy, which the store needs, brings threads
        from staytrue.signing import public_keys
        from staytrue.store import Store

        store = Store(arguments.store or place_of_store, settings.trusted_keys, cache)
        if not store.models():
            what = "has no model yet" if store.exists() else "is not there"
            logging.getLogger(__name__).warning('store "%s" %s: nothing is served before one comes', store.where, what)
        if settings.trusted_keys is not None:
            public_keys(settings.trusted_keys)  # what is wrong with them is told now, not when a version comes
        ports = reserve(settings)
        if settings.workers == 1:
            from serving.app import run

            return run(settings, store, ports)
        from serving.access import Access
        from serving.tls import Certificate
        from serving.workers import Workers

        # Each worker reads these files again, on purpose: it follows their changes by itself, and one that is started
        # again must begin with what they hold then. Here they are only looked at, so that what is wrong with them is
        # told once, before there are processes.
        Access(settings.keys)
        Certificate(settings)

        def serve(own: Ports) -> int:
            from serving.app import run  # after the fork: threads of what is imported would not survive it

            return run(settings, store, own)

        return Workers(settings.workers, ports, serve, settings.drain_seconds + 5.0).run()


serve = Serve()
