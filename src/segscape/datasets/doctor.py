"""The data doctor: examine a data set before hours are spent on it.

What it looks for is what people report when training goes wrong: ids that mean nothing or something
else, pairs that do not match, files that cannot be read, classes that never occur, and pictures
that stand in two splits.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from segscape.datasets import file_findings, label_findings
from segscape.datasets.file_facts import Facts, drawn_facts, read_facts
from segscape.datasets.findings import Finding as Finding
from segscape.datasets.findings import Severity as Severity
from segscape.datasets.given_classes import Classes
from segscape.datasets.layouts import is_synthetic, place_of, split_names
from segscape.datasets.pairing import Pair
from segscape.datasets.synthetic_spec import open_synthetic
from segscape.io.label_coding import LabelCoding
from segscape.ops.class_weights import RULES, class_weights
from segscape.structures import DatasetError, Size, Taxonomy

# Lists that repeat other splits.
_SUMS = ("all", "trainval")


@dataclass(frozen=True)
class SplitSummary:
    """One split in numbers.

    Args:
        name: of the split.
        images: how many pairs.
        smallest, largest: image sizes by area; None when no image can be read.
        counts: pixels of each category.
        image_counts: pixels, void ones too, of the images that contain the category.
        images_with: how many images contain the category.
        void: ignored pixels.
    """

    name: str
    images: int
    smallest: Size | None
    largest: Size | None
    counts: tuple[int, ...]
    image_counts: tuple[int, ...]
    images_with: tuple[int, ...]
    void: int


@dataclass(frozen=True)
class Diagnosis:
    """All that was found in a data set.

    Args:
        source: the data set as named.
        taxonomy: what the ids mean.
        splits: in numbers.
        findings: the worst first.
        weights: class weights of each balancing rule, over the first split (train).
        mean, std: of red, green, blue in 0..1 over the first split; None after a quick look.
    """

    source: str
    taxonomy: Taxonomy
    splits: tuple[SplitSummary, ...]
    findings: tuple[Finding, ...]
    weights: dict[str, tuple[float, ...]]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings with which training would go wrong."""
        return tuple(one for one in self.findings if one.severity is Severity.ERROR)

    @property
    def is_healthy(self) -> bool:
        """Whether training can start."""
        return not self.errors

    def refuse_errors(self) -> None:
        """Stop when training would go wrong.

        Raises:
            DatasetError: for the first error, with its cure.
        """
        if self.errors:
            first = self.errors[0]
            where = f" (as in {first.examples[0]})" if first.examples else ""
            more = len(self.errors) - 1
            rest = f"; and {more} more: run `segscape check {self.source}`" if more else ""
            raise DatasetError(f"{self.source}: {first.what}{where}: {first.cure}{rest}")

    def to_mapping(self) -> dict[str, object]:
        """The diagnosis in numbers, texts and lists, for JSON."""
        return {
            "data": self.source,
            "healthy": self.is_healthy,
            "classes": list(self.taxonomy.names),
            "splits": [asdict(split) for split in self.splits],
            "findings": [asdict(finding) for finding in self.findings],
            "class_weights": {rule: list(values) for rule, values in self.weights.items()},
            "mean": self.mean,
            "std": self.std,
        }


def examine(
    spec: str,
    *,
    splits: Sequence[str] = (),
    classes: Classes = None,
    ignore: Sequence[int] = (),
    quick: bool = False,
) -> Diagnosis:
    """Examine a data set.

    Args:
        spec: as for `open_dataset`.
        splits: the splits to read; all of them when none is named.
        classes: a file of classes, or the same inline.
        ignore: ids in the masks that mean void.
        quick: read only pairs, sizes and the masks' ids, not the images' pixels.

    Raises:
        DatasetError: when the data set cannot be found, has no pairs at all, or its classes are
            unclear.
        MaskFileError: when classes have to be inferred and a mask cannot be read.
    """
    names = list(splits) or [name for name in split_names(spec) if name not in _SUMS]
    # Train first: its weights and statistics are those that count.
    names.sort(key=lambda name: name.split("@")[0] != "train")
    if is_synthetic(spec):
        drawn = {name: open_synthetic(spec.partition(":")[2], name) for name in names}
        facts = [one for name, dataset in drawn.items() for one in drawn_facts(name, dataset)]
        coding, findings = LabelCoding.plain(drawn[names[0]].taxonomy), list[Finding]()
    else:
        pairs, findings = _list(spec, names, asked=bool(splits))
        place = place_of(spec)
        coding = place.layout.coding_of(place.root, pairs[0][0], classes, ignore)
        facts = read_facts(pairs, coding, quick=quick)
    findings += [] if splits else _missing_splits(names)
    findings += file_findings.unreadable(facts)
    findings += file_findings.sizes(facts)
    findings += label_findings.ids(facts, coding)
    findings += label_findings.void(facts)
    findings += label_findings.classes(facts, coding)
    findings += file_findings.duplicates(facts)
    order = list(Severity)
    present = list(dict.fromkeys(one.split for one in facts))
    summaries = tuple(_summary(name, facts, len(coding.taxonomy)) for name in present)
    mean, std = _statistics([one for one in facts if one.split == present[0]])
    return Diagnosis(
        spec,
        coding.taxonomy,
        summaries,
        tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
        _weights(summaries[0]),
        mean,
        std,
    )


def _missing_splits(names: Sequence[str]) -> list[Finding]:
    """A training needs images to learn from and others to be judged on."""
    there = {name.split("@")[0] for name in names}
    return [
        Finding(
            Severity.ERROR,
            f"no split {needed}",
            f"a training learns from 'train' and is judged on 'val'; here is {', '.join(names)}",
            f"add it, or name another split: data.{needed}_split={names[0]}; to examine what is "
            f"there: --split {names[0]}",
        )
        for needed in ("train", "val")
        if needed not in there
    ]


def _list(
    spec: str, names: Sequence[str], *, asked: bool
) -> tuple[list[tuple[str, Pair]], list[Finding]]:
    """The pairs of all splits; what is wrong around them becomes findings."""
    place = place_of(spec)
    pairs: list[tuple[str, Pair]] = []
    findings: list[Finding] = []
    for name in names:
        try:
            listing = place.layout.list_files(place.root, name)
        except DatasetError as error:
            if asked or name in ("train", "val"):
                raise
            # A test split is often there without labels.
            findings.append(_from_line(Severity.NOTE, f"split {name} left out", str(error)))
            continue
        pairs += [(name, pair) for pair in listing.pairs]
        findings += [_from_line(Severity.ERROR, "pairs", line) for line in listing.problems]
    if not pairs:
        raise DatasetError(f"{place.root}: no split with pairs of image and mask: {names}")
    return pairs, findings


def _from_line(severity: Severity, subject: str, line: str) -> Finding:
    what, _, cure = line.rpartition(": ")
    return Finding(severity, subject, what, cure)


def _summary(name: str, facts: Sequence[Facts], count: int) -> SplitSummary:
    here = [one for one in facts if one.split == name]
    sizes = sorted(
        (one.image.size for one in here if one.image.size), key=lambda size: size[0] * size[1]
    )
    counts, images, with_it = [0] * count, [0] * count, [0] * count
    for one in here:
        known = sum(one.mask.counts) + one.mask.void
        for index, pixels in enumerate(one.mask.counts):
            counts[index] += pixels
            images[index] += known if pixels else 0
            with_it[index] += pixels > 0
    return SplitSummary(
        name,
        len(here),
        sizes[0] if sizes else None,
        sizes[-1] if sizes else None,
        tuple(counts),
        tuple(images),
        tuple(with_it),
        sum(one.mask.void for one in here),
    )


def _weights(summary: SplitSummary) -> dict[str, tuple[float, ...]]:
    counts = torch.tensor(summary.counts, dtype=torch.int64)
    images = torch.tensor(summary.image_counts, dtype=torch.int64)
    return {
        rule: tuple(class_weights(counts, rule, image_counts=images).tolist()) for rule in RULES
    }


def _statistics(
    facts: Sequence[Facts],
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    measured = [one.image for one in facts if one.image.size and one.image.sums]
    pixels = sum(image.size[0] * image.size[1] for image in measured if image.size)
    if not pixels:
        return None, None
    mean = [sum(image.sums[c] for image in measured) / pixels for c in range(3)]
    square = [sum(image.squares[c] for image in measured) / pixels for c in range(3)]
    std = [max(s - m * m, 0.0) ** 0.5 for m, s in zip(mean, square, strict=True)]
    return tuple(mean), tuple(std)
