"""Where and with what a training runs, for the journal and the report."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from segscape import __version__

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "lightning-fabric")


def environment(device: torch.device) -> dict[str, str | int]:
    """Versions, processor, threads and device."""
    found: dict[str, str | int] = {
        "segscape": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": str(device),
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()
