"""Run all benchmarks, or one by its name."""

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = (
    "confusion_matrix",
    "cross_entropy",
    "data_loading",
    "unet_speed",
    "network_speed",
    "network_memory",
    "sliding_window",
    "max_flow",
    "grab_cut",
    "alpha_expansion",
    "dense_crf",
    "mean_shift",
    "superpixels",
    "random_walker",
    "normalized_cut",
    "camvid",
)


def main() -> None:
    """Run what the command line names; each module has a `run()` that compares and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=MODULES, help="run this one, not all")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for name in MODULES if options.only is None else (options.only,):
        print(f"== {name}", flush=True)
        comparisons = import_module(f"benchmarks.{name}").run()
        found[name] = [comparison.to_json() for comparison in comparisons or ()]
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
