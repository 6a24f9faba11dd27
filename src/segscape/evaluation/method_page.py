"""The page of all methods on one image: one HTML file that asks nothing of the network."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from segscape import __version__
from segscape.classical import METHODS
from segscape.evaluation.method_comparison import MethodFinding
from segscape.evaluation.pages import template, write_page
from segscape.evaluation.pictures import data_uri
from segscape.ops.resize import resize_labels
from segscape.structures import Partition
from segscape.visualize.figures import smaller
from segscape.visualize.regions import boundary_overlay, mean_colors

TEMPLATE = "methods.html.jinja"


def write_methods(
    path: Path,
    image: UInt8[Tensor, "3 height width"],
    findings: Sequence[MethodFinding],
    *,
    title: str,
) -> None:
    """Write the page, complete or not at all.

    Args:
        path: the HTML file; replaced when it exists.
        image: what the methods were given.
        findings: what they made of it.
        title: names the image.

    Raises:
        OutputError: when the file cannot be written.
    """
    write_page(
        path,
        lambda longest_side: render(image, findings, title=title, longest_side=longest_side),
    )


def render(
    image: UInt8[Tensor, "3 height width"],
    findings: Sequence[MethodFinding],
    *,
    title: str,
    longest_side: int = 480,
) -> str:
    """The page as text; every name from outside is escaped."""
    found = [(each, each.partition) for each in findings if each.partition is not None]
    shown = smaller(image, longest_side)
    return template(TEMPLATE).render(
        title=title,
        version=__version__,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        height=image.shape[1],
        width=image.shape[2],
        shape=(shown.shape[1], shown.shape[2]),
        image=data_uri(shown, "photograph"),
        methods=[_method(finding, partition, image, shown) for finding, partition in found],
        left_out=[
            {"name": finding.name, "paper": METHODS[finding.name].paper, "why": finding.why_not}
            for finding in findings
            if finding.partition is None
        ],
    )


def _method(
    finding: MethodFinding,
    partition: Partition,
    image: UInt8[Tensor, "3 _ _"],
    shown: UInt8[Tensor, "3 height width"],
) -> dict[str, Any]:
    size = (shown.shape[1], shown.shape[2])
    ids = resize_labels(partition.regions.int(), size)
    entry = METHODS[finding.name]
    return {
        "name": finding.name,
        "paper": entry.paper,
        "summary": entry.summary,
        "regions": partition.count,
        "seconds": finding.seconds,
        "explained": finding.explained_variation,
        "compactness": finding.compactness,
        "options": [(name, _text(value)) for name, value in finding.options.items()],
        "boundaries": data_uri(boundary_overlay(shown, ids), "photograph"),
        "colors": data_uri(smaller(mean_colors(image, partition.regions), max(size)), "photograph"),
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
