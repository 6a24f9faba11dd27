"""What `segscape check` shows: splits, class shares with weights, findings, verdict."""

from collections.abc import Iterator, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segscape.datasets.doctor import Diagnosis, Finding, Severity, SplitSummary

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTE: "·"}
_WEIGHTS = {
    "inverse": "inverse",
    "median_frequency": "median",
    "enet": "enet",
    "effective_number": "effective",
}
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BAR = 16


def summary_lines(diagnosis: Diagnosis) -> Iterator[Text]:
    """The data set and its splits, one line each, then the statistics of the colours."""
    yield Text.assemble(
        (diagnosis.source, "bold"), f"  {len(diagnosis.taxonomy)} classes", overflow="fold"
    )
    for split in diagnosis.splits:
        known = sum(split.counts) + split.void
        void = f", {100 * split.void / known:.1f} % void" if split.void and known else ""
        images = "1 image" if split.images == 1 else f"{split.images} images"
        yield Text(f"  {split.name}: {images}, {_sizes(split)}{void}")
    if diagnosis.mean is not None and diagnosis.std is not None:
        mean = " ".join(f"{value:.3f}" for value in diagnosis.mean)
        std = " ".join(f"{value:.3f}" for value in diagnosis.std)
        yield Text(f"  colours of {diagnosis.splits[0].name}: mean {mean}, std {std}", style="dim")
    yield Text()


def class_table(diagnosis: Diagnosis, width: int = 100) -> Table:
    """Shares of the classes in each split as numbers and bars, and the weights of each rule.

    Below 100 columns the bars make room for the weights; below 80 the weights are left out.
    """
    first, *others = diagnosis.splits
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("id", justify="right", style="dim", no_wrap=True)
    # The one column that gives way where the terminal is narrow.
    table.add_column("class", overflow="ellipsis", max_width=18)
    table.add_column(f"{first.name} %", justify="right", no_wrap=True)
    if has_bars := not 80 <= width < 100:
        table.add_column("", width=_BAR, no_wrap=True)
    table.add_column("images", justify="right", no_wrap=True)
    for split in others[:2]:
        table.add_column(f"{split.name} %", justify="right", no_wrap=True)
    weights = {rule: short for rule, short in _WEIGHTS.items() if width >= 80}
    for short in weights.values():
        table.add_column(f"{short}", justify="right", style="dim", no_wrap=True)
    largest = max(_shares(first), default=0.0)
    for index, category in enumerate(diagnosis.taxonomy.categories):
        share = _shares(first)[index]
        # Neither black on a black terminal nor white on a white one.
        red, green, blue = (min(max(value, 80), 220) for value in category.color)
        bar = Text(_bar(share / largest if largest else 0.0), style=f"rgb({red},{green},{blue})")
        table.add_row(
            str(index),
            Text(category.name),
            _percent(share),
            *([bar] if has_bars else []),
            str(first.images_with[index]),
            *(_percent(_shares(split)[index]) for split in others[:2]),
            *(f"{diagnosis.weights[rule][index]:.3g}" for rule in weights),
        )
    if weights:
        table.caption = "last columns: class weights of the rules " + ", ".join(weights)
        table.caption_justify = "left"
    return table


def finding_lines(diagnosis: Diagnosis) -> Iterator[Text | Padding]:
    """Every finding with its examples and cure."""
    yield Text()
    for finding in diagnosis.findings:
        style = STYLES[finding.severity]
        yield Text.assemble((f"{MARKS[finding.severity]} {finding.subject}: ", style), finding.what)
        yield from _below(finding)


def verdict(diagnosis: Diagnosis) -> Text:
    """The last line: whether training can start."""
    if diagnosis.is_healthy:
        warnings = sum(one.severity is Severity.WARNING for one in diagnosis.findings)
        rest = f", {_number(warnings, 'warning')}" if warnings else ""
        return Text(f"✓ ready for training{rest}", style="bold green")
    errors = _number(len(diagnosis.errors), "error")
    return Text(f"✗ {errors}: training would go wrong", style="bold red")


def _below(finding: Finding) -> Iterator[Padding]:
    if finding.examples:
        yield Padding(
            Text("as in " + ", ".join(finding.examples), style="dim"), (0, 0, 0, 4), expand=False
        )
    yield Padding(Text(f"→ {finding.cure}"), (0, 0, 0, 4), expand=False)


def _sizes(split: SplitSummary) -> str:
    if split.smallest is None or split.largest is None:
        return "none of which can be read"
    small = f"{split.smallest.height} x {split.smallest.width}"
    large = f"{split.largest.height} x {split.largest.width}"
    return f"{small} pixels" if small == large else f"{small} to {large} pixels"


def _shares(split: SplitSummary) -> Sequence[float]:
    total = sum(split.counts)
    return [pixels / total if total else 0.0 for pixels in split.counts]


def _percent(share: float) -> str:
    return "-" if share == 0 else f"{100 * share:.2f}"


def _bar(share: float) -> str:
    """A bar in eighths of a character; anything above nothing shows."""
    eighths = max(round(share * _BAR * 8), 1) if share > 0 else 0
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
