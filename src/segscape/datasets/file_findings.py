"""What can be wrong with files: damage, sizes, duplicates."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segscape.datasets.file_facts import Facts
from segscape.datasets.findings import Finding, Severity
from segscape.datasets.paired_files import size_problem
from segscape.datasets.pairing import SHOWN

TINY = 32
# Thumbs of one picture saved twice differ by less than this many grey levels, everywhere and on
# average: JPEG at half the size moves a cell by up to 4, and the mean by half a level.
_ALIKE, _ALIKE_ON_AVERAGE = 6.0, 1.0
_PLAIN = 12.0
_COMPARISONS = 4_000_000


def unreadable(facts: Sequence[Facts]) -> list[Finding]:
    """Group files that cannot be read by the reason."""
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in facts:
        for what, path, error in (
            ("image", one.pair.image, one.image.error),
            ("mask", one.pair.mask, one.mask.error),
        ):
            if error is not None:
                reason = error.removeprefix(f"{path}: ")
                # Numbers of pixels differ from file to file where the trouble is the same.
                kind = reason.split(":", maxsplit=1)[0].split("(", maxsplit=1)[0].strip()
                reasons[what, kind].append(error)
    findings: list[Finding] = []
    for (what, kind), errors in reasons.items():
        names = tuple(error.split(": ", maxsplit=1)[0] for error in errors)
        detail, _, cure = errors[0].removeprefix(f"{names[0]}: ").rpartition(": ")
        number = f"1 {what}" if len(errors) == 1 else f"{len(errors)} {what}s"
        findings.append(
            Finding(
                Severity.ERROR,
                f"unreadable {what}s",
                f"{number}: {detail or kind}",
                cure or "fetch or export it again",
                names[:SHOWN],
            )
        )
    return findings


def sizes(facts: Sequence[Facts]) -> list[Finding]:
    """Compare the sizes of images and masks, and look for tiny images."""
    findings: list[Finding] = []
    differing = [
        (one, one.image.size, one.mask.size)
        for one in facts
        if one.image.size and one.mask.size and one.image.size != one.mask.size
    ]
    if differing:
        one, image, mask = differing[0]
        what, _, cure = size_problem(one.pair, image, mask).rpartition(": ")
        findings.append(
            Finding(
                Severity.ERROR,
                "size mismatch",
                f"{len(differing)} of {len(facts)} masks differ in size from their images: {what}",
                cure,
                tuple(str(one.pair.mask) for one, _, _ in differing[:SHOWN]),
            )
        )
    tiny = [one for one in facts if one.image.size and min(one.image.size) < TINY]
    if tiny:
        smallest = min((one.image.size for one in tiny if one.image.size), key=min)
        findings.append(
            Finding(
                Severity.WARNING,
                "tiny images",
                f"{len(tiny)} of {len(facts)} images have a side below {TINY} pixels, the smallest "
                f"is {smallest.height} x {smallest.width}: deep networks see such images as one "
                "point",
                "check that these are not thumbnails; enlarge them or choose a shallow network",
                tuple(str(one.pair.image) for one in tiny[:SHOWN]),
            )
        )
    return findings


def duplicates(facts: Sequence[Facts]) -> list[Finding]:
    """Look for one picture under several names, in one split or in two."""
    groups: dict[bytes, dict[tuple[str, Path], Facts]] = defaultdict(dict)
    for one in facts:
        if one.image.digest:
            groups[one.image.digest][one.split, one.pair.image] = one
    shared = [list(group.values()) for group in groups.values() if len(group) > 1]
    across = [group for group in shared if len({one.split for one in group}) > 1]
    within = [group for group in shared if len({one.split for one in group}) == 1]
    findings: list[Finding] = []
    if across:
        findings.append(
            Finding(
                Severity.ERROR,
                "duplicates across splits",
                f"{_pictures(len(across))} stand{'s' * (len(across) == 1)} in two splits, so that "
                "the judgement is of pictures seen in training",
                "delete them from one of the splits",
                tuple(_names(group) for group in across[:SHOWN]),
            )
        )
    if within:
        findings.append(
            Finding(
                Severity.WARNING,
                "duplicates",
                f"{_pictures(len(within))} stand{'s' * (len(within) == 1)} under several names in "
                "one split",
                "delete all but one; where their masks differ, find out which is right",
                tuple(_names(group) for group in within[:SHOWN]),
            )
        )
    known = {str(one.pair.image) for group in shared for one in group}
    return findings + _lookalikes([one for one in facts if str(one.pair.image) not in known])


def _lookalikes(facts: Sequence[Facts]) -> list[Finding]:
    """Pictures of two splits that differ by no more than compression or scaling does."""
    splits: dict[str, list[tuple[Facts, np.ndarray]]] = defaultdict(list)
    for one in facts:
        # Pictures with hardly any contrast are alike without being the same.
        if one.image.thumb is not None and one.image.thumb.std() > _PLAIN:
            splits[one.split].append((one, one.image.thumb.ravel()))
    names = list(splits)
    found: list[str] = []
    for position, name in enumerate(names):
        for other in names[position + 1 :]:
            if len(splits[name]) * len(splits[other]) > _COMPARISONS:
                continue
            thumbs = np.stack([thumb for _, thumb in splits[other]])
            for one, thumb in splits[name]:
                apart = np.abs(thumbs - thumb)
                alike = (apart.max(1) < _ALIKE) & (apart.mean(1) < _ALIKE_ON_AVERAGE)
                near = np.flatnonzero(alike)
                twins = [splits[other][i][0] for i in near]
                found += [
                    _names([one, twin]) for twin in twins if twin.pair.image != one.pair.image
                ]
    if not found:
        return []
    return [
        Finding(
            Severity.WARNING,
            "look-alikes across splits",
            f"{len(found)} pairs of pictures of two splits look the same, as after scaling or "
            "compression",
            "look at them, and delete those that are the same from one of the splits",
            tuple(found[:SHOWN]),
        )
    ]


def _pictures(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"


def _names(group: Sequence[Facts]) -> str:
    return " = ".join(f"{one.split}:{one.pair.image.name}" for one in group[:SHOWN])
