"""Gives what is compiled, built with sanitizers, made-up bytes: it reads and writes them as Python does.

``python -m tests.fuzz.compiled [SECONDS]``: compiles native/ into ``build/fuzz`` and starts itself again with the
address sanitizer in front and every object of Python's in memory of its own, so that a look one byte too far ends it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import random
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from serving.rest import codec
from staytrue.errors import StaytrueError
from staytrue.filling import Template, When, filled, whole
from staytrue.segments import WOVEN, framed, frames
from tests.fuzz import wires

SECONDS, SEED = 60.0, 1
WIRES = 0.2
"""How often connections take their turn, which cost more than bodies."""
PLACE = Path("build/fuzz") / f"native{sysconfig.get_config_var('EXT_SUFFIX')}"
FLAGS = (
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-missing-field-initializers",
    "-g",
    "-O1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
INPUTS = ((b"x", b"FP32", (2,)), (b"y", b"FP64", ()))
TELLING = [
    b'"',
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"-",
    b".",
    b"e",
    b"0",
    b"9",
    b" ",
    b"\0",
    b"\xff",
    b"[[",
    b"1e9",
]
NUMBERS = [
    "0",
    "-0",
    "1.5",
    "-2e-3",
    "0.30000000000000004",
    "1e39",
    "12345678901234567890",
    "4.9e-324",
    "1E+2",
    "18446744073709551616.5",
]
NUMBERS += ["340282346638528859811704183484516925440.000000", "0.000000000000000000000000000001"]


def built() -> Path:
    """Compile it."""
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    sources = map(str, sorted(Path("native").glob("*.c")))
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(["cc", *FLAGS, "-fPIC", "-shared", include, *sources, "-o", str(PLACE)], check=True)  # noqa: S607
    return PLACE


def again(seconds: float) -> int:
    """Run this file with the sanitizer."""
    asked = ["cc", "-print-file-name=libasan.so"]
    library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    more = {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    command = [sys.executable, "-m", "tests.fuzz.compiled", str(seconds), str(built())]
    return subprocess.run(command, env=os.environ | more, check=False).returncode  # noqa: TID251 - no setting of ours


def body(chance: random.Random) -> bytes:
    """One that is as most are, or nearly."""
    rows = chance.choice([1, 1, 2, 3, 40])
    x = [chance.choice(NUMBERS) if chance.random() < 0.1 else repr(chance.gauss(0, 1)) for _ in range(2 * rows)]
    nested = [f"[{a},{b}]" for a, b in zip(x[::2], x[1::2], strict=True)]
    tensors = [
        {
            "name": '"x"',
            "shape": f"[{rows},2]",
            "datatype": '"FP32"',
            "data": f"[{','.join(chance.choice([x, nested]))}]",
        },
        {"name": '"y"', "shape": f"[{rows}]", "datatype": '"FP64"', "data": json.dumps([chance.random()] * rows)},
    ]
    told = []
    for tensor in tensors:
        fields = [f'"{name}":{said}' for name, said in tensor.items()]
        chance.shuffle(fields)
        told.append(f"{{{','.join(fields)}}}")
    made = f'{{"inputs":[{",".join(told)}]}}'.encode()
    for _ in range(chance.choice([0, 1, 1, 2, 8])):
        at, length = chance.randrange(len(made) + 1), chance.choice([0, 1, 1, 5, 4096])
        made = made[:at] + chance.choice(TELLING) + made[at + length :]
    return made


def compare(read: Any, bodies: list[bytes]) -> int:
    """How many were read; those were read as Python reads them."""
    at, wanted, found = 0, [b"", b""], [b"", b""]
    count = 0
    while at < len(bodies):
        at, places, _, blocks = read(bodies, at, 40)
        count += len(places)
        found = [before + more for before, more in zip(found, blocks, strict=True)]
        for place in places:
            try:
                told = [one.array.tobytes() for one in codec.parse(bodies[place], "reject").inputs]
            except StaytrueError as error:
                raise AssertionError(f"read what is refused: {bodies[place]!r}: {error}") from error
            wanted = [before + more for before, more in zip(wanted, told, strict=True)]
    if found != wanted:
        raise AssertionError(f"read otherwise: {bodies!r}: {found} and not {wanted}")
    return count


def compare_lists(floats: Any, chance: random.Random) -> bool:
    """Whether a list that is as most are, or nearly, was read; then it was read as Python reads it."""
    count = chance.choice([1, 2, 7, 40])
    made = [chance.choice(NUMBERS) if chance.random() < 0.02 else repr(chance.gauss(0, 1)) for _ in range(count)]
    text = f"[{', '.join(made)}]".encode()
    for _ in range(chance.choice([0, 0, 1, 2])):
        at, length = chance.randrange(len(text) + 1), chance.choice([0, 1, 1, 5])
        text = text[:at] + chance.choice(TELLING) + text[at + length :]
    found = floats(text, 0, len(text), count, 8)
    if found is None:
        return False
    if list(memoryview(found).cast("d")) != [float(one) for one in json.loads(text)]:
        raise AssertionError(f"read otherwise: {text!r}")
    return True


def made(fill: Any, filling: Any) -> bytes | None:
    """None where it is refused."""
    try:
        found: bytes = fill(filling)
    except ValueError:
        return None
    return found


def compare_frames(native: Any, chance: random.Random) -> None:
    """Frames, and events from parts, as Python makes them."""
    some = [chance.randbytes(chance.choice([0, 1, 15, 63, 64, 65, 200, 5000])) for _ in range(chance.randrange(5))]
    seed, most = chance.getrandbits(32), chance.choice([100, 2**28])
    if hasattr(native, "frames") and native.frames(b"\xf1STY", some, seed, most) != framed(
        b"\xf1STY", some, seed, most
    ):
        raise AssertionError(f"frames otherwise: {some!r}")
    parts, when = [chance.randbytes(chance.randrange(9)) for _ in range(4 + len(some))], When(*[chance.random()] * 4)
    filling = (Template(parts, [len(one) + (chance.random() < 0.1) for one in some]), when, some)
    if made(native.filled, filling) != made(filled, filling):
        raise AssertionError(f"filled otherwise: {filling!r}")
    if hasattr(native, "Appender"):
        compare_appended(native, [*some, filling, *some], (seed, chance.choice([0, 100, 30_000])))


def compare_appended(native: Any, pieces: list[Any], how: tuple[int, int]) -> None:
    """Pieces that are written at once stand in the file as the usual way would have written them, or not at all."""
    seed, room = how
    appender, handle = native.Appender(seed), os.memfd_create("pieces")
    try:
        appender.aim(handle, 0, room, float("inf"))
        block = made(lambda some: frames(whole(some), seed, WOVEN), pieces)
        fits = block is not None and len(block) <= room
        try:
            done = appender.append(WOVEN, pieces)
        except ValueError:
            done = False
        found = os.pread(handle, room + 1, 0)
        if (done, found) != (fits, block if fits else b""):
            raise AssertionError(f"appended otherwise: {pieces!r}")
    finally:
        os.close(handle)


def feed(library: str, seconds: float) -> int:
    """Make up bodies until the time is over."""
    loader = importlib.machinery.ExtensionFileLoader("native", library)
    spec = importlib.util.spec_from_loader("native", loader)
    assert spec is not None
    native = importlib.util.module_from_spec(spec)
    loader.exec_module(native)
    read, chance, until = native.Reader(INPUTS, 32).read, random.Random(SEED), time.monotonic() + seconds  # noqa: S311
    bodies = taken = lists = received = answered = 0
    while time.monotonic() < until:
        some = [body(chance) for _ in range(chance.choice([1, 1, 2, 9]))]
        bodies += len(some)
        taken += compare(read, some)
        compare_frames(native, chance)
        lists += sum([compare_lists(native.floats, chance) for _ in some])
        if hasattr(native, "Express") and chance.random() < WIRES:
            received += wires.receive(native, chance)
            answered += wires.answer(native, chance)
    sys.stdout.write(
        f"compiled: {bodies} bodies and lists; read, as Python reads them: {taken} and {lists}; "
        f"requests received {received}, answers sent {answered}\n"
    )
    return 0 if min(taken, lists) > bodies // 20 else 1


if __name__ == "__main__":
    arguments = sys.argv[1:]
    asked_seconds = float(arguments[0]) if arguments else SECONDS
    sys.exit(feed(arguments[1], asked_seconds) if len(arguments) > 1 else again(asked_seconds))
