"""A convolution written out as the matrix it is.

V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016, arXiv:1603.07285,
chapter 4: with the maps flattened, a convolution is b = X a, and the transposed convolution of the
same kernel, stride and padding is a' = X^T b. It is not the inverse: it only gives the sizes back.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def convolution_matrix(
    weight: Float[Tensor, "out in kernel_height kernel_width"],
    size: tuple[int, int],
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Float[Tensor, "out_values in_values"]:
    """The sparse matrix X with which a convolution of maps of one size is a product, X a.

    A row belongs to an output value and a column to an input value, both in the order of
    `flatten()`: channel, row, column of the map. Gradients reach the weight. Where the stride
    leaves input rows or columns at the end that no tap reads, their columns of X are empty.

    Args:
        weight: as of `torch.nn.functional.conv2d`.
        size: height and width of the input in pixels.
        stride: pixels between the windows, 1 or more.
        padding: rows and columns of zeros around the input, 0 or more.
        dilation: distance of the kernel's taps in pixels, 1 or more.

    Raises:
        ValueError: when an option is out of range, or the kernel is larger than the padded input.

    A kernel of 3 x 3 slides to 2 x 2 places of a map of 4 x 4, and its transpose paints it there:

    >>> kernel = torch.tensor([[[[1.0, 2, 3], [2, 2, 1], [3, 2, 1]]]])
    >>> X = convolution_matrix(kernel, (4, 4))
    >>> X.shape
    torch.Size([4, 16])
    >>> X.to_dense()[0].reshape(4, 4).int().tolist()
    [[1, 2, 3, 0], [2, 2, 1, 0], [3, 2, 1, 0], [0, 0, 0, 0]]
    >>> (X.T @ torch.tensor([1.0, 2, 3, 4])).reshape(4, 4).int().tolist()
    [[1, 4, 7, 6], [5, 16, 22, 14], [9, 22, 16, 6], [9, 18, 11, 4]]
    """
    if stride < 1 or dilation < 1 or padding < 0:
        raise ValueError(
            f"stride {stride}, dilation {dilation}, padding {padding}: give a stride and a "
            "dilation of at least 1 and a padding of at least 0"
        )
    out, channels, *kernel = weight.shape
    rows_read, rows_inside = _read(size[0], kernel[0], stride, padding, dilation)
    columns_read, columns_inside = _read(size[1], kernel[1], stride, padding, dilation)
    out_size = rows_read.shape[0], columns_read.shape[0]
    # Axes: out channel, in channel, kernel row, kernel column, out row, out column.
    full = (out, channels, *kernel, *out_size)
    row = _flat((out, *out_size)).reshape(out, 1, 1, 1, *out_size).expand(full)
    pixel = (rows_read.T[:, None, :, None] * size[1] + columns_read.T[:, None, :]).expand(full[2:])
    first = torch.arange(channels).reshape(-1, 1, 1, 1, 1) * (size[0] * size[1])
    column = (first + pixel).expand(full)
    inside = (rows_inside.T[:, None, :, None] & columns_inside.T[:, None, :]).expand(full)
    values = weight[..., None, None].expand(full)
    places = torch.stack([row[inside], column[inside]]).to(weight.device)
    shape = (out * out_size[0] * out_size[1], channels * size[0] * size[1])
    values = values[inside.to(weight.device)]
    return torch.sparse_coo_tensor(places, values, shape, check_invariants=False).coalesce()


def _read(
    length: int, kernel: int, stride: int, padding: int, dilation: int
) -> tuple[Int64[Tensor, "place tap"], Bool[Tensor, "place tap"]]:
    """Along one axis: which input each tap reads at each place, and whether it lies inside."""
    reach = dilation * (kernel - 1) + 1
    places = (length + 2 * padding - reach) // stride + 1
    if length < 1 or places < 1:
        raise ValueError(
            f"a kernel that reaches over {reach} pixels does not fit an input of {length} with "
            f"padding {padding}: give a larger size or padding"
        )
    read = (torch.arange(places) * stride - padding)[:, None] + torch.arange(kernel) * dilation
    return read, (read >= 0) & (read < length)


def _flat(shape: tuple[int, ...]) -> Int64[Tensor, "..."]:
    return torch.arange(torch.Size(shape).numel()).reshape(shape)
