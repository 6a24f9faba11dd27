"""What the data doctor has to say."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is.

    `ERROR` means that training fails or learns or is judged by something wrong; `WARNING` that it
    may go worse than it could; `NOTE` that it is good to know.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        severity: how bad it is.
        subject: a short name for its kind, as `off by one`.
        what: what was found, in one line.
        cure: what to do about it.
        examples: files or names, the first few.
    """

    severity: Severity
    subject: str
    what: str
    cure: str
    examples: tuple[str, ...] = ()
