"""Leakage: what parts of the data share although they should not: copies, near copies, groups, spans of time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from staytrue.errors import InvalidInput
from staytrue.records import utc
from staytrue.splitting import Leakage, Method
from training.data.clean.cleaning import is_missing
from training.data.keys import among, codes_of, keys_of
from training.data.split.coordinates import Coordinates
from training.data.split.dealing import groups_of
from training.data.split.naming import names_of
from training.data.split.nearness import nearness
from training.data.split.neighbours import explained, rare
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from staytrue.splitting import SplitSection
    from training.data.rows import Rows
    from training.data.split.plan import Part, Split
    from training.progress import Watch

MOST_TRAIN, MOST_HELD = 50_000, 10_000
"""Rows of each part, drawn, among which near duplicates are looked for."""
CHANCE = 0.001
"""A count that chance reaches less often than this is leakage."""
MATERIAL = 0.005
"""Share of a part's rows by which it must surpass chance: among very many rows any small excess is past doubt."""
FEW = 3
"""Near copies that are taken for chance, whatever the density says: it is an extrapolation.

Not so of pictures and sequences, whose many numbers do not come near each other by an error of it.
"""
Verdict = Literal["none", "by chance", "leakage", "let through"]
_SAID: dict[str, str] = {
    "duplicates": "have the features of a {} row",
    "near_duplicates": "nearly have the features of a {} row",
    "groups": "are of a group that {} rows are of too",
    "time": "are not later than the newest {} row",
}


_TOGETHER: dict[Method, str] = {
    "blocks": "they are of several blocks: split.method grouped, by a column that is alike in all of them",
    "grouped": "they are of several groups: a split.group that is alike in all of them",
}
"""What methods do not keep together that keep something together."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked for in two parts, and how many rows of the later one were found."""

    kind: Leakage
    part: str
    other: str
    rows: int
    of: int
    """Rows of ``part`` that were looked at."""
    expected: float
    """Rows that chance explains."""
    verdict: Verdict
    example: str = ""

    def sentence(self) -> str:
        """For people.

        >>> Finding(kind="groups", part="test", other="train", rows=3, of=9, expected=0, verdict="leakage").sentence()
        '3 of 9 test rows are of a group that train rows are of too'
        """
        told = f"{self.rows} of {self.of} {self.part} rows {_SAID[self.kind].format(self.other)}"
        chance = f", where chance explains {self.expected:.3g}" if self.expected >= 0.05 else ""
        return told + chance + (f" ({self.example})" if self.example else "")


class Pair(NamedTuple):
    """Two parts by the rows' indices, the other one nearer to training."""

    part: str
    other: str
    held: NDArray[np.int64]
    others: NDArray[np.int64]


class _Shared(NamedTuple):
    """Which rows the later part shares, how many chance explains, and whether that are too few."""

    pair: Pair
    shared: NDArray[np.bool_]
    expected: float
    leaks: bool


def find(
    rows: Rows, plan: Split, settings: SplitSection, features: Mapping[str, Feature], watch: Watch = unwatched
) -> list[Finding]:
    """Look for all leakage that the method of the split can have, in each two parts."""
    order: tuple[Part, ...] = ("train", "validation", "test")
    index = {name: plan.index(name) for name in order}
    pairs = [Pair(part, other, index[part], index[other]) for other, part in itertools.combinations(order, 2)]
    with watch("duplicates"):
        keys = keys_of(rows.columns)
        found = list(duplicates(rows, keys, pairs, index["train"]))
    with watch("near duplicates", len(pairs)) as advance:
        for finding in _near(rows, keys, plan, pairs, settings, features):
            found.append(finding)
            advance(1)
    if settings.group is not None:
        found += _groups(rows, settings.group, pairs)
    if settings.method in {"time", "given"}:
        found += [_time(rows, pair) for pair in pairs]
    return [_let(finding, settings.allow) for finding in found]


def refuse(findings: Sequence[Finding], method: Method) -> list[str]:
    """A sentence for each leakage that a setting let through.

    Raises:
        InvalidInput: leakage that no setting lets through; says how many rows, and one of them.
    """
    leaks = [finding for finding in findings if finding.verdict == "leakage"]
    if leaks:
        kinds = ", ".join(dict.fromkeys(finding.kind for finding in leaks))
        together = _TOGETHER.get(method, "split.method grouped or blocks")
        hint = (
            f"drop them, or keep together what belongs together ({together}); "
            f"split.allow: [{kinds}] lets it through, and the model card will tell"
        )
        got = "; ".join(finding.sentence() for finding in leaks)
        raise InvalidInput("split", expected="parts that share no rows, groups or times", got=got, hint=hint)
    return [finding.sentence() for finding in findings if finding.verdict == "let through"]


def _let(finding: Finding, allow: Sequence[Leakage]) -> Finding:
    allowed = finding.verdict == "leakage" and finding.kind in allow
    return msgspec.structs.replace(finding, verdict="let through") if allowed else finding


def duplicates(
    rows: Rows, keys: NDArray[np.uint64], pairs: Sequence[Pair], train: NDArray[np.int64]
) -> Iterator[Finding]:
    """Rows whose features another part has too, target and time aside.

    Where columns are as good as names of their row (:func:`training.data.split.naming.names_of`), two rows are not
    alike by chance: each counts, but for a few whose truths differ where one column alone is such. Its numbers may meet
    once.
    Other rows may be: then there must be more than the other part's repeats of itself predict, by Fisher's exact test
    (one-sided), and more by a share that matters; or more than rows that differ in one column, since copies within the
    other part are no chance either.
    """
    from scipy import stats  # noqa: PLC0415 - it takes seconds to import

    naming = names_of(rows.take(train[:: -(-len(train) // MOST_TRAIN)]))
    codes = codes_of(keys)
    whole = codes_of(keys_of({**rows.columns, "": rows.target})) if naming else codes
    found, rarely = list[_Shared](), list[int]()
    for pair in pairs:
        there = np.bincount(codes[pair.others], minlength=len(codes))
        shared = there[codes[pair.held]] > 0
        count, size, base = int(shared.sum()), len(shared), len(pair.others)
        repeats = 0 if naming else int(there[there > 1].sum())
        chance = float(stats.hypergeom.sf(count - 1, base + size, repeats + count, size))
        expected = repeats / base * size
        leaks = chance < CHANCE and count - expected > MATERIAL * size
        if naming:
            copied = bool(np.isin(whole[pair.held], whole[pair.others]).any())
            leaks = copied or count > (0 if naming > 1 else FEW)
        found.append(_Shared(pair, shared, expected, leaks))
        rarely.append(0 if naming or leaks else int((shared & rare(codes, pair.held, pair.others)).sum()))
    sides = [(pair.held, pair.others) for pair in pairs]
    for one, most in zip(found, explained(rows, keys, sides, rarely, few=FEW, chance=CHANCE), strict=True):
        told = one if most is None else one._replace(expected=most, leaks=True)
        count, example = int(told.shared.sum()), _twins(rows, codes, told) if told.shared.any() else ""
        yield _finding("duplicates", told.pair, count, told.expected, leaks=told.leaks, example=example)


def _twins(rows: Rows, codes: NDArray[np.int64], found: _Shared) -> str:
    """Two rows that are alike, and which columns all rows of the other part lack that have copies.

    Gaps alone may make them alike.
    """
    pair = found.pair
    row = pair.held[np.argmax(found.shared)]
    other = pair.others[np.argmax(codes[pair.others] == codes[row])]
    held = np.zeros(len(codes), dtype=np.bool_)
    held[codes[pair.held][found.shared]] = True
    twins = pair.others[held[codes[pair.others]]]
    void = [name for name, column in rows.columns.items() if is_missing(column[twins]).all()]
    return _example(rows, row, other) + (f"; all of them lack {', '.join(void)}" if void else "")


def _near(
    rows: Rows,
    keys: NDArray[np.uint64],
    plan: Split,
    pairs: Sequence[Pair],
    settings: SplitSection,
    features: Mapping[str, Feature],
) -> Iterator[Finding]:
    """Rows that are no copies and yet within the distance of another part's row, against what density explains."""
    draw = np.random.default_rng(settings.seed)
    most: dict[Part, int] = {"train": MOST_TRAIN, "validation": MOST_HELD, "test": MOST_HELD}
    places = {name: _drawn(plan.parts[name], count, draw) for name, count in most.items()}
    index: dict[str, NDArray[np.int64]] = {name: plan.index(name)[place] for name, place in places.items()}
    train = plan.training(rows, places["train"])
    parts = (train, *(rows.take(index[name]) for name in ("validation", "test")))
    points = dict(zip(index, Coordinates(train, features, settings.near_distance).of(*parts), strict=True))
    for pair in pairs:
        no_copies = ~among(keys[index[pair.part]], keys[pair.others])
        drawn = pair._replace(held=index[pair.part][no_copies], others=index[pair.other])
        if no_copies.any():
            found = _nearly(rows, drawn, points[pair.part][no_copies], points[pair.other], draw)
            yield msgspec.structs.replace(found, of=len(no_copies))


def _nearly(
    rows: Rows,
    pair: Pair,
    points: NDArray[np.float64],
    others: NDArray[np.float64],
    draw: np.random.Generator,
) -> Finding:
    found = nearness(points, others, draw)
    close = np.flatnonzero(found.place >= 0)
    if not len(close):
        return _finding("near_duplicates", pair, 0, 0.0, leaks=False, example="")
    from scipy import stats  # noqa: PLC0415 - as above

    # Of twice the pairs, since the shells tell no more than roughly.
    likelihood = float(stats.poisson.sf(found.pairs - 1, 2 * found.expected_pairs))
    few = 0 if any(column.ndim > 2 for column in rows.columns.values()) else FEW
    return _finding(
        "near_duplicates",
        pair,
        len(close),
        found.expected_points,
        leaks=len(close) > few and likelihood < CHANCE,
        example=_example(rows, pair.held[close[0]], pair.others[found.place[close[0]]]),
    )


def _groups(rows: Rows, column: str, pairs: Sequence[Pair]) -> Iterator[Finding]:
    groups = groups_of(rows, column)
    for pair in pairs:
        shared = np.isin(groups[pair.held], groups[pair.others])
        count = int(shared.sum())
        group = rows.marks[column][pair.held[np.argmax(shared)]]
        several = len(np.unique(groups[pair.held][shared]))
        example = f'{column} "{group}"' + (f" and {several - 1} more" if several > 1 else "")
        yield _finding("groups", pair, count, 0.0, leaks=count > 0, example=example if count else "")


def _time(rows: Rows, pair: Pair) -> Finding:
    """Rows of the later part that are not newer than all of the other's."""
    newest = pair.others[np.argmax(rows.time[pair.others])]
    overlaps = rows.time[pair.held] <= rows.time[newest]
    count = int(overlaps.sum())
    example = _example(rows, pair.held[np.argmax(overlaps)], newest) if count else ""
    return _finding("time", pair, count, 0.0, leaks=count > 0, example=example)


def _finding(kind: Leakage, pair: Pair, count: int, expected: float, *, leaks: bool, example: str) -> Finding:
    verdict: Verdict = "leakage" if leaks else "by chance" if count else "none"
    return Finding(
        kind=kind,
        part=pair.part,
        other=pair.other,
        rows=count,
        of=len(pair.held),
        expected=expected,
        verdict=verdict,
        example=example,
    )


def _drawn(rows: Sequence[int] | NDArray[np.int64], most: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Places of all rows, or of so many drawn ones, in order."""
    if len(rows) <= most:
        return np.arange(len(rows))
    return np.sort(draw.choice(len(rows), most, replace=False))


def _example(rows: Rows, one: np.int64, another: np.int64) -> str:
    """Which rows, never what they hold: the test part stays sealed."""
    return " and ".join(f"row {int(row)} of {utc(float(rows.time[row]))}" for row in (one, another))
