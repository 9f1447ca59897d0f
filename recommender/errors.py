"""Every error this product raises on purpose.

One type per thing that a caller can do about it::

    RecommenderError
    ├── InvalidInput          the caller sent something wrong: correct it and send again
    │   └── InvalidRating     ... a rating that cannot be learned
    ├── InvalidSetting        an environment variable has a wrong value: correct it and start again
    ├── InvalidData           a file of ratings or films cannot be read as such
    ├── UnknownModel          there is no model of that number: look at the list
    ├── Refused               it does not fit how things are: look at them, then ask otherwise
    ├── Unavailable           a store does not answer: try again later
    ├── Fenced                another modeler has taken over this model: stop
    └── MissingRequirement    the machine lacks something (Java, a port, a download)
"""

from __future__ import annotations


class RecommenderError(Exception):
    """Root of all errors raised on purpose; its message can be shown to a person."""


class InvalidInput(RecommenderError):
    """Input that is wrong in one field.

    Parameters
    ----------
    field : str
        The field's name as the caller wrote it, e.g. ``rating``.
    value : object
        What was sent.
    allowed : str
        What would have been right, e.g. ``a number from 0.5 to 5``.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"{field}: {shown} is not allowed; expected {allowed}")


class InvalidRating(InvalidInput):
    """A rating that cannot be learned; in the log it becomes a dead letter."""


class InvalidSetting(RecommenderError):
    """A setting with a wrong value; the service does not start."""


class InvalidData(RecommenderError):
    """A file that is not ratings or films; the message names the file, line and column."""


class UnknownModel(RecommenderError):
    """A number that no model has."""

    def __init__(self, model: int) -> None:
        super().__init__(f"there is no model {model}")


class Refused(RecommenderError):
    """What was asked for does not fit the state of things; the message says why."""


class Unavailable(RecommenderError):
    """A store did not answer in time; nothing was lost, and trying again later is right."""

    def __init__(self, store: str, reason: str) -> None:
        self.store = store
        super().__init__(f"{store} is not available: {reason}")


class Fenced(RecommenderError):
    """Another modeler has taken over the model that this one was learning."""


class MissingRequirement(RecommenderError):
    """Something this machine lacks; the message says in one sentence what, and the way out."""
