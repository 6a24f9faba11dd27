"""What an output folder was made with, so that a stopped prediction goes on with the same."""

from dataclasses import dataclass
from pathlib import Path

from segscape import __version__
from segscape.io.json_files import read_json, write_json
from segscape.structures import OutputError

MANIFEST = "segscape.json"


@dataclass(frozen=True)
class Manifest:
    """The model and the options of the results in a folder.

    Args:
        model: fingerprint of the model.
        options: of the segmenter.
    """

    model: str
    options: dict[str, object]


def claim(folder: Path, manifest: Manifest, *, overwrite: bool) -> int | None:
    """Begin or continue an output folder.

    Args:
        folder: of the results, which need not exist.
        manifest: what they are made with.
        overwrite: whether results made before this call count as old.

    Returns:
        When the folder was begun (nanoseconds of the file system's clock): results at least as
        young are finished ones of this model. None for a folder that has no manifest yet.

    Raises:
        OutputError: when the folder holds results of another model or of other options.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, a folder for the results was expected")
    path = folder / MANIFEST
    if overwrite or not path.exists():
        return None
    found = read_json(path, error=OutputError)
    if not isinstance(found, dict) or not {"model", "options"} <= found.keys():
        raise OutputError(f"{path}: is damaged: choose another --out or give --overwrite")
    if found["model"] != manifest.model:
        raise OutputError(
            f"{folder}: holds results of another model: choose another --out or give --overwrite"
        )
    if found["options"] != manifest.options:
        differing = [
            name
            for name in sorted({*found["options"], *manifest.options})
            if found["options"].get(name) != manifest.options.get(name)
        ]
        raise OutputError(
            f"{folder}: holds results of this model with another {', '.join(differing)}: choose "
            "another --out or give --overwrite"
        )
    return path.stat().st_mtime_ns


def begin(folder: Path, manifest: Manifest) -> int:
    """Write the manifest; return when, as `claim` does.

    Raises:
        OutputError: when it cannot be written.
    """
    path = folder / MANIFEST
    write_json(
        path,
        {"segscape": __version__, "model": manifest.model, "options": manifest.options},
    )
    return path.stat().st_mtime_ns
