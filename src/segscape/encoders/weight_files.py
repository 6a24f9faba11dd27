"""Weight files of encoders: tensors only, matched by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal
from zipfile import is_zipfile

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from segscape.encoders.public_networks import TOLD, public_network
from segscape.io.atomic import recover
from segscape.structures import CheckpointError

# Training scripts store the tensors below one of these keys.
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
_NAMED = 4


def weights_file(path: Path) -> Path:
    """The file of weights of a run folder or of the model folder in it; other paths as they are."""
    files = (recover(folder) / "model.safetensors" for folder in (path / "model", path))
    return next((file for file in files if file.is_file()), path)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file or a torch file that holds tensors only.

    Args:
        path: of the file, or of the run or model folder that holds it.

    Raises:
        CheckpointError: when the file is missing, damaged, or holds anything but tensors.
    """
    path = weights_file(path)
    if not path.is_file():
        what = "holds no weights" if path.is_dir() else "does not exist"
        raise CheckpointError(f"weights file {path} {what}: give the path of a file or a run")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(
            f"weights file {path} cannot be read ({error.strerror}): give one that can"
        ) from error
    except UnpicklingError as error:
        if not _is_pickled(path):
            raise _damaged(path) from error
        raise CheckpointError(
            f"weights file {path} holds Python objects beside tensors, which are not read because "
            "they may run code: save the model's state_dict() alone, best as safetensors"
        ) from error
    except Exception as error:  # changed bytes may fail at anything they come to mean
        raise _damaged(path) from error
    while isinstance(stored, Mapping):
        wrapper = next((key for key in _WRAPPERS if isinstance(stored.get(key), Mapping)), None)
        if wrapper is None:
            break
        stored = stored[wrapper]
    if not isinstance(stored, Mapping):
        raise CheckpointError(
            f"weights file {path} holds a {type(stored).__name__}, expected named tensors: save "
            "the model's state_dict()"
        )
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in stored.items()
        if isinstance(value, Tensor)
    }
    if not tensors:
        raise CheckpointError(f"weights file {path} holds no tensors: save a state_dict() in it")
    return tensors


def _is_pickled(path: Path) -> bool:
    """Whether torch may have written the file, today in a zip archive, once as a bare pickle."""
    with path.open("rb") as file:
        return file.read(1) == b"\x80" or is_zipfile(file)


def _damaged(path: Path) -> CheckpointError:
    size = path.stat().st_size
    return CheckpointError(
        f"weights file {path} ({size:,} bytes) is damaged or no file of weights, expected "
        "safetensors or what torch.save writes: download or save it again"
    )


def read_torchvision(name: str, weights: Path | Literal["download"]) -> dict[str, Tensor]:
    """Read public weights of a torchvision network from a file, or let torchvision fetch its own.

    Args:
        name: torchvision's, as `VGG16_Weights.IMAGENET1K_V1`; used for downloads only.
        weights: a file, or "download".

    Raises:
        CheckpointError: when they cannot be read or fetched.
    """
    if isinstance(weights, Path):
        return read_weights(weights)
    from torchvision.models import get_weight

    try:
        return dict(get_weight(name).get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"torchvision's {name} could not be downloaded ({error}): give a local file as "
            "weights=PATH"
        ) from error


def match_channels(
    weight: Float[Tensor, "out three height width"], channels: int
) -> Float[Tensor, "out channels height width"]:
    """Turn a first convolution over colours into one over any number of channels.

    One channel takes the sum over colours, so that a grey image gives what its colour copy gave;
    more take the colours in turn, scaled by 3 / channels so that the response keeps its size.

    >>> match_channels(torch.ones(1, 3, 1, 1), 1).flatten().tolist()
    [3.0]
    >>> match_channels(torch.ones(1, 3, 1, 1), 6).flatten().tolist()
    [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    """
    if channels == 1:
        return weight.sum(1, keepdim=True)
    colors = weight.shape[1]
    return weight[:, torch.arange(channels) % colors] * (colors / channels)


def load_by_name(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: str,
    kept: Sequence[str] = (),
    network: str | None = None,
) -> None:
    """Copy tensors into a module; names it lacks are left out, names it needs must be there.

    A convolution over three colours is matched to a module with other channels (`match_channels`).

    Args:
        module: what is filled.
        tensors: by the module's names.
        source: says in errors where the tensors come from.
        kept: what names begin with whose tensors stay as they are.
        network: public name of the network whose tensors are expected, for errors.

    Raises:
        CheckpointError: when a tensor is missing or of another shape, or they are those of a deeper
            network of the same kind.
    """
    given = None if network is None else public_network(tensors)
    is_other = given is not None and given != network
    if is_other and network in TOLD:  # a deeper one has all the names, and means others by them
        raise _mixed_up(source, given, network)
    wanted = module.state_dict()
    found: dict[str, Tensor] = {}
    missing: list[str] = []
    strange: list[str] = []
    for name, target in wanted.items():
        if name.startswith(tuple(kept)):
            continue
        tensor = tensors.get(name)
        if tensor is None:
            # The counter of batches is absent from old files and changes nothing.
            if not name.endswith("num_batches_tracked"):
                missing.append(name)
            continue
        if _only_channels_differ(tensor, target):
            tensor = match_channels(tensor.float(), target.shape[1])
        if tensor.shape != target.shape:
            strange.append(f"{name} {tuple(tensor.shape)} for {tuple(target.shape)}")
        found[name] = tensor
    if missing or strange:
        if is_other:
            raise _mixed_up(source, given, network)
        parts: list[str] = []
        if missing:
            parts.append(f"{len(missing)} of {len(wanted)} tensors are missing {_some(missing)}")
        if strange:
            parts.append(f"{len(strange)} have another shape {_some(strange)}")
        raise CheckpointError(
            f"{source} does not fit {network or type(module).__name__}: {'; '.join(parts)}: give "
            "the weights of this very architecture"
        )
    module.load_state_dict(found, strict=False)


def _mixed_up(source: str, given: str | None, network: str | None) -> CheckpointError:
    return CheckpointError(
        f"{source}: the tensors are those of {given}, expected those of {network}: give a file of "
        f"{network} weights"
    )


def _only_channels_differ(tensor: Tensor, target: Tensor) -> bool:
    if tensor.ndim != 4 or target.ndim != 4 or tensor.shape[1] != 3 or target.shape[1] == 3:
        return False
    return tensor.shape[0] == target.shape[0] and tensor.shape[2:] == target.shape[2:]


def _some(names: list[str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"({', '.join(names[:_NAMED])}{more})"
