"""The page of all methods on one image: one HTML file that asks nothing of the network."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from segscape import __version__
from segscape.classical import METHODS
from segscape.evaluation.method_comparison import MethodFinding
from segscape.evaluation.pages import template, write_page
from segscape.evaluation.pictures import data_uri
from segscape.io.mark_files import UNMARKED
from segscape.ops.resize import resize_labels
from segscape.structures import Partition
from segscape.visualize.figures import as_rgb, smaller
from segscape.visualize.regions import LINE, boundary_overlay, cut_out, mean_colors

TEMPLATE = "methods.html.jinja"
# Background blue, object red, further labels green and orange.
_MARKS = ((40, 100, 255), (230, 30, 40), (30, 170, 80), (255, 140, 0))


def write_methods(
    path: Path,
    image: Shaped[Tensor, "channel height width"],
    findings: Sequence[MethodFinding],
    given: Mapping[str, Any],
    *,
    title: str,
) -> None:
    """Write the page, complete or not at all.

    Args:
        path: the HTML file; replaced when it exists.
        image: what the methods were given.
        findings: what they made of it.
        given: `marks` and `box`, as far as there are, for those that need them.
        title: names the image.

    Raises:
        OutputError: when the file cannot be written.
    """
    write_page(
        path,
        lambda longest_side: render(image, findings, given, title=title, longest_side=longest_side),
    )


def render(
    image: Shaped[Tensor, "channel height width"],
    findings: Sequence[MethodFinding],
    given: Mapping[str, Any],
    *,
    title: str,
    longest_side: int = 480,
) -> str:
    """The page as text; every name from outside is escaped."""
    found = [(each, each.partition) for each in findings if each.partition is not None]
    colors = as_rgb(image)
    shown = smaller(colors, longest_side)
    return template(TEMPLATE).render(
        title=title,
        version=__version__,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        height=image.shape[1],
        width=image.shape[2],
        channels=image.shape[0],
        depth=str(image.dtype).removeprefix("torch."),
        shape=(shown.shape[1], shown.shape[2]),
        image=data_uri(smaller(_with_drawn(colors, given), longest_side), "photograph"),
        drawn=_joined(tuple(given)),
        shown_to=_joined(tuple(finding.name for finding in findings if finding.given)),
        methods=[_method(finding, partition, colors, shown) for finding, partition in found],
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
    if finding.mask is None:
        kind, colors = "mean colours", mean_colors(image, partition.regions)
    else:
        kind, colors = "cut out", cut_out(image, finding.mask)
    return {
        "name": finding.name,
        "paper": entry.paper,
        "summary": entry.summary,
        "regions": partition.count,
        "seconds": finding.seconds,
        "explained": finding.explained_variation,
        "compactness": finding.compactness,
        "options": [(name, _text(value)) for name, value in finding.options.items()],
        "given": _joined(finding.given),
        "boundaries": data_uri(boundary_overlay(shown, ids), "photograph"),
        "kind": kind,
        "colors": data_uri(smaller(colors, max(size)), "photograph"),
    }


def _with_drawn(
    image: UInt8[Tensor, "3 height width"], given: Mapping[str, Any]
) -> UInt8[Tensor, "3 height width"]:
    """The image with marks, a colour for each label, and the box."""
    picture = image.clone()
    if "marks" in given:
        for label in given["marks"].unique().tolist():
            if label != UNMARKED:
                color = torch.tensor(_MARKS[label % len(_MARKS)], dtype=torch.uint8)
                picture[:, given["marks"] == label] = color[:, None]
    if "box" in given:
        left, top, right, bottom = given["box"]
        wide = max(2, max(image.shape[1:]) // 160)
        frame = torch.zeros(image.shape[1:], dtype=torch.bool)
        frame[top:bottom, left:right] = True
        frame[top + wide : bottom - wide, left + wide : right - wide] = False
        picture[:, frame] = torch.tensor(LINE, dtype=torch.uint8)[:, None]
    return picture


def _joined(words: tuple[str, ...]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
