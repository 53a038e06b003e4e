"""Models made elsewhere are imported, loaded and asked as the server does, and give what they are known to give.

What each is known to give was found with the package's own code.
"""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.backend.test
import onnx.numpy_helper
import onnxruntime
import pytest
from PIL import Image, ImageDraw, ImageFont

from monitoring.ingest.entries import event_rows
from tests.packages import member
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from staytrue.bundle import Bundle
    from staytrue.store import Store
    from tests.unit.export.importing.conftest import Served

SILERO = ("silero-vad==6.2.3", "silero_vad/data/silero_vad.onnx")
RATE, STEP, CONTEXT = 16000, 512, 64
FEW = {"max_batch": 7}


def heard(served: Served, sound: NDArray[np.float32]) -> float:
    """The highest probability of speech, step by step: each sends back the state of the one before."""
    state, before, found = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32), 0.0
    for at in range(0, len(sound) - STEP + 1, STEP):
        step = np.concatenate([before, sound[at : at + STEP]])
        got = served.ask(sound=step[None], state=state, sr=np.array(RATE))
        state, before, found = got["stateN"], step[-CONTEXT:], max(found, float(got["speech"][0, 0]))
    return found


def test_silero_hears_speech_and_no_noise(take: Callable[..., Bundle], serve: Callable[[], Served]) -> None:
    """Stateful, with branches (If) and a whole number without axes."""
    amend = {
        "rows": "independent",
        "max_batch": 7,
        "inputs": {
            "input": {"name": "sound", "typical": [1, STEP + CONTEXT], "range": [-1, 1], "unit": "amplitude"},
            "state": {"state": "stateN"},
            "sr": {"categories": ["16000", "8000"], "unit": "Hz"},
        },
        "outputs": {"output": {"name": "speech"}, "stateN": {"shape": [2, -1, 128]}},
    }
    bundle = take(member(*SILERO), amend)
    assert [spec.label() for spec in bundle.signature.inputs] == ["FP32 [-1,-1]", "FP32 [2,-1,128]", "INT64 []"]
    assert [spec.label() for spec in bundle.signature.outputs] == ["FP32 [-1,1]", "FP32 [2,-1,128]"]
    assert (bundle.signature.merges, bundle.signature.inputs[1].state) == (False, "stateN")
    served = serve()
    recorded = member("silero-vad==6.2.3", "examples/c++/aepyx.wav", source=True)
    with wave.open(str(recorded)) as file:
        speech = np.frombuffer(file.readframes(3 * RATE), np.int16).astype(np.float32) / np.float32(2**15)
    noise = np.float32(0.05) * np.random.default_rng(0).standard_normal(RATE, dtype=np.float32)
    assert heard(served, speech) > 0.99
    assert heard(served, noise) < 0.1


def test_silero_is_taken_in_as_it_is(take: Callable[..., Bundle], serve: Callable[[], Served]) -> None:
    """Of what it takes its file tells no sizes: the first that it runs on are found; two rows share a state of two."""
    bundle = take(member(*SILERO))
    assert bundle.signature.rows == "independent"
    assert bundle.signature.inputs[0].typical[0] == 1
    served = serve()
    got = served.ask(state=np.zeros((2, 3, 128), np.float32), sr=np.array(RATE), input=np.zeros((3, 512), np.float32))
    assert (got["output"].shape, served.rows) == ((3, 1), 3)


def test_silero_is_asked_over_http_and_its_events_are_rows_of_the_lake(
    take: Callable[..., Bundle], store: Store, tmp_path: Path
) -> None:
    """The state goes out and back in; metadata tell which output becomes which input."""
    take(member(*SILERO), {"max_batch": 2, "inputs": {"state": {"state": "stateN"}}})
    store.promote("foreign", "1", reason="test")
    house = House(store, tmp_path)
    try:
        told = house.client.get("/v2/models/foreign").json()
        body = {
            "inputs": [
                {"name": "state", "datatype": "FP32", "shape": [2, 1, 128], "data": [0.0] * 256},
                {"name": "sr", "datatype": "INT64", "shape": [], "data": [RATE]},
                {"name": "input", "datatype": "FP32", "shape": [1, 512], "data": [0.0] * 512},
            ]
        }
        answers = [house.client.post("/v2/models/foreign/infer", json=body).json()]
        body["inputs"][0]["data"] = answers[0]["outputs"][1]["data"]
        answers.append(house.client.post("/v2/models/foreign/infer", json=body).json())
        rows = [event_rows(event) for event in house.events()]
    finally:
        house.close()
    assert told["parameters"]["state"] == {"state": "stateN"}
    assert [len(some) for some in rows] == [1, 1]
    first, second = (answer["outputs"][0]["data"][0] for answer in answers)
    assert first == rows[0][0]["output_output"] != second
    assert (len(rows[0][0]["input_input"]), rows[0][0]["input_state"], rows[0][0]["input_sr"]) == (512, None, None)


def test_magika_knows_python(take: Callable[..., Bundle], serve: Callable[[], Served]) -> None:
    """INT32, with its classes named."""
    folder = "magika/models/standard_v3_3"
    config = json.loads(member("magika==1.0.3", f"{folder}/config.min.json").read_text(encoding="utf-8"))
    classes = config["target_labels_space"]
    amend = {"classes": classes, "inputs": {"bytes": {"range": [0, 256], "description": "begin and end of a file"}}}
    bundle = take(member("magika==1.0.3", f"{folder}/model.onnx"), amend | FEW)
    assert (bundle.task, len(bundle.classes), bundle.signature.merges) == ("classification", 214, True)
    content = Path(__file__).read_bytes().strip()
    asked = np.frombuffer(content[:1024] + content[-1024:], np.uint8).astype(np.int32)[None]
    likely = serve().ask(bytes=asked)["target_label"][0]
    assert classes[int(likely.argmax())] == "python"
    assert likely.max() > 0.99


def test_rapidocr_reads_rendered_text_of_any_width(take: Callable[..., Bundle], serve: Callable[[], Served]) -> None:
    path = member("rapidocr==3.10.0", "rapidocr/models/PP-OCRv6_rec_small.onnx")
    bundle = take(path, {"max_batch": 2, "inputs": {"x": {"typical": [1, 3, 48, 16]}}})
    assert [spec.shape for spec in (*bundle.signature.inputs, *bundle.signature.outputs)] == [
        [-1, 3, 48, -1],
        [-1, -1, 18710],
    ]
    told = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map["character"]
    letters, served = ["", *told.split("\n"), " "], serve()
    for text, width in (("Invoice 2026", 260), ("Total", 120)):
        page = Image.new("RGB", (width, 48), "white")
        ImageDraw.Draw(page).text((8, 6), text, fill="black", font=ImageFont.load_default(size=32))
        scaled = (np.asarray(page, dtype=np.float32) / 255 - 0.5) / 0.5
        best = served.ask(x=np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]))["fetch_name_0"][0].argmax(axis=1)
        kept = [at for at, code in enumerate(best) if code and (at == 0 or best[at - 1] != code)]
        assert "".join(letters[best[at]] for at in kept) == text


def test_rapidocr_takes_pictures_of_any_height_and_width(
    take: Callable[..., Bundle], serve: Callable[[], Served]
) -> None:
    take(member("rapidocr==3.10.0", "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx"), FEW)
    served = serve()
    for height, width in ((48, 192), (32, 50)):
        got = served.ask(x=np.zeros((2, 3, height, width), np.float32))
        assert np.allclose(got["save_infer_model/scale_0.tmp_1"].sum(axis=1), 1.0, atol=1e-4)


def test_basic_pitch_hears_440_hz_as_midi_69(take: Callable[..., Bundle], serve: Callable[[], Served]) -> None:
    """Three outputs, in whose names is ":"; callers see those, or the amendment's."""
    sound = "serving_default_input_2:0"
    path = member("basic-pitch==0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx")
    bundle = take(path, {"max_batch": 2, "outputs": {"StatefulPartitionedCall:1": {"name": "notes"}}})
    assert [spec.name for spec in bundle.signature.outputs] == [
        "StatefulPartitionedCall:2",
        "notes",
        "StatefulPartitionedCall:0",
    ]
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(43844) / 22050)
    got = serve().ask_by({sound: tone.astype(np.float32)[None, :, None]})
    assert 21 + int(got["notes"][0].mean(axis=0).argmax()) == 69


def test_text2tashkeel_is_never_merged_as_its_rows_share_one_scale(
    take: Callable[..., Bundle], serve: Callable[[], Served]
) -> None:
    """8-bit weights by operators of com.microsoft, which scale all rows of a run by the largest number in them."""
    bundle = take(member("text2tashkeel==0.1.0", "text2tashkeel/models/bilstm.int8.onnx"), FEW)
    assert (bundle.signature.rows, bundle.signature.merges) == ("dependent", False)
    logits = serve().ask(input_ids=np.arange(12).reshape(2, 6))["logits"]
    assert logits.shape == (2, 6, 15)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", ["nostopwords_nochangecase", "monday_casesensintive_nochangecase"])
def test_texts_go_in_and_out(name: str, take: Callable[..., Bundle], serve: Callable[[], Served]) -> None:
    """Of onnx's own tests: rows are fixed by the graph, so there are none that could be merged."""
    folder = Path(onnx.backend.test.__file__).parent / "data" / "simple" / f"test_strnorm_model_{name}"

    def tensor(file: str) -> NDArray[Any]:
        read = onnx.TensorProto()
        read.ParseFromString((folder / "test_data_set_0" / file).read_bytes())
        return onnx.numpy_helper.to_array(read).astype(object)  # type: ignore[no-any-return]

    bundle = take(folder / "model.onnx")
    assert (bundle.signature.rows, bundle.max_batch, bundle.signature.inputs[0].datatype) == ("none", 1, "BYTES")
    got = serve().ask(x=tensor("input_0.pb"))["y"]
    assert got.tolist() == tensor("output_0.pb").tolist()
