"""tritonclient over HTTP and gRPC, plain and asyncio, behind one face: what was answered, or how it was refused."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from examples.bikeshare.demo.processes import Service


@dataclass(frozen=True)
class Sent:
    """One input of a request. ``shape`` is what is said of it, where that is not the truth."""

    name: str
    datatype: str
    array: NDArray[Any]
    shape: list[int] | None = None


@dataclass(frozen=True)
class Ask:
    """A request."""

    inputs: list[Sent]
    model: str = "houses"
    version: str = ""
    outputs: list[str] | None = None
    id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    binary_data: str | None = None
    """What the outputs say of it, where it is no boolean."""


@dataclass(frozen=True)
class Answered:
    """A prediction: outputs as (name, datatype, shape, bytes)."""

    outputs: list[tuple[str, str, list[int], bytes]]
    model: str
    version: str
    id: str
    event_id: str


@dataclass(frozen=True)
class Refused:
    """An error: the protocol's status, and what it says."""

    status: str
    message: str


class Client:
    """One protocol's client."""

    def __init__(self, module: Any, address: str) -> None:
        self._module, self.calls = module, module.InferenceServerClient(address)

    def call(self, name: str, *arguments: Any, **more: Any) -> Any:
        """What one of the client's own calls gives."""
        return getattr(self.calls, name)(*arguments, **more)

    def infer(self, ask: Ask) -> Answered | Refused:
        """Send a request."""
        inputs = [self.input(sent) for sent in ask.inputs]
        outputs = None if ask.outputs is None else [self._output(name, ask.binary_data) for name in ask.outputs]
        try:
            result = self.call(
                "infer",
                ask.model,
                inputs,
                model_version=ask.version,
                outputs=outputs,
                request_id=ask.id,
                parameters=ask.parameters or None,
            )
        except InferenceServerException as error:
            return Refused(str(error.status()), str(error.message()))
        return self.answered(result)

    def close(self) -> None:
        """Let go of the connection, here and now.

        The client closes itself once more when it is collected; by a collection in another thread its greenlets would
        meet a hub that is not theirs.
        """
        self.calls.close()
        del self.calls
        gc.collect()

    def input(self, sent: Sent) -> Any:
        """An input in the client's own words."""
        made = self._module.InferInput(sent.name, list(sent.array.shape), sent.datatype)
        made.set_data_from_numpy(sent.array, **(self._how if sent.datatype != "BF16" else {}))  # has no JSON there
        if sent.shape is not None:
            made.set_shape(sent.shape)
        return made

    _how: ClassVar[dict[str, Any]] = {}

    def _output(self, name: str, binary_data: str | None) -> Any:
        made = self._module.InferRequestedOutput(name, **self._how)
        if binary_data is not None:
            self._say(made, binary_data)
        return made

    def _say(self, output: Any, binary_data: str) -> None:
        """Have an output say what the client's own words do not allow."""
        output._parameters["binary_data"] = binary_data

    def answered(self, result: Any) -> Answered:
        """What a result of the client says."""
        raise NotImplementedError


class Rest(Client):
    """HTTP, tensors as JSON."""

    _how: ClassVar[dict[str, Any]] = {"binary_data": False}

    def __init__(self, service: Service) -> None:
        super().__init__(tritonclient.http, service.address.removeprefix("http://"))

    def answered(self, result: Any) -> Answered:
        """What a result of the client says."""
        told = result.get_response()
        outputs = [
            (item["name"], item["datatype"], item["shape"], plain(result.as_numpy(item["name"])))
            for item in told["outputs"]
        ]
        event = told["parameters"]["event_id"]
        return Answered(outputs, told["model_name"], told["model_version"], told.get("id", ""), event)


class RestBinary(Rest):
    """HTTP, tensors as bytes behind the JSON."""

    _how: ClassVar[dict[str, Any]] = {"binary_data": True}


class Grpc(Client):
    """gRPC, tensors raw."""

    def __init__(self, service: Service) -> None:
        super().__init__(tritonclient.grpc, service.grpc)

    def _say(self, output: Any, binary_data: str) -> None:
        output._get_tensor().parameters["binary_data"].string_param = binary_data

    def answered(self, result: Any) -> Answered:
        """What a result of the client says."""
        told = result.get_response()
        outputs = [
            (item.name, item.datatype, list(item.shape), plain(result.as_numpy(item.name))) for item in told.outputs
        ]
        event = told.parameters["event_id"].string_param
        return Answered(outputs, told.model_name, told.model_version, told.id, event)


class Asynchronous(Client):
    """An asyncio client, in a loop of its own."""

    def __init__(self, module: Any, address: str) -> None:
        self._runner = asyncio.Runner()

        async def made() -> None:
            Client.__init__(self, module, address)

        self._runner.run(made())

    def call(self, name: str, *arguments: Any, **more: Any) -> Any:
        """What one of the client's own calls gives in the end."""
        return self._runner.run(getattr(self.calls, name)(*arguments, **more))

    def close(self) -> None:
        """Let go of connection and loop."""
        self._runner.run(self.calls.close())
        self._runner.close()


class RestAsynchronous(Asynchronous, Rest):
    """HTTP by aiohttp, tensors as JSON."""

    def __init__(self, service: Service) -> None:
        Asynchronous.__init__(self, tritonclient.http.aio, service.address.removeprefix("http://"))


class GrpcAsynchronous(Asynchronous, Grpc):
    """gRPC's asyncio, tensors raw."""

    def __init__(self, service: Service) -> None:
        Asynchronous.__init__(self, tritonclient.grpc.aio, service.grpc)


def plain(array: NDArray[Any]) -> bytes:
    """A tensor's content, the same for texts whether a client gives them as str or bytes."""
    if array.dtype == object:
        return b"\0".join(text if isinstance(text, bytes) else str(text).encode() for text in array.ravel())
    return np.ascontiguousarray(array).tobytes()
