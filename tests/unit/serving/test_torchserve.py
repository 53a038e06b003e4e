"""A real TorchServe behind the seam: its deadlines, its dead workers, its dead Java, and how all of it ends with us."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from serving.runtimes import factory
from serving.runtimes.torchserve import server as servers
from serving.runtimes.torchserve.runtime import TorchServeMaker, TorchServeRuntime
from staytrue.errors import CorruptData, DeadlineExceeded, InvalidConfig, StaytrueError, Unavailable
from staytrue.server import ServingSection, TorchServeSection
from staytrue.signature import Signature, TensorSpec
from staytrue.variables import GATEWAY
from tests.needs import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTINGS = TorchServeSection(timeout_seconds=2, start_seconds=60)
LONGEST = 60.0
WORDS = TensorSpec(name="order", datatype="BYTES", shape=[-1])
SIGNATURE = Signature(inputs=[WORDS], outputs=[WORDS])
OBEDIENT = """\
import os, pathlib, time
import msgspec
import numpy as np
from staytrue.events import Tensor

DIED = pathlib.Path(__file__).with_name("died")

def handle(data, context):
    if data is None:
        return None
    (tensor,) = msgspec.msgpack.decode(data[0]["body"], type=list[Tensor])
    order = tensor.data[0]
    if order == "sleep":
        time.sleep(60)
    if order == "die" or (order == "die once" and not DIED.exists()):
        DIED.touch()
        os._exit(1)
    if order.startswith("tell "):
        return [msgspec.msgpack.encode([Tensor.of("order", "BYTES", np.array([os.environ[order[5:]]], dtype=object))])]
    if order == "raise":
        raise ValueError("nobody must see this")
    return [msgspec.msgpack.encode([tensor])]
"""
"""A handler that gives back what it is told, or does it."""


@pytest.fixture(scope="module")
def maker() -> Iterator[TorchServeMaker]:
    """One TorchServe for all these tests: each start takes seconds."""
    needs("java")
    with factory.maker(ServingSection(runtime="torchserve", threads=3, torchserve=SETTINGS)) as made:
        assert isinstance(made, TorchServeMaker)
        yield made


def archive(folder: Path, handler: str) -> Path:
    """An archive with a handler of the test's own."""
    path = folder / "model.mar"
    manifest = {"runtime": "python", "model": {"modelName": "m", "modelVersion": "1", "handler": "handler.py"}}
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        made.writestr("handler.py", handler)
        made.writestr("staytrue.json", json.dumps({"runs": "obedience"}))
    return path


@pytest.fixture(scope="module")
def model(maker: TorchServeMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServeRuntime]:
    """The obedient model; it may take its time, a busy machine's workers start slowly."""
    made = maker(archive(tmp_path_factory.mktemp("obedient"), OBEDIENT), SIGNATURE)
    made._seconds = LONGEST
    until(made.ready)
    yield made
    made.close()


def tell(model: TorchServeRuntime, order: str) -> str:
    """What the model gives back."""
    return str(model.run({"order": np.array([order], dtype=object)})["order"][0])


def until(true: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def family(keeper: int) -> list[psutil.Process]:
    """The keeper, Java, and its workers."""
    process = psutil.Process(keeper)
    return [process, *process.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs any more."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def keeper(maker: TorchServeMaker) -> int:
    """Process id of the keeper of the TorchServe that runs now."""
    found = maker.supervisor._server
    assert found is not None
    return found.pid


def the(maker: TorchServeMaker, word: str) -> psutil.Process:
    """The process whose command line holds a word: ModelServer for Java, model_service_worker for a worker."""
    return next(
        p for p in family(keeper(maker)) if any(word in part for part in p.cmdline()) and p.pid != keeper(maker)
    )


def stopped(process: psutil.Process) -> bool:
    """Whether a suspended process runs no more: its threads stop one by one, and until then they may answer."""
    tasks = [task / "stat" for task in Path(f"/proc/{process.pid}/task").iterdir()]
    return all(stat.read_text(encoding="utf-8").rpartition(") ")[2].startswith("T") for stat in tasks)


def test_says_what_runs_and_answers(model: TorchServeRuntime) -> None:
    assert model.description.startswith("TorchServe 0.12.0 obedience CPU")
    assert tell(model, "hello, wörld") == "hello, wörld"


def test_many_threads_get_each_its_own_answer(model: TorchServeRuntime) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: tell(model, str(number)), range(200))) == [str(n) for n in range(200)]


def test_workers_have_the_threads_that_the_settings_say(model: TorchServeRuntime) -> None:
    assert tell(model, "tell STAYTRUE_SERVING_THREADS") == "3"


def test_workers_know_the_secret_of_their_own_java_alone(maker: TorchServeMaker, model: TorchServeRuntime) -> None:
    before: Any = maker.supervisor._server
    secret = tell(model, f"tell {GATEWAY}")
    assert len(secret) == 64
    assert before.inference._headers[servers.MARK] == secret
    the(maker, "ModelServer").kill()
    until(lambda: not model.ready())
    until(model.ready)
    after: Any = maker.supervisor._server
    assert tell(model, f"tell {GATEWAY}") == after.inference._headers[servers.MARK] != secret


def test_too_long_a_run_is_given_up_at_the_deadline_and_the_stuck_worker_replaced(
    model: TorchServeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(model, "_seconds", 1)
        with pytest.raises(DeadlineExceeded, match=r"within 1 s; .*timeout_seconds"):
            tell(model, "sleep")
    until(lambda: not model.ready())
    until(model.ready)
    assert tell(model, "well again") == "well again"


def test_a_worker_killed_while_idle_costs_no_answer(maker: TorchServeMaker, model: TorchServeRuntime) -> None:
    the(maker, "model_service_worker").kill()
    assert tell(model, "next") == "next"
    until(model.ready)


def test_a_dead_worker_is_seen_before_anybody_asks(maker: TorchServeMaker, model: TorchServeRuntime) -> None:
    the(maker, "model_service_worker").kill()
    until(lambda: not model.ready())
    until(model.ready)


def test_a_request_whose_worker_dies_is_asked_once_more(model: TorchServeRuntime) -> None:
    assert tell(model, "die once") == "die once"
    until(model.ready)


def test_a_request_that_kills_every_worker_is_not_asked_for_ever(model: TorchServeRuntime) -> None:
    with pytest.raises(Unavailable, match="has no worker for this model"):
        tell(model, "die")
    until(model.ready)


def test_a_fault_of_the_handlers_is_ours_not_the_callers(model: TorchServeRuntime) -> None:
    with pytest.raises(RuntimeError, match="503") as caught:
        tell(model, "raise")
    assert "nobody must see this" not in str(caught.value)


@pytest.mark.parametrize("whom", ["ModelServer", "keeper.py"])
def test_killed_java_or_its_keeper_is_started_again_with_its_models_and_unready_meanwhile(
    maker: TorchServeMaker, model: TorchServeRuntime, whom: str
) -> None:
    before, starts = family(keeper(maker)), maker.supervisor.starts
    (before[0] if whom == "keeper.py" else the(maker, whom)).kill()
    until(lambda: not model.ready())
    with contextlib.suppress(StaytrueError):  # refused in words, or answered by the next one
        tell(model, "too early")
    until(model.ready)
    assert tell(model, "back") == "back"
    assert maker.supervisor.starts == starts + 1
    until(lambda: gone(before))


def test_a_model_that_torchserve_has_given_up_is_registered_again(
    maker: TorchServeMaker, model: TorchServeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, running = maker.supervisor, maker.supervisor._server
    assert running is not None
    assert model._name is not None
    running.unregister(model._name)
    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "_settings", SETTINGS.model_copy(update={"start_seconds": 0.5}))
        until(lambda: not model.ready())
        until(lambda: bool(running.workers(str(model._name))))
    until(model.ready)
    assert tell(model, "again") == "again"


def test_an_archive_that_is_gone_does_not_take_the_other_models_with_it(
    maker: TorchServeMaker,
    model: TorchServeRuntime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor, path = maker.supervisor, archive(tmp_path, OBEDIENT)
    lost = maker(path, SIGNATURE)
    path.unlink()
    the(maker, "ModelServer").kill()
    until(lambda: not model.ready())
    until(model.ready)
    starts = supervisor.starts
    caplog.clear()
    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "_settings", SETTINGS.model_copy(update={"start_seconds": 0.5}))
        until(lambda: caplog.text.count(f"{path} is registered once more") > 1)
    assert f"{path}: TorchServe does not load it" in caplog.text
    assert not [text for text in caplog.messages if "does not tell" in text and "does not load it" in text]
    until(model.ready)
    assert not lost.ready()
    assert supervisor.starts == starts
    lost.close()


def test_a_model_that_takes_too_long_to_load_leaves_no_worker_behind(
    maker: TorchServeMaker, model: TorchServeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(model.ready)
    running: Any = maker.supervisor._server
    ask, before = running._management.ask, len(family(keeper(maker)))

    def hurried(method: str, url: str, *, seconds: float) -> Any:
        return ask(method, url, seconds=1 if method == "POST" else seconds)

    slow = archive(tmp_path, "import time\n\ndef handle(data, context):\n    time.sleep(600)\n")
    with monkeypatch.context() as patched:
        patched.setattr(running._management, "ask", hurried)
        patched.setattr(running, "_settings", SETTINGS.model_copy(update={"start_seconds": 600}))
        with pytest.raises(DeadlineExceeded):
            maker(slow, SIGNATURE)
    until(lambda: not maker.supervisor._leaving)
    name = f"m{maker.supervisor._numbers}"
    until(lambda: not running.workers(name))
    until(lambda: len(family(keeper(maker))) == before)
    until(model.ready)


def test_others_are_looked_at_while_a_model_loads(
    maker: TorchServeMaker, model: TorchServeRuntime, tmp_path: Path
) -> None:
    until(model.ready)
    running: Any = maker.supervisor._server
    before = len(family(keeper(maker)))
    slow = archive(tmp_path, "import time\n\ndef handle(data, context):\n    time.sleep(5)\n")
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(maker, slow, SIGNATURE)
        until(lambda: len(family(keeper(maker))) > before)
        for _ in range(2 * (os.cpu_count() or 1)):  # as many threads as TorchServe has; it holds one
            running._management.forget()
            assert running.workers(model._name)
        loading.result().close()


def test_a_java_that_hangs_is_known_to_hang_after_a_second(maker: TorchServeMaker, model: TorchServeRuntime) -> None:
    java, running = the(maker, "ModelServer"), maker.supervisor._server
    assert running is not None
    java.suspend()
    try:
        until(lambda: stopped(java))
        with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s"):
            running.workers(str(model._name))
        until(lambda: not model.ready())
    finally:
        java.resume()
    until(model.ready)


def test_an_archive_that_does_not_load_says_why(maker: TorchServeMaker, tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match=r"model\.mar: TorchServe does not load it.*no such weights"):
        maker(archive(tmp_path, "def handle(data, context):\n    raise OSError('no such weights')\n"), SIGNATURE)


def test_a_file_that_is_no_archive_is_refused_by_name(maker: TorchServeMaker, tmp_path: Path) -> None:
    (tmp_path / "model.mar").write_bytes(b"no archive")
    with pytest.raises(CorruptData, match=r"model\.mar: is no archive"):
        maker(tmp_path / "model.mar", SIGNATURE)


def test_a_closed_model_is_let_go_of(maker: TorchServeMaker, tmp_path: Path) -> None:
    made = maker(archive(tmp_path, OBEDIENT), SIGNATURE)
    workers = len(family(keeper(maker)))
    made.close()
    made.close()
    assert not made.ready()
    with pytest.raises(Unavailable, match="was closed"):
        tell(made, "hello")
    until(lambda: len(family(keeper(maker))) == workers - 1)


STARTED = """\
import time
from serving.runtimes.torchserve.server import Server
from staytrue.server import TorchServeSection
print(Server(TorchServeSection()).pid, flush=True)
time.sleep(600)
"""


def test_killed_we_leave_nothing_behind() -> None:
    needs("java")
    with subprocess.Popen([sys.executable, "-c", STARTED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        started = family(int(process.stdout.readline()))
        folder = started[0].cmdline()[4]
        assert len(started) >= 2
        assert os.path.isdir(folder)  # noqa: PTH112 - a text of another process
        process.send_signal(signal.SIGKILL)
        until(lambda: gone(started))
    until(lambda: not os.path.exists(folder))  # noqa: PTH110 - as above


def test_closing_ends_all_of_it() -> None:
    needs("java")
    with servers.Server(SETTINGS) as running:
        started = family(running.pid)
    assert gone(started)
    running.close()


def test_the_end_does_not_wait_for_a_model_that_loads(tmp_path: Path) -> None:
    needs("java")
    slow = archive(tmp_path, "import time\n\ndef handle(data, context):\n    time.sleep(600)\n")
    made = factory.maker(ServingSection(runtime="torchserve", torchserve=SETTINGS))
    assert isinstance(made, TorchServeMaker)
    before = family(keeper(made))
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(made, slow, SIGNATURE)
        until(lambda: len(family(keeper(made))) > len(before))
        began = time.monotonic()
        made.close()
        assert time.monotonic() - began < SETTINGS.start_seconds / 2
        with pytest.raises(Unavailable):
            loading.result(timeout=LONGEST)
    until(lambda: gone(before))


def test_without_java_it_says_what_to_install() -> None:
    settings = TorchServeSection(java="no-such-java")
    with pytest.raises(InvalidConfig, match=r"Java 17 or newer; there is no program 'no-such-java'; .*openjdk-17"):
        servers.Server(settings)


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_NEEDED", ("no_such_package", "yaml"))
    with pytest.raises(InvalidConfig, match=r"needs the packages no_such_package; pip install -e '\.\[torchserve\]'"):
        servers.Server(SETTINGS)


def test_a_java_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho UnsupportedClassVersionError\nexit 1\n")
    java.chmod(0o755)
    with pytest.raises(InvalidConfig, match="ended at its start: UnsupportedClassVersionError"):
        servers.Server(TorchServeSection(java=str(java)))


def test_a_java_that_never_answers_is_given_up(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexec sleep 600\n")
    java.chmod(0o755)
    with pytest.raises(Unavailable, match=r"did not start within 0\.5 s"):
        servers.Server(TorchServeSection(java=str(java), start_seconds=0.5))


def test_nobody_else_can_call_it(maker: TorchServeMaker, model: TorchServeRuntime) -> None:
    assert model.ready()
    java = the(maker, "ModelServer")
    listening = [each.laddr for each in java.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    assert listening
    assert all(str(address.ip).removeprefix("::ffff:") == "127.0.0.1" for address in listening)  # gRPC, with a token
    running: Any = maker.supervisor._server
    assert running._folder.stat().st_mode & 0o777 == 0o700
