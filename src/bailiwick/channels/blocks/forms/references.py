"""Our references where a provider takes nothing but letters and digits. Pure."""

import re

# What follows the prefix begins with its time, whose first digit is 0 until the year 2248.
_BARE = re.compile(r"([a-z]{2,7})(0[0-9a-hjkmnp-tv-z]{25})([1-9][0-9]{0,4})?")


def bare(reference: str) -> str:
    """Our reference without its underscores."""
    return reference.replace("_", "")


def own(text: str | None) -> str | None:
    """Our reference of what ``bare`` made of it; None for what is none of ours."""
    found = _BARE.fullmatch(text or "")
    if found is None:
        return None
    return "_".join(part for part in found.groups() if part is not None)
