"""The section ``serving`` of ``staytrue.yaml``: the inference server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from staytrue.listening import REACHES_ONE
from staytrue.section import Count, Positive, Section

_FILES = ("keys", "trusted_keys", "tls_certificate", "tls_key", "tls_client_ca")


class TorchServeSection(Section):
    """TorchServe as the runtime."""

    java: str = Field(default="java", description="Java 17 or newer, by name or path")
    workers: Count = Field(default=1, description="processes of each model version")
    start_seconds: Positive = Field(default=120, description="how long TorchServe, or a model in it, may take to start")
    timeout_seconds: Positive = Field(default=30, description="a prediction that takes longer is answered 504")
    heap_megabytes: Count = Field(default=512, description="Java's largest heap")


class ServingSection(Section):
    """The inference server."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; anything but loopback needs `keys` or `insecure`"
    )
    insecure: bool = Field(default=False, description="listen beyond loopback without access control")
    trusted_keys: Path | None = Field(
        default=None, description="PEM file of public keys: only versions that one of them signed are loaded"
    )
    keys: Path | None = Field(default=None, description="file of the API keys that callers need; unset: none is needed")
    tls_certificate: Path | None = Field(default=None, description="PEM file; with `tls_key` both ports speak TLS")
    tls_key: Path | None = Field(default=None, description="PEM file of the certificate's key")
    tls_client_ca: Path | None = Field(default=None, description="PEM file: callers must show a certificate of it")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8080, description="0: any free port, printed")
    admin_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="for loading and unloading models, on the same host; 0: any free port; unset: none"
    )
    workers: Count = Field(default=1, description="processes that share the ports")
    grpc_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=8081, description="of gRPC, on the same host; 0: any free port, printed; null: no gRPC"
    )
    runtime: Literal["onnx", "torchserve"] = Field(
        default="onnx", description="what runs the models: ONNX Runtime in this process, or a TorchServe that it starts"
    )
    artefact: Literal["onnx", "int8_dynamic", "int8_static", "fp16"] = Field(
        default="onnx", description="which of a version's artefacts ONNX Runtime runs; fewer bits: docs/export.md"
    )
    provider: Literal["cpu", "cuda", "tensorrt", "openvino"] = Field(
        default="cpu", description="where ONNX Runtime runs; without such a device the server does not start"
    )
    provider_fallback: bool = Field(
        default=False, description="run on the processor, and say so, where the provider or its device is not there"
    )
    device_id: Annotated[int, Field(ge=0)] = Field(default=0, description="which GPU, for cuda and tensorrt")
    device_memory_bytes: Count | None = Field(
        default=None, description="most of a GPU's memory for each loaded version, for cuda and tensorrt; null: all"
    )
    torchserve: TorchServeSection = TorchServeSection()
    models: list[str] = Field(default=[], description="names to serve; empty: all in the store")
    log: Path = Field(default=Path(".staytrue/events"), description="folder of the event log")
    durability: Literal["durable", "sync"] = Field(
        default="durable", description="durable outlives kill -9, sync a power cut too"
    )
    log_max_bytes: Count = Field(default=4 * 1024**3, description="a full log refuses requests rather than lose events")
    max_body_bytes: Count = Field(default=16 * 1024**2, description="larger request bodies are refused with 413")
    max_inflight_bytes: Count = Field(
        default=512 * 1024**2, description="bytes of all requests being read or answered; more are answered 429"
    )
    max_connections: Count = Field(default=1024, description="connections over REST at once")
    idle_seconds: Positive = Field(default=75, description="a connection without a request is closed after it")
    read_seconds: Positive = Field(default=60, description="for a whole request body; slower callers are cut off")
    write_seconds: Positive = Field(default=30, description="for an answer that its caller does not read")
    nan_policy: Literal["reject", "null", "string"] = Field(
        default="reject", description="NaN and infinities in JSON: refuse, write and read null, or write and read text"
    )

    event_time: Literal["arrival", "request"] = Field(
        default="arrival", description="request: believe the request parameter `event_time` (for replays)"
    )
    threads: Count = Field(default=1, description="processor threads a run")
    instances: Count = Field(default=1, description="runs of one model at once")
    max_concurrency: Count = Field(default=256, description="requests in the house; more are answered 429")
    max_batch_rows: Count = Field(
        default=64, description="most rows that requests are merged to for one run; 1: no merging"
    )
    batch_delay_seconds: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0, description="how long a request waits for company, from its arrival, while the model runs another"
    )
    queue_rows: Count = Field(default=4096, description="rows that wait for a model; more are answered 429")
    queue_bytes: Count = Field(default=256 * 1024**2, description="bytes that wait for a model; more are answered 429")
    timeout_seconds: Positive | None = Field(
        default=60, description="longest time for a request; callers may allow less; null: what callers allow"
    )
    stall_seconds: Positive = Field(
        default=1.5, description="a run that lasts longer, and far longer than any before, makes the server not ready"
    )
    slow_seconds: Positive = Field(default=1, description="requests that take longer have a line in the log")
    access_log: bool = Field(default=False, description="a line in the log for every request, not only failed and slow")
    reload_seconds: Positive = Field(default=0.2, description="how often aliases are looked at")
    drain_seconds: Positive = Field(default=20, description="how long SIGTERM waits for requests in flight")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.runtime == "torchserve" and self.artefact != "onnx":
            raise ValueError(
                f"artefact {self.artefact} is for runtime onnx: TorchServe runs an archive; remove artefact"
            )
        pair = {"tls_certificate": self.tls_certificate, "tls_key": self.tls_key}
        missing = [name for name, path in pair.items() if path is None]
        if len(missing) == 1:
            (there,) = pair.keys() - missing
            raise ValueError(f"expected {missing[0]} beside {there}, got nothing; set both, or neither for no TLS")
        if self.tls_client_ca is not None and missing:
            raise ValueError(
                "expected tls_certificate and tls_key beside tls_client_ca, got neither; set both, or "
                "remove tls_client_ca"
            )
        if self.admin_port is not None and self.workers > 1:
            raise ValueError(f"admin_port {REACHES_ONE}; remove admin_port, or set workers: 1")
        return self

    @field_validator("nan_policy", mode="before")
    @classmethod
    def _null_is_a_word(cls, value: Any) -> Any:
        """YAML reads ``nan_policy: null`` as nothing; what is meant is the policy of that name."""
        return "null" if value is None else value

    def within(self, base: Path) -> ServingSection:
        """With absolute paths."""
        files = {key: getattr(self, key) for key in _FILES}
        placed = {key: base / path for key, path in files.items() if path is not None}
        return self.model_copy(update={"log": base / self.log, **placed})
