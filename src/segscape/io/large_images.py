"""Images and label maps far larger than memory, by windows.

`open_large` reads tiled or striped TIFF and BigTIFF, Zarr and OME-Zarr with memory bounded by the
tiles that a window touches, and any other image by decoding it whole; `create_labels` writes tiled
BigTIFF and Zarr. The pixels are those of `read_image`.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from segscape.io.atomic import atomic_file, atomic_folder
from segscape.io.image_files import PIXEL_LIMIT, read_image
from segscape.io.image_formats import open_image
from segscape.io.label_coding import LabelCoding
from segscape.io.label_writer import LabelWriter, TileSink
from segscape.io.mask_files import palette_of
from segscape.structures import OutputError, Size, StructureError, Taxonomy

TIFF_SUFFIXES = (".tif", ".tiff", ".btf")
_LARGEST_8, _LARGEST_16 = 255, 65535


class LargeImage:
    """An open image that is read by windows.

    Args:
        path: of the file or folder.
        size: height and width as shown.
        channels: as stored: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha or inks.
        read_window: (top, left, height, width) -> (height, width, 3) in 0..255.
        stack: what to close.
    """

    def __init__(
        self,
        path: Path,
        size: Size,
        channels: int,
        read_window: Callable[[int, int, int, int], NDArray[np.uint8]],
        stack: ExitStack,
    ) -> None:
        self.path, self.size, self.channels = path, size, channels
        self._read_window, self._stack = read_window, stack

    def read(self, top: int, left: int, height: int, width: int) -> UInt8[Tensor, "3 height width"]:
        """A window in red, green, blue, exactly that part of what `read_image` would give.

        Raises:
            StructureError: when the window is empty or leaves the image.
            ImageFileError: when the part of the file is damaged.
        """
        inside = top >= 0 and left >= 0 and height >= 1 and width >= 1
        if not inside or top + height > self.size.height or left + width > self.size.width:
            raise StructureError(
                f"{self.path}: a window of {height} x {width} at ({top}, {left}) leaves the image "
                f"of {self.size.height} x {self.size.width}"
            )
        window = self._read_window(top, left, height, width)
        return torch.from_numpy(np.array(window.transpose(2, 0, 1), order="C"))

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def __enter__(self) -> "LargeImage":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_large(path: str | Path, *, pixel_limit: int = PIXEL_LIMIT) -> LargeImage:
    """Open an image of any size for reading by windows; use it in a `with` block.

    Args:
        path: a TIFF or BigTIFF file, a Zarr or OME-Zarr folder, or any file of `read_image`.
        pixel_limit: for images that can only be decoded whole.

    Raises:
        ImageFileError: when it cannot be read; the message names the file.
    """
    path = Path(path)
    with ExitStack() as stack:
        if path.is_dir():
            from segscape.io.zarr_images import ZarrImage

            array = ZarrImage(path)
            return LargeImage(path, array.size, array.channels, array.read_rgb, stack.pop_all())
        file, found = stack.enter_context(open_image(path))
        if found == "TIFF":
            from segscape.io.tiff_pages import TiffPage

            page = stack.enter_context(closing(TiffPage(file, path)))
            if page.readable:
                page.layout()
                kept = stack.pop_all()
                return LargeImage(path, page.size, page.samples, page.read_rgb, kept)
    whole = read_image(path, pixel_limit=pixel_limit).permute(1, 2, 0).numpy()

    def read_window(top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        return whole[top : top + height, left : left + width]

    return LargeImage(path, Size(*whole.shape[:2]), 3, read_window, ExitStack())


def create_labels(
    path: str | Path,
    size: Size,
    taxonomy: Taxonomy,
    *,
    tile: int = 512,
    coding: LabelCoding | None = None,
) -> LabelWriter:
    """Begin a label map to be written by windows; use it in a `with` block.

    Args:
        path: `.tif`, `.tiff` or `.btf` for a tiled BigTIFF with the taxonomy's colours as palette,
            `.zarr` for a Zarr v3 array with the classes in its attributes.
        size: of the whole map.
        taxonomy: what the labels mean.
        tile: height and width of tiles and chunks in pixels, a multiple of 16.
        coding: the ids to write; None for 0..n-1 and 255 for void.

    Raises:
        OutputError: for another suffix, ids beyond 65535, or when the disk refuses.
        StructureError: for an empty size or a wrong tile.
    """
    path = Path(path)
    coding = coding or LabelCoding.plain(taxonomy)
    if tile < 16 or tile % 16:
        raise StructureError(f"tile is {tile}: TIFF needs a multiple of 16, such as 512")
    if size.height < 1 or size.width < 1:
        raise StructureError(f"{path}: size {tuple(size)} has no pixels")
    most = max(*coding.file_ids, coding.void_id)
    if most > _LARGEST_16:
        raise OutputError(f"{path}: id {most} does not fit into 16 bits: use smaller ids")
    dtype = np.uint8 if most <= _LARGEST_8 else np.uint16
    suffix = path.suffix.lower()
    if suffix not in (*TIFF_SUFFIXES, ".zarr"):
        raise OutputError(f"{path}: large label maps are written as .tif or .zarr, not '{suffix}'")
    with ExitStack() as stack:
        sink: TileSink
        if suffix == ".zarr":
            sink = _ZarrSink(stack.enter_context(atomic_folder(path)), size, tile, dtype, coding)
        else:
            from segscape.io.tiled_tiff import TiledTiff

            palette = palette_of(coding) if dtype is np.uint8 else None
            temporary = stack.enter_context(atomic_file(path))
            sink = TiledTiff(temporary, size, tile, dtype, palette)
        return LabelWriter(path, size, coding, tile, dtype, sink, stack.pop_all())


class _ZarrSink:
    """Tiles to the chunks of a Zarr array."""

    def __init__(
        self,
        folder: Path,
        size: Size,
        tile: int,
        dtype: type[np.uint8 | np.uint16],
        coding: LabelCoding,
    ) -> None:
        import zarr
        from zarr.storage import LocalStore

        self._size, self._tile = size, tile
        self._array: Any = zarr.create_array(
            store=LocalStore(folder),
            shape=tuple(size),
            chunks=(tile, tile),
            dtype=dtype,
            fill_value=coding.void_id,
            dimension_names=("y", "x"),
            attributes={"segscape": coding.to_mapping()},
        )

    def put(self, row: int, column: int, pixels: NDArray[Any]) -> None:
        top, left = row * self._tile, column * self._tile
        bottom = min(top + self._tile, self._size.height)
        right = min(left + self._tile, self._size.width)
        self._array[top:bottom, left:right] = pixels[: bottom - top, : right - left]

    def finish(self) -> None:
        """Chunks are on their way as soon as they are put."""

    def close(self) -> None:
        with suppress(Exception):
            self._array.store.close()
