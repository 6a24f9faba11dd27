"""Drawn scenes as named on the command line: `synthetic:count=400,height=128,width=160,seed=0`."""

import difflib

from segscape.datasets.synthetic import DEFAULT_SIZE, SyntheticSemantic
from segscape.structures import DatasetError, Size

DEFAULTS = {
    "count": 400,
    "val_count": 0,
    "height": DEFAULT_SIZE.height,
    "width": DEFAULT_SIZE.width,
    "seed": 0,
}


def open_synthetic(options: str, split: str) -> SyntheticSemantic:
    """Build the data set from its options, `key=value` with commas between.

    `val_count` is the number of scenes in every split but train; a quarter of `count` when it is 0
    or not given.

    Raises:
        DatasetError: for an unknown option or split, or a value that is no whole number or out of
            range.
    """
    values = dict(DEFAULTS)
    for item in filter(None, (part.strip() for part in options.split(","))):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in values:
            near = difflib.get_close_matches(key, values, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(values)}"
            raise DatasetError(f"synthetic: unknown option '{key}': {hint}")
        try:
            values[key] = int(value)
        except ValueError:
            raise DatasetError(
                f"synthetic: {key} is '{value}', expected a whole number as {key}={DEFAULTS[key]}"
            ) from None
    count = values["count"]
    if split != "train":
        count = values["val_count"] or max(count // 4, 1)
    size = Size(values["height"], values["width"])
    return SyntheticSemantic(count, size=size, seed=values["seed"], split=split)
