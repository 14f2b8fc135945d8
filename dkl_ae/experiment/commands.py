"""What an operator may change during a run. A command is data: it is logged, and applied by `Experiment.apply`.

To add a command, add its record here, what it does in `Experiment.apply`, and nothing else: sessions keep every command
by its name and its fields, and resuming applies them again in their order.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping

from dkl_ae.records import Measurement, UserError
from dkl_ae.settings import Plan, changed


@dataclasses.dataclass(frozen=True)
class ChangeObjective:
    """Optimize another reading, or towards another goal: a new model learns from the readings that were logged.

    Attributes
    ----------
    scalarizer : str
        Its name.
    goal : str
        "largest", "smallest" or "value".
    goal_value : float
        The value that is looked for, in the scalarizer's unit; counts for the goal "value" alone.
    """

    scalarizer: str
    goal: str
    goal_value: float = 0.0

    def changed(self, plan: Plan) -> Plan:
        """The plan as it is from then on; raises UserError for a goal that there is not."""
        return changed(plan, **dataclasses.asdict(self))


Command = ChangeObjective
"""Any of them."""

Entry = Measurement | Command
"""Of an experiment's history: what was measured and what was changed, in their order."""

_COMMANDS: typing.Final[Mapping[str, type[Command]]] = {"change_objective": ChangeObjective}


def command_to_json(command: Command) -> str:
    """A command as text; `command_from_json` gives the same command back."""
    (name,) = (name for name, kind in _COMMANDS.items() if isinstance(command, kind))
    return json.dumps({"command": name, **dataclasses.asdict(command)})


def command_from_json(text: str) -> Command:
    """Raises UserError for a text that is no command of this version."""
    try:
        values = dict(json.loads(text))
        return _COMMANDS[values.pop("command")](**values)
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"'{text}' is no command that is known: update dkl-ae.") from error
