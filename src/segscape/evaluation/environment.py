"""On what an evaluation ran: versions and machine, without names or paths that identify it."""

import os
import platform

import numpy as np
import torch

from segscape import __version__
from segscape.evaluation.evaluation import Fact


def environment(device: torch.device) -> dict[str, Fact]:
    """Versions of what computes, and the device that did.

    Args:
        device: where the model ran.
    """
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "segscape": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": device.type if gpu is None else gpu,
        "cpu_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
    }
