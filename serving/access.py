"""Who may do what: keys that callers send, their scopes and rates, and the keys file as it changes.

Nothing here is kept of a key but its SHA-256, and nothing said of it but its name. A cache of keys seen would save half
a microsecond and hold what nobody should.
"""

from __future__ import annotations

import hmac
import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

from serving.denials import Denials
from serving.identity import identity_of, settled
from serving.keyring import Key, Limit, Scope, digest_of, parse, text_of
from staytrue.errors import InvalidConfig, Overloaded, PermissionDenied, StaytrueError, Unauthenticated
from staytrue.listening import loopback

if TYPE_CHECKING:
    from pathlib import Path

    from serving.identity import Identity

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
LONGEST_SECRET = 256
_WHERE = "header Authorization"
_BEARER = "bearer "


class Bucket:
    """A token bucket: ``burst`` requests at once, ``requests_per_second`` over time. For any number of threads."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._tokens, self._at = limit.burst, float("-inf")
        self._lock = threading.Lock()

    def take(self, now: float) -> float:
        """Take a token; where there is none, how long until there is one.

        Units: seconds of a clock that does not go back; 0 where one was taken.
        """
        rate, burst = self.limit
        with self._lock:
            if now > self._at:  # threads may come in another order than their times
                self._tokens, self._at = min(burst, self._tokens + (now - self._at) * rate), now
            if self._tokens >= 1.0:
                self._tokens -= 1.0
                return 0.0
            return (1.0 - self._tokens) / rate


class _Known(NamedTuple):
    key: Key
    bucket: Bucket | None


class Access:
    """Lets requests in by a keys file, or everybody where there is none.

    The file is looked at once a second at most, while requests come, and read by a thread of its own when it changed.
    A file that is broken or gone changes nothing and is told of in the log, once.
    """

    def __init__(self, keys: Path | None) -> None:
        """Read the keys.

        Raises:
            InvalidConfig: the file cannot be read or is none; says file, line and reason.
        """
        self.denials = Denials()
        """Whom the protocols refused by what is raised here."""
        self._path = keys
        self._known: dict[bytes, _Known] = {}
        self._seen: Identity | None = None  # None: read it again in any case
        self._text: str | None = None
        self._fault = ""
        self._next_look = float("-inf")
        self._turn = threading.Lock()
        self._reader: threading.Thread | None = None
        if keys is not None:
            self._take(keys)

    @classmethod
    def open(cls) -> Access:
        """Everybody is let in: for loopback, or by a deliberate ``insecure``."""
        return cls(None)

    @property
    def everybody(self) -> bool:
        """Whether no key is needed."""
        return self._path is None

    def __repr__(self) -> str:
        return f"Access(keys={str(self._path) if self._path else None!r}, known={len(self._known)})"

    def admit(self, secret: str | None, scope: Scope, now: float) -> Key | None:
        """The key that a request comes with, one request taken from its rate; None where everybody is let in.

        Args:
            secret: what :func:`secret_of` found.
            scope: that the request needs. No scope includes another.
            now: of a clock that does not go back, in seconds.

        Raises:
            Unauthenticated: no key, or one that is not known.
            PermissionDenied: the key lacks the scope.
            Overloaded: the key asks more often than it may; ``retry_seconds`` says when it may again.
        """
        return None if self._path is None else self._admit(self._holder(secret, now), scope, now)

    def admit_again(self, digest: bytes, scope: Scope, now: float) -> Key | None:
        """As :meth:`admit`, of a key whose ``digest_of`` was worked out when it came before."""
        if self._path is None:
            return None
        known = self._found(digest, now)
        if known is None:
            raise _stranger("gone")
        return self._admit(known, scope, now)

    @staticmethod
    def _admit(known: _Known, scope: Scope, now: float) -> Key:
        key, bucket = known
        if scope not in key.scopes:
            raise _lacks(key, scope)
        if bucket is not None and (wait := bucket.take(now)):
            allowed = f"at most {bucket.limit.requests_per_second:g} requests a second"
            raise Overloaded(f'key "{key.name}"', expected=allowed, got="more", hint="slow down", retry_seconds=wait)
        return key

    def check(self, secret: str | None, scope: Scope | None, now: float) -> None:
        """Refuse who would not be let in, before there is a request: nothing is taken from a rate.

        Args:
            secret: what :func:`secret_of` found.
            scope: that will be needed; None: any known key will do.
            now: as of :meth:`admit`.

        Raises:
            Unauthenticated: no key, or one that is not known.
            PermissionDenied: the key lacks the scope.
        """
        if self._path is None:
            return
        key, _ = self._holder(secret, now)
        if scope is not None and scope not in key.scopes:
            raise _lacks(key, scope)

    def _holder(self, secret: str | None, now: float) -> _Known:
        # Looked up by the hash: how long that takes may tell of the hash, and that leads to no key. Compared whole.
        digest = digest_of(secret[:LONGEST_SECRET] if secret else "")
        known = self._found(digest, now)
        if not secret or len(secret) > LONGEST_SECRET or not known or not hmac.compare_digest(known.key.digest, digest):
            raise _stranger(secret)
        return known

    def _found(self, digest: bytes, now: float) -> _Known | None:
        """The key of a hash, as the file has it now."""
        if now >= self._next_look:
            self._look(now)
        return self._known.get(digest)

    def refresh(self) -> None:
        """Read the file again if it changed. What is wrong with it is logged, and the keys stay what they were."""
        path = self._path
        if path is None:
            return
        with self._turn:
            if identity_of(path) == self._seen:
                return
            try:
                changed = self._take(path)
            except StaytrueError as error:
                if str(error) != self._fault:
                    self._fault = str(error)
                    log.error("the keys stay what they were: %s", error)  # noqa: TRY400 - it says all there is
                return
            if changed:
                log.info("%d keys read again from %s", len(self._known), path)

    def _look(self, now: float) -> None:
        """Have the file read if it changed, by a thread: requests wait for it where there is none alone."""
        path, reader = self._path, self._reader
        self._next_look = now + LOOK_SECONDS
        if path is None or (reader is not None and reader.is_alive()) or identity_of(path) == self._seen:
            return
        reader = threading.Thread(target=self.refresh, name="keys", daemon=True)
        try:
            reader.start()
        except RuntimeError:  # no thread is left, or the process ends: neither fails the request, nor keeps a lost key
            self.refresh()
            return
        self._reader = reader

    def _take(self, path: Path) -> bool:
        """Take the file's keys; whether they are others than before."""
        # Before and not after reading: a change in between is then seen the next time.
        identity = identity_of(path)
        seen = identity if settled(identity) else None
        text = text_of(path)  # where it cannot be read it is not seen either: the next look tries again
        if text == self._text:
            self._seen, self._fault = seen, ""
            return False
        try:
            keys = parse(path, text)
        except StaytrueError:
            self._seen = seen
            raise
        known = {}
        for key in keys:
            before = self._known.get(key.digest)
            kept = before.bucket if before and before.key.limit == key.limit else None
            known[key.digest] = _Known(key, kept or (Bucket(key.limit) if key.limit else None))
        if not known:
            log.warning("%s holds no key: nobody can ask for predictions", path)
        self._known = known  # in one step: requests see the old ones or the new ones
        self._seen, self._text, self._fault = seen, text, ""
        return True


def secret_of(authorization: str | None, x_api_key: str | None) -> str | None:
    """The key in a request's headers: None where there is no such header, empty where one holds no key.

    ``X-Api-Key`` goes first: where a proxy before us takes ``Authorization`` for itself, it is the one meant for us.

    >>> secret_of("Bearer st_abc", None), secret_of(None, "st_abc")
    ('st_abc', 'st_abc')
    >>> secret_of("Basic dXNlcg==", None), secret_of(None, None)
    ('', None)

    Source: RFC 6750, 2.1; the scheme's case does not matter (RFC 9110, 11.1).
    """
    if x_api_key and (key := x_api_key.strip()):
        return key
    if authorization is None:
        return None if x_api_key is None else ""
    said = authorization.strip()
    return said[len(_BEARER) :].strip() if said[: len(_BEARER)].lower() == _BEARER else ""


def key_or_insecure(host: str, *, keys: Path | None, insecure: bool) -> None:
    """Refuse an address that others can reach and everybody may use.

    Raises:
        InvalidConfig: it is not loopback, there are no keys, and nobody said ``insecure``.
    """
    if insecure or keys is not None or loopback(host):
        return
    hint = "`staytrue keys new` makes keys; or set insecure: true only where nothing untrusted can reach the port"
    raise InvalidConfig(f"host {host}", expected="a loopback address such as 127.0.0.1, or keys", got=host, hint=hint)


def _stranger(secret: str | None) -> Unauthenticated:
    """Why somebody is not let in, without a word of what was sent."""
    got = "nothing" if secret is None else "a key that is not known here" if secret else "a header without a key"
    return Unauthenticated(_WHERE, expected="Bearer KEY", got=got, hint="or send X-Api-Key: KEY")


def _lacks(key: Key, scope: Scope) -> PermissionDenied:
    has = ", ".join(sorted(key.scopes))
    return PermissionDenied(f'key "{key.name}"', expected=f"scope {scope}", got=has, hint="use another key")
