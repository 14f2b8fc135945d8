"""A property that is computed once for each object.

Python's own, before 3.12, lets only one thread at a time compute a property of any object of the class: threads that
each read their own patterns would wait for each other.
"""

from __future__ import annotations

import typing
from collections.abc import Callable

Owner = typing.TypeVar("Owner")
Result = typing.TypeVar("Result")


class cached(typing.Generic[Owner, Result]):  # noqa: N801 - it is used as a decorator
    """Decorates a method without arguments. Two threads that share an object may both compute it."""

    def __init__(self, compute: Callable[[Owner], Result]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type[Owner], name: str) -> None:
        self._name = name

    def __get__(self, instance: Owner, owner: type[Owner] | None = None) -> Result:
        # Python asks only where the object has no attribute of this name: the next time it has.
        result = self._compute(instance)
        instance.__dict__[self._name] = result
        return result
