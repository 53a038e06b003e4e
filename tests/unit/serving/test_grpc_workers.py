"""gRPC of one of several processes: what would change it alone is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from serving.keyring import Key, digest_of, write
from serving.keys import new_secret
from serving.proto import open_inference_grpc_pb2 as proto
from tests.unit.serving.grpc_house import House, refused, request

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.store import Store


def test_nobody_loads_or_unloads_in_one_of_several_processes(store: Store, tmp_path: Path) -> None:
    secret = new_secret()
    key = Key(name="all", digest=digest_of(secret), scopes=frozenset({"admin", "predict"}))
    write(tmp_path / "keys.yaml", (key,))
    house = House(store, tmp_path, keys=tmp_path / "keys.yaml", workers=2)
    stub: Any = house.stub
    metadata = [("x-api-key", secret)]
    for name in ("RepositoryModelUnload", "RepositoryModelLoad"):
        asked = getattr(proto, f"{name}Request")(model_name="tiny")
        status, said, _ = refused(lambda: getattr(stub, name)(asked, metadata=metadata))  # noqa: B023 - at once
        reason = "reaches one process: models cannot be loaded by hand with several workers"
        assert (status, said.split(";")[0]) == (grpc.StatusCode.UNIMPLEMENTED, f"{name}: {reason}")
        assert refused(lambda: getattr(stub, name)(asked))[0] == grpc.StatusCode.UNAUTHENTICATED  # noqa: B023
    assert stub.ModelInfer(request(), metadata=metadata).model_version == "1"
    house.close()
