"""Small records and helpers of the kernel."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from staytrue import alerts, errors
from staytrue.errors import CorruptData, ErrorCode, InternalError, InvalidConfig, InvalidInput, StaytrueError
from staytrue.events import Tensor, decode
from staytrue.listening import address, listen
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.records import append_line, from_json, read, seconds_of, to_json, utc, write_atomically
from staytrue.signature import Signature, TensorSpec, rows_of
from staytrue.store import Aliases
from staytrue.windows import Evidence, Quality, Window

if TYPE_CHECKING:
    from pathlib import Path


def test_every_code_belongs_to_one_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StaytrueError)]
    assert sorted(kind.code for kind in kinds if kind is not StaytrueError) == sorted(ErrorCode)


def test_a_spec_says_both_sides() -> None:
    spec = TensorSpec(name="pixels", datatype="FP32", shape=[-1, 28, 28])
    spec.check(np.zeros((5, 28, 28), dtype=np.float32), "FP32")
    for array, datatype in ((np.zeros((2, 28)), "FP64"), (np.zeros((2, 28, 27)), "FP32"), (np.zeros(()), "FP32")):
        with pytest.raises(InvalidInput, match=r'input "pixels": expected FP32 \[-1,28,28\], got '):
            spec.check(array, datatype)


def test_rows_are_the_first_axis() -> None:
    assert rows_of([np.zeros((3, 2))]) == 3
    assert rows_of([np.zeros(())]) == 1
    assert rows_of([]) == 0


def test_a_tensor_that_contradicts_itself_is_corrupt() -> None:
    with pytest.raises(CorruptData, match="does not fit FP32"):
        Tensor(name="x", datatype="FP32", shape=[2], data=b"1234").array()
    with pytest.raises(CorruptData):
        Tensor(name="x", datatype="BYTES", shape=[2], data=["a"]).array()
    with pytest.raises(CorruptData, match="cannot be read"):
        decode(b"\xc1")


def test_a_damaged_record_names_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "aliases.json"
    path.write_text('{"revision": "one"}')
    with pytest.raises(CorruptData, match=r"aliases\.json: is no Aliases record: .*revision"):
        read(Aliases, path)
    with pytest.raises(CorruptData, match="cannot be read"):
        read(Aliases, tmp_path / "nowhere.json")


def test_a_newer_field_is_no_fault_for_an_older_reader() -> None:
    assert from_json(Aliases, b'{"champion": "1", "invented_later": 5}', "x").champion == "1"


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_times_go_there_and_back() -> None:
    assert seconds_of(utc(1304236800.25)) == 1304236800.25
    assert seconds_of("2011-05-01 08:00") == seconds_of("2011-05-01T10:00:00+02:00")


def test_the_fingerprint_of_an_alert_is_that_of_its_labels() -> None:
    first = alerts.fire({"alertname": "A", "model": "m"}, {"summary": "x"}, 0.0)
    later = alerts.fire({"model": "m", "alertname": "A"}, {"summary": "y"}, 9.0)
    assert first.fingerprint == later.fingerprint != alerts.fingerprint({"alertname": "B", "model": "m"})
    ended = alerts.resolve(first, 60.0)
    assert (ended.status, ended.ends_at, ended.starts_at) == ("resolved", "1970-01-01T00:01:00.000Z", first.starts_at)


def test_a_webhook_is_firing_while_one_alert_is() -> None:
    a = alerts.fire({"alertname": "A", "model": "m"}, {}, 0.0)
    b = alerts.resolve(alerts.fire({"alertname": "B", "model": "m"}, {}, 0.0), 1.0)
    assert alerts.webhook([a, b], "r", "u").status == "firing"
    assert alerts.webhook([b], "r", "u").status == "resolved"
    assert alerts.webhook([a, b], "r", "u").common_labels == {"model": "m"}


@pytest.mark.parametrize(
    ("time", "values", "said"),
    [
        ([0.0, 1.0], [1.0], "columns of one length"),
        ([1.0, 0.0], [1.0, 2.0], "time running backwards"),
        ([0.0, float("inf")], [1.0, 2.0], "NaN or infinity"),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused(
    time: list[float], values: list[float | str | None], said: str
) -> None:
    with pytest.raises(CorruptData, match=said):
        ReferenceProfile(
            columns=[ReferenceColumn(name="a", kind="numeric", values=values)],
            time=time,
            split=["train"] * len(time),
            prediction=[0.0] * len(time),
            truth=[0.0] * len(time),
        )


def test_to_json_writes_nan_as_null() -> None:
    column = ReferenceColumn(name="a", kind="numeric", values=[float("nan")])
    assert b"null" in to_json(column)
    assert b"NaN" not in to_json(column)


def test_listening_beyond_loopback_needs_a_deliberate_word() -> None:
    for host in ("0.0.0.0", "example.org", "192.0.2.1"):  # noqa: S104 - that is what is refused
        with pytest.raises(InvalidConfig, match="expected a loopback address"):
            listen(host, 0, insecure=False)
    for host in ("127.0.0.1", "localhost"):
        with listen(host, 0, insecure=False) as bound:
            assert address(bound).startswith("http://127.0.0.1:")
            assert bound.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_told() -> None:
    with listen("127.0.0.1", 0, insecure=False) as bound:
        bound.listen()
        with pytest.raises(InvalidConfig, match="cannot be listened on: Address already in use; choose another"):
            listen("127.0.0.1", bound.getsockname()[1], insecure=False)


def test_a_record_that_could_not_be_read_again_is_not_written() -> None:
    quality = Quality(metric="mae", value=float("nan"), baseline=1.0, evidence=0.0, rows=0, coverage=0.0)
    with pytest.raises(InternalError, match=r"Quality record: cannot be written so that it can be read: .*value"):
        to_json(quality)


def test_a_line_behind_a_torn_one_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    append_line(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": ')
    append_line(path, {"a": 2})
    append_line(path, {"a": 3})
    assert path.read_text().splitlines() == ['{"a": 1}', '{"a": ', '{"a": 2}', '{"a": 3}']


def test_a_size_of_minus_one_is_no_size() -> None:
    with pytest.raises(CorruptData, match="does not fit FP32"):
        Tensor(name="x", datatype="FP32", shape=[-1], data=bytes(8)).array()


def test_the_evidence_of_a_window_is_the_largest_that_suffices() -> None:
    found = [
        Evidence(detector="d", feature="a", evidence=0.5),
        Evidence(detector="d", feature="b", evidence=3.0, sufficiency="insufficient"),
    ]
    window = Window(model="m", version="1", start=0, end=1, rows=1, drift=found)
    assert window.drift_evidence == 0.5
    assert Window(model="m", version="1", start=0, end=1, rows=0).drift_evidence == 0.0


def test_an_input_is_found_by_its_name() -> None:
    spec = TensorSpec(name="x", datatype="FP32", shape=[-1, 1])
    signature = Signature(inputs=[spec], outputs=[])
    assert signature.input("x") is spec
    assert signature.input("y") is None


def test_weights_are_as_many_as_rows_or_none() -> None:
    profile = ReferenceProfile(columns=[], time=[0.0], split=["train"], prediction=[0.0], truth=[0.0])
    assert profile.rows == 1
    with pytest.raises(CorruptData, match="columns of one length"):
        msgspec.structs.replace(profile, weight=[1.0, 2.0])
