"""Which run a data item belongs to."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from dkl_ae.settings import Plan, values_of


@dataclasses.dataclass(frozen=True)
class RunDescription:
    """What every data item of a run tells of it."""

    title: str
    session: pathlib.Path
    """The file that keeps the same."""

    def of(self, plan: Plan) -> dict[str, typing.Any]:
        """For the metadata of an item; plan: as it was when it was made."""
        return {"run": self.title, "session": str(self.session), "plan": values_of(plan)}
