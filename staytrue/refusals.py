"""What a store means by an error, in the words of each client that fsspec has: they agree on few of them.

``s3fs`` turns a refused condition into ``FileExistsError`` only where the store also says which condition it was, as
Amazon's does and most others do not; ``gcsfs`` and ``adlfs`` always do. What they do not turn carries the code of the
protocol: in ``response`` (botocore), ``code`` (gcsfs) or ``status_code`` and ``error_code`` (azure).

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Refusal(Enum):
    """Why a store did not write an object under the condition that there is none."""

    TAKEN = "there is one"
    BUSY = "others write or delete it at this moment: try again"
    UNKNOWN_CONDITION = "the store knows no conditions"
    OLD_CLIENT = "the client knows no conditions"


_TAKEN = {"PreconditionFailed", "412", "ConditionNotMet", "BlobAlreadyExists", "conditionNotMet"}
_BUSY = {"ConditionalRequestConflict", "OperationAborted", "409"}
_UNKNOWN = {"NotImplemented", "501"}
_BARRED = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_NO_KEY = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "DefaultCredentialsError"} | {
    "ClientAuthenticationError",
    "ProfileNotFound",
    "RefreshError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}


def refusal(error: BaseException) -> Refusal | None:
    """Why a write under a condition was refused; None where it failed for another reason.

    >>> refusal(FileExistsError()), refusal(TimeoutError())
    (<Refusal.TAKEN: 'there is one'>, None)
    """
    codes = {code for each in _chain(error) for code in _codes(each)}
    if isinstance(error, FileExistsError) or codes & _TAKEN:
        return Refusal.TAKEN
    if codes & _BUSY:
        return Refusal.BUSY
    if codes & _UNKNOWN:
        return Refusal.UNKNOWN_CONDITION
    if any("IfNoneMatch" in str(each) or "'mode'" in str(each) for each in _chain(error)):  # a parameter it never had
        return Refusal.OLD_CLIENT
    return None


def bars(error: BaseException) -> bool:
    """Whether it is credentials that are missing or wrong, or do not allow what was asked for.

    >>> bars(PermissionError("Forbidden")), bars(OSError("Forbidden: b/o")), bars(TimeoutError())
    (True, True, False)
    """
    chain = list(_chain(error))
    return (
        any(isinstance(each, PermissionError) or type(each).__name__ in _NO_KEY for each in chain)
        or any(_BARRED & {*_codes(each)} for each in chain)
        or str(error).startswith("Forbidden")
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _codes(error: BaseException) -> Iterator[str]:
    """Of the protocol, as names and numbers."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        yield str(response.get("Error", {}).get("Code", ""))
        yield str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    for name in ("code", "status", "status_code", "error_code"):
        said = getattr(error, name, None)
        yield str(getattr(said, "value", said))
