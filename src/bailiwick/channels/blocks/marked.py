"""A mark on a charge's reference that it is only held, where no event says whether it is. Pure."""

from bailiwick.base.ids import is_id

HELD = "-hold"


def spelt(reference: str, automatic: bool) -> str:
    """Our reference of a charge as the provider gets it."""
    return reference if automatic else reference + HELD


def own(text: str | None) -> tuple[str, bool] | None:
    """Our reference on what a provider tells, of a charge or of what was asked of one, and whether
    it is marked as held; None where it is none of ours."""
    reference = (text or "").removesuffix(HELD)
    return (reference, reference != text) if is_id(reference) else None
