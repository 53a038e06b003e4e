"""What a store says of a write that was to happen only if there is none is understood, whoever's client tells it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from fsspec.registry import _registry

from staytrue.errors import InvalidConfig, NotFound, Unavailable
from staytrue.objects import Objects
from staytrue.refusals import Refusal, bars, refusal
from staytrue.store import Store
from tests.buckets import Bucket
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class ClientError(Exception):
    """As botocore raises it."""

    def __init__(self, code: str, status: int) -> None:
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        super().__init__(f"An error occurred ({code}) when calling the PutObject operation: Unknown")


class ParamValidationError(Exception):
    """As botocore before 1.35.20 raises it."""


class HttpError(Exception):
    """As gcsfs raises it."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"conditionNotMet, {code}")


class HttpResponseError(Exception):
    """As azure-core raises it, whose code is an enumeration's member."""

    def __init__(self, status_code: int, error_code: object) -> None:
        self.status_code, self.error_code = status_code, error_code
        super().__init__("The specified blob already exists.")


def translated(cause: Exception, number: int) -> OSError:
    """As s3fs translates it, ``translate_boto_error``."""
    error = OSError(number, str(cause))
    error.__cause__ = cause
    return error


PreconditionFailed = ClientError("PreconditionFailed", 412)
TAKEN: dict[str, Callable[[], Exception]] = {
    "s3fs, condition named": lambda: FileExistsError("At least one of the pre-conditions"),
    "s3fs, condition not named": lambda: translated(PreconditionFailed, errno.EINVAL),
    "s3fs, an answer without a body": lambda: translated(ClientError("412", 412), errno.EINVAL),
    "s3fs, a code of a gateway's own": lambda: translated(ClientError("Gone wrong", 412), errno.EIO),
    "botocore": lambda: PreconditionFailed,
    "gcsfs": lambda: HttpError(412),
    "azure": lambda: HttpResponseError(409, "BlobAlreadyExists"),
    "azure, condition": lambda: HttpResponseError(412, "ConditionNotMet"),
}
BUSY: dict[str, Callable[[], Exception]] = {
    "s3fs": lambda: translated(ClientError("ConditionalRequestConflict", 409), errno.EIO),
    "s3fs, a number": lambda: translated(ClientError("409", 409), errno.EBUSY),
    "s3fs, aborted": lambda: translated(ClientError("OperationAborted", 409), errno.EBUSY),
}


@pytest.mark.parametrize("made", TAKEN.values(), ids=TAKEN)
def test_that_there_is_one_is_known(made: Callable[[], Exception]) -> None:
    assert refusal(made()) is Refusal.TAKEN


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), OSError(errno.EINVAL, "Bad digest"), translated(ClientError("SlowDown", 503), errno.EBUSY)],
    ids=["time", "another fault", "too fast"],
)
def test_another_failure_is_no_refusal(error: Exception) -> None:
    assert refusal(error) is None


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Bucket]]:
    """An ``s3://`` of a store whose answers a test chooses."""

    class Gateway(Bucket):
        store: ClassVar[dict[str, Any]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

    monkeypatch.setitem(_registry, "s3", Gateway)
    return Gateway


@pytest.mark.parametrize("made", TAKEN.values(), ids=TAKEN)
def test_a_store_that_says_so_in_other_words_gives_each_publisher_its_own_version(
    made: Callable[[], Exception], bucket: type[Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = bucket.pipe_file

    def pipe_file(self: Bucket, path: str, value: bytes, mode: str = "overwrite", **how: object) -> None:
        if mode == "create" and self.exists(path):
            raise made()
        put(self, path, value, mode=mode, **how)

    monkeypatch.setattr(bucket, "pipe_file", pipe_file)
    objects = Objects("s3://gateway/store")
    assert objects.create("claims/1", b"mine")
    assert objects.create("claims/1", b"mine")
    assert not objects.create("claims/1", b"theirs")
    assert objects.read("claims/1") == b"mine"
    assert objects._heeds
    store = Store("s3://gateway/store", cache=tmp_path)
    store.promote("tiny", publish(store, 1.0), reason="first")


@pytest.mark.parametrize("made", BUSY.values(), ids=BUSY)
def test_a_store_that_is_busy_with_an_object_is_asked_again(
    made: Callable[[], Exception], bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    put, asked = bucket.pipe_file, list[str]()

    def pipe_file(self: Bucket, path: str, value: bytes, mode: str = "overwrite", **how: object) -> None:
        asked.append(path)
        if mode == "create" and len(asked) % 3:
            raise made()
        put(self, path, value, mode=mode, **how)

    monkeypatch.setattr(bucket, "pipe_file", pipe_file)
    monkeypatch.setattr("staytrue.objects.WAIT_SECONDS", 0.0)
    objects = Objects("s3://gateway/store")
    assert objects.create("claims/1", b"mine")
    assert not objects.create("claims/1", b"theirs")
    monkeypatch.setattr("staytrue.objects.TRIES", 2)
    asked.clear()
    with pytest.raises(Unavailable, match=r"s3://gateway/store/claims/2: others write it all the time; try again"):
        objects.create("claims/2", b"mine")


def test_where_a_store_knows_no_conditions_writers_agree(bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch) -> None:
    put = bucket.pipe_file

    def pipe_file(self: Bucket, path: str, value: bytes, mode: str = "overwrite", **how: object) -> None:
        if mode == "create":
            raise translated(ClientError("NotImplemented", 501), errno.ENOSYS)
        put(self, path, value, mode=mode, **how)

    monkeypatch.setattr(bucket, "pipe_file", pipe_file)
    objects = Objects("s3://gateway/store")
    assert objects.create("claims/1", b"mine")
    assert not objects.create("claims/1", b"theirs")
    assert objects._heeds is False


def test_a_client_that_knows_no_conditions_is_to_be_renewed(
    bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot agree by marks with others whose clients have the store decide."""

    def pipe_file(*_: object, **__: object) -> None:
        raise ParamValidationError('Unknown parameter in input: "IfNoneMatch", must be one of: ACL, Body')

    monkeypatch.setattr(bucket, "pipe_file", pipe_file)
    with pytest.raises(
        InvalidConfig, match=r"s3://gateway/store: the package .* only if there is none; install a newer"
    ):
        Objects("s3://gateway/store").create("claims/1", b"mine")


CLOSED = {
    "s3fs": translated(ClientError("SignatureDoesNotMatch", 403), errno.EACCES),
    "no keys": type("NoCredentialsError", (Exception,), {})("Unable to locate credentials"),
    "gcsfs": OSError("Forbidden: b/o\nno access"),
    "azure": HttpResponseError(403, "AuthorizationFailure"),
}


@pytest.mark.parametrize("error", CLOSED.values(), ids=CLOSED)
def test_wrong_credentials_are_told_as_such(
    error: Exception, bucket: type[Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    assert bars(error)
    monkeypatch.setattr(bucket, "ls", refuse)
    with pytest.raises(Unavailable, match=r"s3://gateway/store: is closed to us: .*; look at the credentials"):
        Store("s3://gateway/store").models()


def test_a_bucket_that_is_not_there_is_told_and_none_is_made(
    bucket: type[Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError("The specified bucket does not exist")

    made = list[str]()
    monkeypatch.setattr(bucket, "pipe_file", refuse)
    monkeypatch.setattr(bucket, "makedirs", lambda _, path, **__: made.append(path))
    with pytest.raises(NotFound, match=r"s3://gateway/store: cannot be written to: it is not there; make its bucket"):
        publish(Store("s3://gateway/store", cache=tmp_path), 1.0)
    assert made == []


def test_a_writer_that_was_stopped_while_it_agreed_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others pass over its mark after a minute: it asks anew whether it is alone."""
    objects, clock = Objects("memory://stopped"), [1000.0]
    exists = objects.exists

    def stopped(path: str) -> bool:
        there = exists(path)
        if clock[0] == 1000.0:
            clock[0] = 1100.0
            Objects("memory://stopped").create("claims/1", b"theirs")
        return there

    monkeypatch.setattr("staytrue.objects.time.time", lambda: clock[0])
    monkeypatch.setattr(objects, "exists", stopped)
    assert not objects.create("claims/1", b"mine")
    assert objects.read("claims/1") == b"theirs"


def test_who_publishes_and_promotes_need_not_be_allowed_to_delete(
    bucket: type[Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(bucket, "rm_file", refuse)
    store = Store("s3://gateway/store", cache=tmp_path)
    for factor in (1.0, 2.0):
        store.promote("tiny", publish(store, factor), reason="better")
    assert (store.versions("tiny"), store.load("tiny", "2", anew=True).version) == (["1", "2"], "2")
