"""A CamVid U-Net from scratch on this machine's cores: ours and segmentation_models_pytorch's.

Both train on the 367 training images and are judged on the 101 validation images, one after the
other, in processes of their own. The peer is the script `camvid_smp_unet.py` beside the data; the
question is who is better by the same clock, so both times are printed.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PEER_EPOCHS = 24


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Args:
        name: who.
        miou: over the 11 classes of the validation images.
        pixel_accuracy: likewise.
        seconds: of the training, without judging.
    """

    name: str
    miou: float
    pixel_accuracy: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def run() -> list[Trained]:
    """Train both and print them side by side; nothing where data or peer script are absent."""
    data = Path(os.environ.get("SEGSCAPE_DATA", "../shared/data")) / "camvid"
    script = Path("../shared/peers/camvid_smp_unet.py")
    missing = [str(path) for path in (data, script) if not path.exists()]
    if missing:
        print(f"not run: {', '.join(missing)} not found")
        return []
    found = [_ours(data), _peer(script, data)]
    for one in found:
        print(
            f"{one.name:24} mIoU {one.miou:.4f}  pixel accuracy {one.pixel_accuracy:.4f}  "
            f"training {one.seconds:.0f} s",
            flush=True,
        )
    return found


def _ours(data: Path) -> Trained:
    command = [sys.executable, "-m", "segscape.cli.main"]
    with tempfile.TemporaryDirectory() as folder:
        run_folder, scores = Path(folder) / "run", Path(folder) / "scores.json"
        start = time.perf_counter()
        recipe = ["camvid_unet_cpu", f"data.train=folder:{data}"]
        subprocess.run([*command, "train", *recipe, "--out", str(run_folder)], check=True)
        seconds = time.perf_counter() - start
        judge = ["evaluate", str(run_folder), "--json", str(scores)]
        subprocess.run([*command, *judge], check=True, stdout=subprocess.DEVNULL)
        metrics = json.loads(scores.read_text())["metrics"]
    return Trained("segscape camvid_unet_cpu", metrics["miou"], metrics["pixel_accuracy"], seconds)


def _peer(script: Path, data: Path) -> Trained:
    words = [sys.executable, str(script), str(data / "train"), str(data / "val")]
    words += ["--epochs", str(PEER_EPOCHS)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Trained(found["peer"], found["mIoU"], found["global"], found["train_s"])


if __name__ == "__main__":
    run()
