"""Errors that are told to a person."""

from __future__ import annotations


class UserError(ValueError):
    """What a person asked for cannot be done; the message is one sentence: what is wrong, and what to do.

    It alone is shown as it is. Any other exception is a failure of the program, which is logged with its traceback.
    """


class InstrumentError(UserError):
    """The microscope could not do what was asked; the message is one sentence for the operator."""


def sentence_of(error: Exception, consequence: str = "") -> str:
    """What a person is told of an exception; whoever catches one that is no UserError logs it too.

    consequence: what a failure of the program means for what was under way.
    """
    if isinstance(error, UserError):
        return str(error)
    what_now = f"{consequence}; see the log for details." if consequence else "see the log for details."
    return f"The program failed unexpectedly ({type(error).__name__}: {error}): {what_now}"
