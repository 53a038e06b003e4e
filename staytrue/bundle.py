"""The bundle: a proven, self-contained, immutable version of a model, and the check that it still is one.

On disk ``STORE/NAME/VERSION/``: ``bundle.json`` (this record), the artefacts, ``profile.json``, ``MODEL_CARD.md`` and
``bundle.sha256``, the digest of ``bundle.json``, written last.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec

from staytrue import signing
from staytrue.errors import CorruptData
from staytrue.lineage import Lineage
from staytrue.profile import ReferenceProfile
from staytrue.proof import again, unmeasured, unproven
from staytrue.records import Record, from_json, read
from staytrue.signature import Signature

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "bundle.json"
SEAL = "bundle.sha256"
PROFILE = "profile.json"
CARD = "MODEL_CARD.md"
SETTINGS = "settings.yaml"
"""What the version was made by; not in those from before there was any."""

Format = Literal["onnx", "torchscript", "mar", "pt2", "ort", "int8_dynamic", "int8_static", "fp16"]
REDUCED: tuple[Format, ...] = ("int8_dynamic", "int8_static", "fp16")
"""Of fewer bits: such an artefact is not the model itself to the last digits, and what that costs is measured."""
_OTHERS = "another version of staytrue made it: export or import it again"
REQUIRED_BATCHES = (1, 2, 7)
"""Parity is proven at these batch sizes and at the maximum."""
TaskName = Literal["regression", "classification", "multilabel", "generation"]
"""What a model is for."""


class FileDigest(Record, frozen=True, kw_only=True):
    """What one file of the bundle must be."""

    sha256: str
    bytes: int


class Parity(Record, frozen=True, kw_only=True):
    """Proof that an artefact gives the eager model's outputs, at one batch size."""

    format: Format
    runtime: str
    """What ran it, with its version: ``onnxruntime 1.32.0 CPU``."""
    artefact_sha256: str
    """Binds the proof to the bytes it was made on."""
    batch: int
    rows: int
    max_abs_error: float
    max_rel_error: float
    absolute_tolerance: float
    relative_tolerance: float
    passed: bool
    against: str = ""
    """What gave the outputs that it was compared with; empty: the module that was exported, in eager PyTorch."""
    rows_sha256: str = ""
    """Of the rows that ran, as they were sent; proofs from before it was written down have none."""
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    """Of the packages that made and ran it."""
    arrangement: str = ""
    """How the rows stood, where it was another order or company than that of their own batch."""
    shapes: dict[str, list[int]] = msgspec.field(default_factory=dict)
    """Of the inputs, where free axes beside that of the rows had other sizes than those of real rows."""
    made: str = ""
    """How the artefact was made, where there are several ways: traced, scripted, with so many bits."""
    axes: dict[str, list[int]] = msgspec.field(default_factory=dict)
    """Which axes of them those were."""
    edge_rows: int = 0
    """How many of the rows were at the edges of what callers may send."""
    edge_rows_left_out: int = 0
    """And how many more there would be, which the model itself refuses or answers by no number."""
    share: float | None = None
    """The largest error of all as a share of what was allowed of that number; older proofs and means have none."""
    by_mean: bool = False
    """Whether errors and absolute tolerance are distances of rows, and it is that of their mean, as of fewer bits."""


class Metric(Record, frozen=True, kw_only=True):
    """A metric with its bootstrap interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95
    note: str = ""
    """What to know of the value or its interval; nothing of most."""
    bare: bool = False
    """Without an interval: low and high are the value; in older records the note alone says it."""


class Fidelity(Record, frozen=True, kw_only=True):
    """What an artefact costs: its size, and its answers to validation rows beside those of the module."""

    format: Format
    artefact_sha256: str
    bytes: int
    rows: int
    rows_sha256: str
    apart: float
    """Mean distance of a row's answer: in the target's deviations, of classes total variation (see docs/export.md)."""
    far: float = 0.0
    """What 19 of 20 rows stay within."""
    differing: float | None = None
    """Share of decisions that are others; nothing where it decides nothing."""
    metric: str = ""
    """``accuracy`` or ``mae``, and ``own`` the module's; empty where no truth of the rows is kept."""
    own: float = 0.0
    in_sample: bool = False
    """Whether something in the module was fitted on these very rows, which flatters its metric."""
    change: Metric | None = None
    """The artefact's minus the module's, paired row by row."""
    made: str = ""
    bounds: dict[str, float] = msgspec.field(default_factory=dict)
    """Of an artefact of fewer bits what it was allowed, and ``made`` what was done to it."""
    passed: bool


class Bundle(Record, frozen=True, kw_only=True):
    """The manifest of one version."""

    schema: int = 1
    name: str
    version: str
    created: str
    task: TaskName
    target: str
    """The column, or all of them for people where there are several."""
    targets: list[str] = msgspec.field(default_factory=list)
    """All columns where there are several."""
    signature: Signature
    classes: list[str] = msgspec.field(default_factory=list)
    max_batch: int
    artefacts: dict[Format, str]
    """File of each format, relative to the bundle."""
    files: dict[str, FileDigest]
    parity: list[Parity]
    evaluation: dict[str, dict[str, Metric]]
    """Metrics by split."""
    lineage: Lineage
    fidelity: list[Fidelity] = msgspec.field(default_factory=list)
    """A record an artefact; none of versions from before it was measured."""


def digest(path: Path) -> FileDigest:
    """SHA-256 and size of a file."""
    with path.open("rb") as file:
        return FileDigest(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=path.stat().st_size)


def seal(folder: Path) -> None:
    """Write the digest of the manifest: the last step of making a bundle."""
    (folder / SEAL).write_text(digest(folder / MANIFEST).sha256 + "\n", encoding="ascii")


def sign(folder: Path, key: Path) -> None:
    """Write the signature of a sealed bundle; one that is there already is replaced.

    Raises:
        InvalidConfig: the file holds no key to sign with, or ``cryptography`` is not installed.
    """
    signing.sign(folder, digest(folder / MANIFEST).sha256, key)


def proven_batches(max_batch: int) -> list[int]:
    """Batch sizes at which each artefact of such a bundle has to be proven, smallest first.

    >>> proven_batches(32), proven_batches(5)
    ([1, 2, 7, 32], [1, 2, 5])
    """
    return sorted({min(size, max_batch) for size in (*REQUIRED_BATCHES, max_batch)})


def load(folder: Path, trusted_keys: Path | None = None) -> Bundle:
    """Read a bundle after checking every byte and every proof of it, and who signed it where keys are given.

    Raises:
        CorruptData: a file is missing, changed or outside, an artefact stands without its proof, or the signature is of
            none of the keys; names the file.
        InvalidConfig: the file of trusted keys cannot be used.
    """
    bundle, manifest = _sealed(folder, trusted_keys), str(folder / MANIFEST)
    if bundle.max_batch < 1:
        raise CorruptData(manifest, "max_batch", expected="at least 1", got=str(bundle.max_batch))
    if not bundle.artefacts:
        raise CorruptData(manifest, "holds no artefact", hint=again(bundle.lineage))
    named = [spec.tokenizer for spec in bundle.signature.inputs if spec.tokenizer]
    for name in [*bundle.files, *named]:
        _check_file(folder, bundle, name)
    for kind in bundle.artefacts:
        check_proof(bundle, kind, manifest)
    return bundle


def check_proof(bundle: Bundle, kind: Format, where: str) -> None:
    """Refuse an artefact whose outputs were never shown to match, in each way that is required.

    Raises:
        CorruptData: no proof, a failed one, or one made on other bytes.
    """
    file = bundle.artefacts[kind]
    entry = bundle.files.get(file)
    if entry is None:
        raise CorruptData(where, f'artefact "{file}" has no digest')
    proofs = [p for p in bundle.parity if p.format == kind and p.artefact_sha256 == entry.sha256 and p.passed]
    if missing := unproven(bundle.signature, proven_batches(bundle.max_batch), proofs):
        hint = f"an unproven model is never served: {again(bundle.lineage)}"
        raise CorruptData(where, f'artefact "{file}" has no passed parity proof {", ".join(missing)}', hint=hint)
    costs = [f for f in bundle.fidelity if f.format == kind and f.artefact_sha256 == entry.sha256]
    if kind in REDUCED and (missing_cost := unmeasured(costs)):
        hint = f"an artefact of fewer bits is never served unmeasured: {again(bundle.lineage)}"
        raise CorruptData(where, f'artefact "{file}" {missing_cost}', hint=hint)


def load_profile(folder: Path) -> ReferenceProfile:
    """The reference profile of a bundle.

    Raises:
        CorruptData: the bundle names none, or it was changed.
    """
    _check_file(folder, _sealed(folder), PROFILE)
    return read(ReferenceProfile, folder / PROFILE)


def _sealed(folder: Path, trusted_keys: Path | None = None) -> Bundle:
    """The manifest, if it is the one that was sealed, and signed by one of the keys where they are given."""
    manifest = folder / MANIFEST
    try:
        sealed, data = (folder / SEAL).read_bytes(), manifest.read_bytes()
    except OSError as error:
        raise CorruptData(str(error.filename), f"cannot be read: {error.strerror}", hint="publish it again") from error
    found = hashlib.sha256(data).hexdigest()
    if sealed != f"{found}\n".encode():
        raise CorruptData(
            str(manifest),
            f"is not what its seal {SEAL} says: one of the two was changed",
            expected=f"SHA-256 {sealed[:16].decode('ascii', 'backslashreplace')}…",
            got=f"{found[:16]}…",
            hint="export the version again",
        )
    try:
        bundle = from_json(Bundle, data, str(manifest))
    except CorruptData as error:  # these are the bytes that were sealed
        said = {name: getattr(error, name) for name in ("where", "problem", "expected", "got")}
        raise CorruptData(**said, hint=error.hint or _OTHERS) from error
    if trusted_keys is not None:
        signing.check(folder, found, trusted_keys)
    return bundle


def _check_file(folder: Path, bundle: Bundle, name: str) -> None:
    path, manifest = folder / name, str(folder / MANIFEST)
    expected = bundle.files.get(name)
    if expected is None:
        raise CorruptData(manifest, f'names no file "{name}"', hint=again(bundle.lineage))
    try:
        if not path.resolve().is_relative_to(folder.resolve()):  # "..", an absolute path, a link that leads away
            raise CorruptData(manifest, f"names a file outside the bundle: {name}")
        found = digest(path)
    except FileNotFoundError as error:
        raise CorruptData(str(path), "is named by the bundle and missing", hint=again(bundle.lineage)) from error
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself; a name that no file can have
        raise CorruptData(str(path), f"is named by the bundle and cannot be read: {error}") from error
    if found.sha256 != expected.sha256:
        hint = f"the file was changed after it was proven: {again(bundle.lineage)}"
        told, got = f"SHA-256 {expected.sha256[:16]}…", f"{found.sha256[:16]}…"
        raise CorruptData(str(path), expected=told, got=got, hint=hint)
