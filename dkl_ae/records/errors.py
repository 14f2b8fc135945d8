"""Errors that are told to a person."""

from __future__ import annotations

import logging
import typing

logger = logging.getLogger(__name__)

_LONGEST_SENTENCE: typing.Final = 1000
_LONGEST_FOREIGN: typing.Final = 200
"""In letters: of what is written for a person, and of what any other program says of itself."""


class UserError(ValueError):
    """What a person asked for cannot be done; the message is one sentence: what is wrong, and what to do.

    It alone is shown as it is. Any other exception is a failure of the program, which is logged with its traceback.
    """


class InstrumentError(UserError):
    """The microscope could not do what was asked; the message is one sentence for the operator."""


class MendableError(InstrumentError):
    """What the person at the microscope can mend: the run waits for that, and goes on; the message says what to do."""


def brief(error: BaseException, longest: int = _LONGEST_FOREIGN) -> str:
    """What an exception says, in one line of so many letters at most; the log has the whole of what is left out.

    One that says nothing is told by its name.
    """
    try:
        text = str(error)
    except Exception:
        # It may be anyone's class.
        text = ""
    line = " ".join(text.split())
    if len(line) > longest:
        logger.warning("In full: %s", text)
        line = f"{line[: longest - 3]}..."
    return line or type(error).__name__


def sentence_of(error: BaseException, consequence: str = "") -> str:
    """What a person is told of an exception; whoever catches one that is no UserError logs it too.

    consequence: what a failure of the program means for what was under way.
    """
    if isinstance(error, UserError):
        return brief(error, _LONGEST_SENTENCE)
    if not isinstance(error, Exception):
        return f"Stopped by {type(error).__name__}: {consequence or 'the program is to end'}."
    what_now = f"{consequence}; see the log for details." if consequence else "see the log for details."
    return f"The program failed unexpectedly ({described(error)}): {what_now}"


def described(error: BaseException) -> str:
    """Name and text of an exception that was not written for a person."""
    name, text = type(error).__name__, brief(error)
    return name if text == name else f"{name}: {text}"
