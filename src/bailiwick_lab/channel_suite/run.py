"""Every check over one channel, and what each of them saw."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bailiwick_lab.channel_suite import checks
from bailiwick_lab.channel_suite.subject import Failed, Subject


class Checked(NamedTuple):
    """A check and what it saw: None where all is well."""

    name: str
    seen: str | None


def run(it: Subject) -> Iterator[Checked]:
    """One check after the other; a channel that raises fails the check that called it."""
    for name, check in checks.every().items():
        try:
            check(it)
        except Failed as failed:
            yield Checked(name, str(failed))
        except Exception as error:  # whatever a channel under test does
            yield Checked(name, _told(error))
        else:
            yield Checked(name, None)


def _told(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    file = Path(last.filename)
    where = f"{file.parent.name}/{file.name}:{last.lineno}"
    return f"{type(error).__name__} at {where}: {error}"
