"""Eight numbers at once inside numba's loops, where its own vectoriser gives up.

A sum under a condition over short rows, as mean shift takes over its window, becomes a vector per
row and a slow sum across it; held in `Lanes`, the partial sums stay in registers from row to row.
The type is a vector of LLVM's, which every processor that numba knows turns into its own (AVX,
NEON) or into several narrower ones. Only for the inside of compiled functions: for Python the names
below have no meaning.

    total = spread(np.float32(0))
    for start in range(0, count, LANES):            # `values` has LANES - 1 numbers to spare
        x = load(values, start)
        total = total + where_at_most(x, x * x, limit)
    return across(total)
"""

import operator
from collections.abc import Callable
from typing import Any, no_type_check

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_ZEROS = ir.Constant(_VECTOR, [0.0] * LANES)


class LanesType(types.Type):
    """Numba's type of eight float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


_LANES = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    """Held as they are, in a vector register."""

    def __init__(self, manager: Any, front: Any) -> None:  # noqa: ANN401
        super().__init__(manager, front, _VECTOR)


@intrinsic
@no_type_check
def load(_context, array, index):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """The numbers array[index : index + LANES] of a flat float32 array; bounds are not checked."""
    return _LANES(array, types.intp), _load


@intrinsic
@no_type_check
def store(_context, array, index, lanes):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """Write array[index : index + LANES] of a flat float32 array; bounds are not checked."""
    return types.void(array, types.intp, lanes), _store


@intrinsic
@no_type_check
def spread(_context, _number):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """One number in every lane."""
    return _LANES(types.float32), _spread


@intrinsic
@no_type_check
def ramp(_context):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """0, 1, 2 ... LANES - 1."""
    return _LANES(), _ramp


@intrinsic
@no_type_check
def where_at_most(_context, lanes, _judged, _limit):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """The lanes where `judged` <= `limit`, 0 in the others."""
    return lanes(lanes, lanes, lanes), _where_at_most


@intrinsic
@no_type_check
def across(_context, lanes):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """The sum of the lanes."""
    return types.float32(lanes), _across


@intrinsic
@no_type_check
def larger(_context, lanes, _other):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """The larger number of each lane."""
    return lanes(lanes, lanes), _larger


@intrinsic
@no_type_check
def largest(_context, lanes):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """The largest of the lanes."""
    return types.float32(lanes), _largest


@intrinsic
@no_type_check
def whole(_context, lanes):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """Each lane rounded down."""
    return lanes(lanes), _whole


@intrinsic
@no_type_check
def two_to(_context, lanes):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """2^x for lanes that are whole numbers from -126 to 127."""
    return lanes(lanes), _two_to


@intrinsic
@no_type_check
def prefetch(_context, array, index):  # noqa: ANN001, ANN201  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
    """Begin to bring array[index] of a flat array into the cache, for a load some rows later."""
    return types.void(array, types.intp), _prefetch


def _place(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:  # noqa: ANN401
    array = cgutils.create_struct_proxy(signature.args[0])(context, builder, values[0])
    return builder.bitcast(builder.gep(array.data, [values[1]]), _VECTOR.as_pointer())


def _load(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
    # float32 arrays promise 4 bytes of alignment, not a vector's.
    return builder.load(_place(context, builder, signature, values), align=4)


def _store(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:  # noqa: ANN401
    builder.store(values[2], _place(context, builder, signature, values), align=4)
    return context.get_dummy_value()


def _spread(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
    first = builder.insert_element(_ZEROS, values[0], ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, _ZEROS, everywhere)


def _ramp(_context: Any, _builder: ir.IRBuilder, _signature: Any, _values: Any) -> ir.Value:  # noqa: ANN401
    return ir.Constant(_VECTOR, [float(lane) for lane in range(LANES)])


def _where_at_most(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
    return builder.select(builder.fcmp_ordered("<=", values[1], values[2]), values[0], _ZEROS)


def _across(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _VECTOR])
    name = f"llvm.vector.reduce.fadd.v{LANES}f32"
    reduce = cgutils.get_or_insert_function(builder.module, kind, name)
    # Any order of adding will do: a fixed one would go from lane to lane.
    return builder.call(
        reduce, [ir.Constant(ir.FloatType(), 0.0), values[0]], fastmath=("reassoc",)
    )


def _larger(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
    return builder.select(builder.fcmp_ordered(">", values[0], values[1]), values[0], values[1])


def _largest(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
    kind = ir.FunctionType(ir.FloatType(), [_VECTOR])
    name = f"llvm.vector.reduce.fmax.v{LANES}f32"
    reduce = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(reduce, values, fastmath=("nnan",))


def _whole(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    name = f"llvm.floor.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


def _two_to(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> Any:  # noqa: ANN401
    integers = ir.VectorType(ir.IntType(32), LANES)
    exponent = builder.add(
        builder.fptosi(values[0], integers), ir.Constant(integers, [127] * LANES)
    )
    return builder.bitcast(builder.shl(exponent, ir.Constant(integers, [23] * LANES)), _VECTOR)


def _prefetch(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:  # noqa: ANN401
    pointer, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, *[integer] * 3])
    fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    place = builder.bitcast(_place(context, builder, signature, values), pointer)
    # To read data that will be used again.
    builder.call(fetch, [place, *(ir.Constant(integer, choice) for choice in (0, 3, 1))])
    return context.get_dummy_value()


def _elementwise(instruction: str) -> Any:  # noqa: ANN401
    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, values: Any) -> ir.Value:  # noqa: ANN401
        # A product and the sum it goes into may become one instruction.
        return getattr(builder, instruction)(*values, flags=("contract",))

    @intrinsic
    @no_type_check
    def operation(_context, first, _second):  # noqa: ANN001, ANN202
        return first(first, first), generate

    return operation


def _offer(symbol: Callable[[Any, Any], Any], instruction: str) -> None:
    operation = _elementwise(instruction)

    @overload(symbol)
    @no_type_check
    def choose(first, second):  # noqa: ANN001, ANN202
        if isinstance(first, LanesType) and isinstance(second, LanesType):
            return lambda first, second: operation(first, second)  # noqa: PLW0108 - numba compiles it
        return None


_offer(operator.add, "fadd")
_offer(operator.sub, "fsub")
_offer(operator.mul, "fmul")
_offer(operator.truediv, "fdiv")
