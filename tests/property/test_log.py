"""For any records and any cut: what was whole before the cut is read, in order, once."""

from __future__ import annotations

import os
import tempfile
from itertools import accumulate
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from staytrue.eventlog import Writer
from staytrue.events import Event, Tensor, decode, encode
from staytrue.readers import Reader
from staytrue.segments import frames, segment
from staytrue.signature import NUMPY
from tests.unit.staytrue.test_eventlog import drain

RECORDS = st.lists(st.binary(max_size=60), min_size=1, max_size=8)


@given(RECORDS, st.data())
@settings(max_examples=60, deadline=None)
def test_a_log_cut_at_any_byte_keeps_all_whole_records_before_it(records: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder))
        path = segment(Path(folder) / writer.name, 0)
        for record in records:
            writer.append([record])
        writer.close()
        ends = [*accumulate(len(frames([record], 0)) for record in records)]
        assert ends[-1] == path.stat().st_size
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(path, cut)
        reader = Reader(Path(folder), "r")
        assert drain(reader) == [record for record, end in zip(records, ends, strict=True) if end <= cut]
        assert reader.places.torn_tails == int(cut not in (0, *ends))


@given(RECORDS, st.data())
@settings(max_examples=60, deadline=None)
def test_one_flipped_bit_costs_at_most_one_record(records: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder))
        writer.append([*records, b"the last"])
        path = segment(Path(folder) / writer.name, 0)
        writer.close()
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        found = drain(Reader(Path(folder), "r"))
        assert len(found) >= len(records)
        remaining = iter([*records, b"the last"])
        assert all(any(record == other for other in remaining) for record in found)  # a subsequence, nothing invented


@given(st.data())
def test_tensors_and_events_come_back_as_they_were(data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from(sorted(NUMPY)))
    if datatype == "BYTES":
        array = np.array(data.draw(st.lists(st.text(), min_size=1, max_size=4)), dtype=object)
    else:
        raw = data.draw(st.binary(min_size=16, max_size=16))
        kind = NUMPY[datatype]
        array = np.frombuffer(bytes(b & 1 for b in raw), kind) if datatype == "BOOL" else np.frombuffer(raw, kind)
    tensor = Tensor.of("x", datatype, array.reshape(-1, 1))
    event = Event(id="e", time=1.0, recorded=2.0, model="m", inputs=[tensor])
    back = decode(encode(event))
    assert back == event
    assert isinstance(back, Event)
    got = back.inputs[0].array()
    assert got.shape == (len(array), 1)
    if datatype == "BYTES":
        assert got.ravel().tolist() == array.tolist()
    else:
        assert got.tobytes() == array.tobytes()
