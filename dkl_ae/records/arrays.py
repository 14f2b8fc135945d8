"""The kinds of arrays there are, by what they hold."""

from __future__ import annotations

import typing

import numpy
import numpy.typing

FloatArray = numpy.typing.NDArray[numpy.float64]
IntArray = numpy.typing.NDArray[numpy.int64]
BoolArray = numpy.typing.NDArray[numpy.bool_]
ComplexArray = numpy.typing.NDArray[numpy.complex64]
NumberArray = numpy.typing.NDArray[numpy.number]
"""Of any type of number, such as a camera's counts."""
FeatureArray = numpy.typing.NDArray[numpy.float32]
"""Patches as a model sees them: shape (candidates, features)."""
AnyArray = numpy.typing.NDArray[typing.Any]
"""Of whatever type a file has or a camera gives."""
