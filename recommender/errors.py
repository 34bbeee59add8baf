"""What can stop a run. A candidate that fails is not here: it is an `Outcome` with a reason.

RecommenderError
├── UsageError            2   an option or value the user gave makes no sense
├── ModelError            3   the ONNX file cannot be read, imported or lowered
├── NothingMeasuredError  4   no candidate could be built and timed
├── SetupError            5   a dependency, a tool or a version is missing or wrong
├── VerificationError     6   the compiled model does not compute what the reference computes
├── DataError             7   a store, a library or a ranker cannot be used
└── OutputError           8   the output folder cannot be written

The number is the exit code of the command line. Every message says what is wrong and what to do next.
"""

from typing import ClassVar


class RecommenderError(Exception):
    """Root of every expected failure of a run; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 1


class UsageError(RecommenderError):
    """An option or a value makes no sense."""

    exit_code = 2


class ModelError(RecommenderError):
    """The model cannot be read, imported or lowered."""

    exit_code = 3


class NothingMeasuredError(RecommenderError):
    """Not one candidate could be built and timed."""

    exit_code = 4


class SetupError(RecommenderError):
    """A dependency, a tool or a version is missing or wrong."""

    exit_code = 5


class VerificationError(RecommenderError):
    """The compiled model's outputs differ from the reference."""

    exit_code = 6


class DataError(RecommenderError):
    """A store, a library or a ranker cannot be used as it is."""

    exit_code = 7


class OutputError(RecommenderError):
    """The output folder cannot be written."""

    exit_code = 8


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether Python, or C++ behind TVM, got no memory."""
    return isinstance(exc, MemoryError) or "bad_alloc" in str(exc)


OUR_MISTAKES = (NameError, AttributeError, TypeError, AssertionError)
"""What only a mistake in this project raises: it ends a run, as no candidate is to blame for it."""
