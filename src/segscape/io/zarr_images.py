"""Images in Zarr arrays and OME-Zarr groups, read by windows.

An array is (height, width), (height, width, channel) or (channel, height, width), told by its
dimension names where it has them, else by which end has at most four entries. Of an OME-Zarr group
(NGFF 0.4 and 0.5) the finest level is read; time and depth must have one entry.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segscape.io.image_formats import decoding
from segscape.io.pixel_values import Layout, to_bytes, to_rgb
from segscape.structures import ImageFileError, Size

_LAYOUTS: dict[int, Layout] = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgb+alpha"}
_CHUNK_LIMIT = 1 << 30
_CHANNEL_NAMES = ("c", "channel", "channels", "band", "rgb")


class ZarrImage:
    """An image in a Zarr folder.

    Args:
        path: the folder of an array or of an OME-Zarr group.

    Raises:
        ImageFileError: when it is neither, or has axes that make no picture.
    """

    def __init__(self, path: Path) -> None:
        import zarr
        from zarr.storage import LocalStore

        self.path = path
        if not any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup")):
            raise ImageFileError(f"{path}: is a folder without Zarr's metadata, expected an image")
        with decoding(path):
            node: Any = zarr.open(store=LocalStore(path, read_only=True), mode="r")
            names: tuple[str, ...] | None = None
            if isinstance(node, zarr.Group):
                node, names = self._finest(node)
            else:
                given = getattr(node.metadata, "dimension_names", None)
                names = None if given is None or None in given else tuple(given)
            if not isinstance(node, zarr.Array):
                raise ImageFileError(f"{path}: holds no array: expected an image or OME-Zarr")
            self._array: Any = node
            self._axes = self._find_axes(tuple(int(n) for n in node.shape), names)
            self._refuse_huge_chunks()

    def _finest(self, group: Any) -> tuple[Any, tuple[str, ...] | None]:  # noqa: ANN401
        attributes = dict(group.attrs)
        scales = attributes.get("ome", attributes).get("multiscales")
        if not scales:
            raise ImageFileError(
                f"{self.path}: is a Zarr group without OME-Zarr multiscales: name the array in it"
            )
        axes = scales[0].get("axes")
        names = None
        if axes:
            names = tuple(str(axis["name"] if isinstance(axis, dict) else axis) for axis in axes)
        return group[scales[0]["datasets"][0]["path"]], names

    def _find_axes(
        self, shape: tuple[int, ...], names: tuple[str, ...] | None
    ) -> tuple[int, int, int | None]:
        """Which axes are rows, columns and channels; all others have one entry."""
        if names is not None and len(names) == len(shape):
            lower = [name.lower() for name in names]
            rows = _first(lower, ("y", "height", "row", "rows"))
            columns = _first(lower, ("x", "width", "column", "columns"))
            channel = _first(lower, _CHANNEL_NAMES)
            if rows is not None and columns is not None:
                return self._checked(shape, rows, columns, channel)
        if len(shape) == 2:
            return self._checked(shape, 0, 1, None)
        if len(shape) == 3 and shape[2] in _LAYOUTS:
            return self._checked(shape, 0, 1, 2)
        if len(shape) == 3 and shape[0] in _LAYOUTS:
            return self._checked(shape, 1, 2, 0)
        raise ImageFileError(
            f"{self.path}: array of shape {shape}, expected (height, width), (height, width, "
            "channel) or (channel, height, width) with 1 to 4 channels"
        )

    def _checked(
        self, shape: tuple[int, ...], rows: int, columns: int, channel: int | None
    ) -> tuple[int, int, int | None]:
        others = [n for axis, n in enumerate(shape) if axis not in (rows, columns, channel)]
        channels = 1 if channel is None else shape[channel]
        if any(n != 1 for n in others) or channels not in _LAYOUTS or min(shape) < 1:
            raise ImageFileError(
                f"{self.path}: array of shape {shape} holds several images or {channels} channels: "
                "choose one time, one depth and 1 to 4 channels"
            )
        return rows, columns, channel

    def _refuse_huge_chunks(self) -> None:
        chunk = cast("tuple[int, ...]", self._array.chunks)
        held = int(np.prod([int(n) for n in chunk], dtype=np.int64)) * self._array.dtype.itemsize
        if held > _CHUNK_LIMIT:
            raise ImageFileError(
                f"{self.path}: is stored in chunks of {chunk}, too large to decode: store it again "
                "with chunks of 512 x 512"
            )

    @property
    def size(self) -> Size:
        """Height and width."""
        rows, columns, _ = self._axes
        return Size(int(self._array.shape[rows]), int(self._array.shape[columns]))

    @property
    def channels(self) -> int:
        """Channels as stored: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha."""
        channel = self._axes[2]
        return 1 if channel is None else int(self._array.shape[channel])

    def read_rgb(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """A window in red, green and blue, (height, width, 3).

        Raises:
            ImageFileError: when chunks are damaged or their numbers mean no colours.
        """
        rows, columns, channel = self._axes
        index: list[Any] = [0] * len(self._array.shape)
        index[rows] = slice(top, top + height)
        index[columns] = slice(left, left + width)
        if channel is not None:
            index[channel] = slice(None)
        with decoding(self.path):
            window: NDArray[Any] = np.asarray(self._array[tuple(index)])
            kept = [axis for axis in range(len(index)) if axis in self._axes]
            wanted = [rows, columns] if channel is None else [rows, columns, channel]
            window = window.transpose([kept.index(axis) for axis in wanted])
            if channel is None:
                window = window[..., None]
            if window.dtype.byteorder == ">":
                window = window.astype(window.dtype.newbyteorder("="))
            return to_rgb(to_bytes(window, str(self.path)), _LAYOUTS[self.channels])


def _first(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)
