"""A provider's no, told from what decides nothing. Pure."""

from bailiwick.channels.blocks import parsing, words
from bailiwick.channels.contract import Outcome, Reply, Result, unknown


def refusal(reply: Reply, code: str | None, message: str | None) -> Result:
    """What an answer that is no success says of a request that may have moved money.

    Definite is a 4xx with the provider's own ``code``: one without may be a middlebox's. 408 and
    409 say nothing of how it ended.
    """
    if not code or not 400 <= reply.status < 500 or reply.status in (408, 409):
        return unknown(parsing.not_answered(reply))
    sentence = parsing.sentence(message)
    if (why := parsing.refused(reply.status, code)) is not None:
        return Result(
            Outcome.DECLINED, code="processing_error", message=sentence, retryable=True, detail=why
        )
    found = parsing.word(code) or "invalid_request"
    return Result(Outcome.DECLINED, code=found, message=sentence, detail="refused")


def declined(provider_ref: str | None, reason: str | None) -> Result:
    """A charge that was declined, for a reason in the vocabulary of the format's decline codes."""
    word = parsing.word(reason)
    return Result(
        Outcome.DECLINED,
        provider_ref,
        code="card_declined",
        decline_code=word,
        retryable=word in words.RETRYABLE_DECLINES,
        detail="declined",
    )
