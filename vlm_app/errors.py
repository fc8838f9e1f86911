"""Errors that a person can act on.

An `AppError` carries one sentence that is shown as it is: what was expected, what was
found, what to do. Anything else that is raised is a bug: it is logged with its traceback
and shown as one short line with an id.
"""


class AppError(Exception):
    """A sentence for the user. Subclasses name the room that raised it."""

    @property
    def sentence(self) -> str:
        """The text to show."""
        return str(self)


class BadInput(AppError):
    """What the user gave cannot be used: a file, a message, a setting or an option."""


class TooMuch(BadInput):
    """What was given is larger, or would need more room, than the role of whoever asks may have."""


class TooMany(BadInput):
    """Whoever asks has more going on at once, or asked more lately, than their role may."""


class NotFound(AppError):
    """Something asked for by id does not exist, or belongs to somebody else."""


class NotAllowed(AppError):
    """The role of whoever asks is not enough for what they ask."""


class ModelUnavailable(AppError):
    """A model cannot be found, loaded or used for the task that was asked."""


class GenerationFailed(AppError):
    """A model was loaded and started to answer, and could not finish."""
