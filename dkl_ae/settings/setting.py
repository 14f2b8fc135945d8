"""What is known of a setting beside its value: its name for people, its unit, its bounds and what it does.

The panel's rows, the command line's options, the checks and the report's table are made from it.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping

from dkl_ae.records import UserError

Value = typing.Any
"""Of a setting: a text, a number, True or False."""

_METADATA: typing.Final = "setting"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting, as people are told of it."""

    key: str
    """Its name in files, in the panel's form and, with hyphens, on the command line; unique in a plan."""
    group: str
    """The attribute of the plan that holds its group."""
    name: str
    """The attribute of the group that holds it."""
    default: Value
    label: str
    help: str
    unit: str = ""
    minimum: float | None = None
    """The least value that is allowed."""
    above: float | None = None
    """What the value must exceed."""
    maximum: float | None = None
    choices: Mapping[str, str] | None = None
    """Key and label of each; None where a registry has them, or where anything may be given."""
    may_be_infinite: bool = False
    is_file: bool = False
    """Whether it names a file."""
    is_advanced: bool = False
    """Whether it is seldom changed."""

    @property
    def kind(self) -> type[typing.Any]:
        """int, float, bool or str."""
        return type(self.default)

    def check(self, value: Value) -> None:
        """Raises UserError, one sentence, for a value that cannot work."""
        if wrong := self._remedy(value):
            shown = f"'{value}'" if isinstance(value, str) else self.shown(value)
            raise UserError(f"{self.label} cannot be {shown}: {wrong}.")

    def _remedy(self, value: Value) -> str:
        """What to do about a value that cannot work; else empty."""
        if not isinstance(value, self._accepted) or (isinstance(value, bool) and self.kind is not bool):
            return f"give {_KINDS[self.kind]}"
        if self.choices is not None and value not in self.choices:
            return f"choose one of {', '.join(self.choices)}"
        if not isinstance(value, int | float):
            return ""
        if math.isnan(value) or (math.isinf(value) and not self.may_be_infinite):
            return "choose a number"
        is_low = (self.minimum is not None and value < self.minimum) or (self.above is not None and value <= self.above)
        is_high = self.maximum is not None and value > self.maximum
        return f"choose {self._bounds}" if is_low or is_high else ""

    def shown(self, value: Value) -> str:
        """A value with its unit."""
        return f"{to_text(value)} {self.unit}".rstrip()

    def read(self, text: str) -> Value:
        """The value that a text stands for; raises UserError, one sentence, for a text that stands for none."""
        if self.kind is str:
            return text
        text = text.strip()
        if self.kind is bool:
            return text == str(True)
        try:
            return self.kind(text)
        except ValueError:
            raise UserError(
                f"{self.label} cannot be '{text}': type {_KINDS[self.kind]} such as {to_text(self.default)}."
            ) from None

    @property
    def _accepted(self) -> tuple[type, ...]:
        return (int, float) if self.kind is float else (self.kind,)

    @property
    def _bounds(self) -> str:
        least = f"more than {self.above:g}" if self.above is not None else f"{self.minimum:g} or more"
        most = "" if self.maximum is None else f" and at most {self.maximum:,g}"
        return f"{least}{most} {self.unit}".rstrip() if most else least


_KINDS: typing.Final = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}


def setting(default: Value, label: str, help: str, *, key: str = "", **more: typing.Any) -> typing.Any:  # noqa: A002
    """The field of a setting in a frozen group.

    label, help: for people.
    key: where the field's name is not unique in a plan, or says too little on its own.
    more: see `Setting`.
    """
    return dataclasses.field(default=default, metadata={_METADATA: {"label": label, "help": help, "key": key, **more}})


def settings_of(group: str, kind: type) -> tuple[Setting, ...]:
    """Those of a group, in its order."""
    return tuple(
        Setting(
            **{**field.metadata[_METADATA], "key": field.metadata[_METADATA]["key"] or field.name},
            group=group,
            name=field.name,
            default=field.default,
        )
        for field in dataclasses.fields(kind)
    )


def to_text(value: Value) -> str:
    """A value as a person types it; `Setting.read` gives the same value back."""
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value or math.isnan(value) else repr(value)
    return str(value)
