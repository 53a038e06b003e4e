"""A GPU that is asked for and not there is an error before anything is served, never a slower answer unseen."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import onnxruntime as ort
import pytest

from serving.runtimes import providers
from serving.runtimes.factory import maker
from serving.runtimes.onnx import OnnxMaker, OnnxRuntime
from staytrue.errors import InvalidConfig
from staytrue.server import ServingSection

if TYPE_CHECKING:
    from pathlib import Path

    from serving.runtimes.providers import Provider
    from staytrue.store import Store

NO_GPU = "CUDAExecutionProvider" not in ort.get_available_providers()
without_gpu = pytest.mark.skipif(not NO_GPU, reason="this ONNX Runtime has CUDA")
PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events, provider: cuda}
"""
WARNED = "ignore:Specified provider:UserWarning"


def test_the_processor_is_there_and_said() -> None:
    made = maker(ServingSection())
    assert (made.provider, made.platform, made.format) == ("cpu", "onnx_onnxv1", "onnx")
    assert made.description == f"onnxruntime {ort.__version__} CPU"
    made.close()


@without_gpu
@pytest.mark.parametrize(("provider", "name"), [("cuda", "CUDA"), ("tensorrt", "Tensorrt"), ("openvino", "OpenVINO")])
def test_a_device_that_this_onnx_runtime_lacks_is_refused_and_named(provider: Any, name: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        maker(ServingSection(provider=provider))
    said = str(caught.value)
    assert f"serving.provider {provider}: " in said
    assert f"expected {name}ExecutionProvider" in said
    assert "CPUExecutionProvider" in said  # what there is
    assert ("onnxruntime-openvino" if provider == "openvino" else "[gpu]") in said


@without_gpu
def test_a_session_on_a_device_that_is_not_there_is_refused(store: Store) -> None:
    bundle = store.load("tiny", "1")
    with pytest.raises(InvalidConfig, match="expected CUDAExecutionProvider"):
        OnnxRuntime(store.path("tiny", "1") / "model.onnx", bundle.signature, provider="cuda")


@without_gpu
@pytest.mark.filterwarnings(WARNED)
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_onnx_runtime_falling_back_by_itself_is_caught(monkeypatch: pytest.MonkeyPatch, provider: Provider) -> None:
    everything = [*ort.get_available_providers(), "CUDAExecutionProvider", "TensorrtExecutionProvider"]
    # A build for GPUs on a machine without one lists the provider, and gives a session on the processor.
    monkeypatch.setattr(ort, "get_available_providers", lambda: everything)
    with pytest.raises(InvalidConfig, match=r"device 3 was not found.*got CPUExecutionProvider"):
        OnnxMaker(provider, 3)


@without_gpu
@pytest.mark.filterwarnings(WARNED)
def test_a_session_that_falls_back_later_is_caught_too(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    signature = store.load("tiny", "1").signature
    with pytest.raises(InvalidConfig, match="got CPUExecutionProvider"):
        OnnxRuntime(store.path("tiny", "1") / "model.onnx", signature, provider="cuda")


def test_a_device_that_fails_to_open_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected\nand pages more")

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", broken)
    with pytest.raises(InvalidConfig, match="device 0 cannot be used: CUDA failure 100: no CUDA-capable device"):
        OnnxMaker("cuda")


CUDA = {
    "arena_extend_strategy": "kSameAsRequested",
    "cudnn_conv_algo_search": "HEURISTIC",
    "do_copy_in_default_stream": "1",
}


def test_devices_go_to_onnx_runtime_with_their_number_and_the_processor_behind_them() -> None:
    assert providers.arguments("cuda", 1) == [
        ("CUDAExecutionProvider", {"device_id": "1", **CUDA}),
        ("CPUExecutionProvider", {}),
    ]
    assert providers.arguments("cpu", 1) == [("CPUExecutionProvider", {})]
    assert providers.describe("cuda", 1) == f"onnxruntime {ort.__version__} CUDA device 1"


def test_a_limit_of_memory_is_cudas_also_behind_tensorrt() -> None:
    assert providers.arguments("tensorrt", 0, 2**30) == [
        ("TensorrtExecutionProvider", {"device_id": "0"}),
        ("CUDAExecutionProvider", {"device_id": "0", **CUDA, "gpu_mem_limit": "1073741824"}),
        ("CPUExecutionProvider", {}),
    ]
    assert providers.arguments("openvino", 0, 2**30) == [
        ("OpenVINOExecutionProvider", {}),
        ("CPUExecutionProvider", {}),
    ]


@without_gpu
@pytest.mark.filterwarnings(WARNED)
def test_the_setting_reaches_the_session(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    asked: list[Any] = []
    there = ort.InferenceSession

    def session(*given: Any, providers: Any, **named: Any) -> Any:
        asked.append(providers)
        return there(*given, providers=["CPUExecutionProvider"], **named)

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", session)
    monkeypatch.setattr("serving.runtimes.onnx.check", lambda *_: None)
    made = maker(ServingSection(provider="cuda", device_id=1, device_memory_bytes=5))
    with pytest.raises(InvalidConfig, match="got CPUExecutionProvider"):
        made(store.path("tiny", "1") / "model.onnx", store.load("tiny", "1").signature)
    assert asked == [providers.arguments("cuda", 1, 5)]


def test_openvino_has_no_number_and_the_processor_behind_it() -> None:
    assert providers.arguments("openvino", 1) == [("OpenVINOExecutionProvider", {}), ("CPUExecutionProvider", {})]
    assert providers.describe("openvino", 1) == f"onnxruntime {ort.__version__} OpenVINO"


def test_falling_back_is_done_only_where_it_is_allowed_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    made = maker(ServingSection(provider="openvino", provider_fallback=True))
    assert (made.provider, made.description) == ("cpu", f"onnxruntime {ort.__version__} CPU")
    assert "models run on the processor, as serving.provider_fallback allows: serving.provider openvino" in caplog.text


def test_torchserve_takes_no_gpu() -> None:
    with pytest.raises(InvalidConfig, match=r"serving\.provider: expected cpu with runtime torchserve, got cuda"):
        maker(ServingSection(runtime="torchserve", provider="cuda"))


@without_gpu
def test_the_server_does_not_start_without_the_device_it_was_told_to_use(store: Store, tmp_path: Path) -> None:
    assert store.models() == ["tiny"]
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    command = [sys.executable, "-m", "staytrue", "serve", "--project", str(tmp_path / "staytrue.yaml")]
    ended = subprocess.run(
        [*command, "--port", "0", "--grpc-port", "0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "staytrue.yaml:4 serving.provider cuda: " in ended.stderr
    assert "expected CUDAExecutionProvider, got" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "listening" not in ended.stdout
