"""What can be wrong with labels: ids, void, missing and rare classes."""

from collections import Counter
from collections.abc import Sequence

from segscape.datasets.file_facts import Facts
from segscape.datasets.findings import Finding, Severity
from segscape.datasets.pairing import SHOWN
from segscape.io.label_coding import LabelCoding
from segscape.structures.taxonomy import IGNORE_ID

_LISTED = 8
# More unknown ids than a person draws by hand: blended edges.
_MANY = 16
_RARE = 100.0


def ids(facts: Sequence[Facts], coding: LabelCoding) -> list[Finding]:
    """Judge the ids of all masks together: only then is it plain what they are."""
    used: Counter[int] = Counter()
    for one in facts:
        used.update(one.mask.ids)
    if not used:
        return []
    names, count = coding.taxonomy.names, len(coding.taxonomy)
    is_plain = coding.file_ids == tuple(range(count))
    if set(used) == {0, IGNORE_ID} and IGNORE_ID not in coding.file_ids and count > 1:
        return [
            Finding(
                Severity.ERROR,
                "black-and-white masks",
                f"the masks hold only 0 and 255: white is read as void, so '{names[1]}' never "
                f"occurs and {_percent(used[IGNORE_ID], used)} of the pixels are not learned",
                f"give '{names[1]}' the id 255 in classes.yaml (categories: name, id), or remove "
                "the file of classes: background and foreground are then recognised",
                _where(facts, {IGNORE_ID}),
            )
        ]
    if is_plain and 0 not in used and count in used:
        return [
            Finding(
                Severity.ERROR,
                "off by one",
                f"the ids run from {min(used)} to {max(set(used) - {IGNORE_ID})}: 0 "
                f"('{names[0]}') never occurs, and {count} is one beyond the last of the {count} "
                "classes, so that every pixel would be learned as its neighbour in the list",
                f"give the classes the ids 1..{count} in classes.yaml (categories: name, id), or "
                "name what 0 stands for in the first line",
                _where(facts, {count}),
            )
        ]
    findings: list[Finding] = []
    if (
        is_plain
        and count in used
        and count in coding.ignored_ids
        and count != coding.taxonomy.ignore_id
    ):
        findings.append(
            Finding(
                Severity.NOTE,
                "void",
                f"id {count}, the one after the last class, is read as void: "
                f"{_percent(used[count], used)} of the pixels",
                f"if {count} is a class, add its name to the classes",
            )
        )
    unknown = set(used) - set(coding.file_ids) - coding.all_ignored
    if unknown:
        findings.append(_unknown(facts, coding, used, unknown))
    return findings


def _unknown(
    facts: Sequence[Facts], coding: LabelCoding, used: Counter[int], unknown: set[int]
) -> Finding:
    common = sorted(unknown, key=lambda value: -used[value])
    listed = ", ".join(f"{value} ({used[value]:,} px)" for value in common[:_LISTED])
    more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
    images = sum(1 for one in facts if unknown & set(one.mask.ids))
    if len(unknown) >= _MANY:
        return Finding(
            Severity.ERROR,
            "blended masks",
            f"{images} of {len(facts)} masks hold {len(unknown)} ids without a class: {listed}"
            f"{more}: they are blended by anti-aliasing, scaling or lossy compression, or count "
            "objects",
            "export the masks as PNG without smoothing, and scale them by nearest neighbour",
            _where(facts, unknown),
        )
    numbers = "/".join(map(str, common[:_LISTED]))
    return Finding(
        Severity.ERROR,
        "unknown ids",
        f"{images} of {len(facts)} masks hold ids without a class: {listed}{more}; the "
        f"{len(coding.taxonomy)} classes have ids {min(coding.file_ids)} to {max(coding.file_ids)}",
        f"add {numbers} to the classes, or ignore them: --ignore {common[0]} "
        f"(data.ignore=[{common[0]}] in training)",
        _where(facts, unknown),
    )


def void(facts: Sequence[Facts]) -> list[Finding]:
    """Look for images from which nothing can be learned."""
    read = [one for one in facts if one.mask.error is None]
    empty = [one for one in read if not any(one.mask.counts)]
    if not empty:
        return []
    labelled = {one.split for one in read if any(one.mask.counts)}
    lost = [split for split in dict.fromkeys(one.split for one in read) if split not in labelled]
    # A test split is often published without its labels.
    lost = [split for split in lost if split != "test" or not labelled]
    where = f", none in {' and '.join(lost)} does: nothing to learn or to judge" if lost else ""
    return [
        Finding(
            Severity.ERROR if lost else Severity.WARNING,
            "all void",
            f"{len(empty)} of {len(read)} masks hold no class at all{where}",
            "check the ids of the classes" if lost else "label these images or move them away",
            tuple(str(one.pair.mask) for one in empty[:SHOWN]),
        )
    ]


def classes(facts: Sequence[Facts], coding: LabelCoding) -> list[Finding]:
    """Look for classes that no split, or not every split, holds, and for rare ones."""
    names = coding.taxonomy.names
    totals: dict[str, list[int]] = {}
    for one in facts:
        total = totals.setdefault(one.split, [0] * len(names))
        for index, pixels in enumerate(one.mask.counts):
            total[index] += pixels
    overall = [sum(column) for column in zip(*totals.values(), strict=True)]
    if not any(overall):
        return []
    present = [names[i] for i, pixels in enumerate(overall) if pixels]
    absent = [names[i] for i, pixels in enumerate(overall) if not pixels]
    findings: list[Finding] = []
    if len(present) == 1:
        findings.append(
            Finding(
                Severity.ERROR,
                "one class only",
                f"'{present[0]}' is the only class that occurs: there is nothing to tell apart",
                "check the ids of the classes, or label more",
            )
        )
    if absent:
        findings.append(
            Finding(
                Severity.WARNING,
                "absent classes",
                f"{len(absent)} of {len(names)} classes never occur: {', '.join(absent[:_LISTED])}",
                "take them out of the classes, or check their ids; they are left out of averages",
                tuple(absent[:_LISTED]),
            )
        )
    for split, total in totals.items():
        lacking = [names[i] for i, n in enumerate(total) if not n and names[i] in present]
        if lacking:
            why = "they cannot be learned" if split == "train" else "they are not judged there"
            findings.append(
                Finding(
                    Severity.WARNING,
                    f"classes absent from {split}",
                    f"{len(lacking)} classes occur, but not in {split}: "
                    f"{', '.join(lacking[:_LISTED])}: {why}",
                    "divide the images anew, so that each class is in every split",
                    tuple(lacking[:_LISTED]),
                )
            )
    return findings + _imbalance(names, overall)


def _imbalance(names: Sequence[str], overall: Sequence[int]) -> list[Finding]:
    found = [(pixels, names[i]) for i, pixels in enumerate(overall) if pixels]
    (few, rare), (many, common) = min(found), max(found)
    if many < _RARE * few:
        return []
    return [
        Finding(
            Severity.NOTE,
            "imbalance",
            f"'{rare}' has {many / few:,.0f} times fewer pixels than '{common}' "
            f"({100 * few / sum(overall):.2g} % of all)",
            "weigh the classes in the loss, see the weights below",
        )
    ]


def _percent(pixels: int, used: Counter[int]) -> str:
    return f"{100 * pixels / used.total():.1f} %"


def _where(facts: Sequence[Facts], values: set[int]) -> tuple[str, ...]:
    """The masks with most of these ids."""
    amount = [(sum(one.mask.ids.get(v, 0) for v in values), str(one.pair.mask)) for one in facts]
    return tuple(name for pixels, name in sorted(amount, key=_most)[:SHOWN] if pixels)


def _most(item: tuple[int, str]) -> tuple[int, str]:
    return -item[0], item[1]
