"""Errors that are told to a person."""

from __future__ import annotations


class UserError(ValueError):
    """What a person asked for cannot be done; the message is one sentence: what is wrong, and what to do.

    It alone is shown as it is. Any other exception is a failure of the program, which is logged with its traceback.
    """


class InstrumentError(UserError):
    """The microscope could not do what was asked; the message is one sentence for the operator."""
