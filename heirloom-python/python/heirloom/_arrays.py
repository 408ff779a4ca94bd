"""Arrays over views. numpy is imported by the first of them."""

import operator
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

from ._errors import InvalidInputError, MisalignedError, OutOfBoundsError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ._heirloom import View


def ndarray(
    view: "View",
    dtype: "DTypeLike" = "uint8",
    shape: SupportsIndex | tuple[SupportsIndex, ...] | None = None,
    *,
    offset: SupportsIndex = 0,
    order: Literal["C", "F"] = "C",
) -> "NDArray[Any]":
    """Make an array over a view, which keeps the view."""
    import numpy as np

    dtype, start = np.dtype(dtype), operator.index(offset)
    if dtype.hasobject:
        raise TypeError(
            f"cannot make an array of {dtype}: a region has bytes, and no other process knows these objects"
        )
    if not 0 <= start <= view.nbytes:
        raise OutOfBoundsError(f"cannot make an array at offset {start} of {view.nbytes} bytes")
    if start % dtype.alignment:
        raise MisalignedError(
            f"cannot make an array of {dtype} at offset {start}: the offset must be a multiple of {dtype.alignment}"
        )
    rest = view.nbytes - start
    if shape is None:
        if dtype.itemsize == 0 or rest % dtype.itemsize:
            raise InvalidInputError(
                f"cannot make an array of {dtype} over {rest} bytes: they are not a whole number of its "
                f"{dtype.itemsize} bytes; give the shape"
            )
        lengths: tuple[int, ...] = (rest // dtype.itemsize,)
    else:
        lengths = tuple(map(operator.index, shape if isinstance(shape, tuple | list) else (shape,)))
    count = 1
    for length in lengths:
        if length < 0:
            raise InvalidInputError(f"cannot make an array of shape {lengths}: a length is negative")
        count *= length
    if count * dtype.itemsize > rest:
        raise OutOfBoundsError(
            f"cannot make an array of {dtype} and shape {lengths}: it has {count * dtype.itemsize} bytes, "
            f"and there are {rest}"
        )
    return np.ndarray(lengths, dtype, buffer=memoryview(view), offset=start, order=order)
