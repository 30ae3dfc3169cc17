"""What requests about accounts may carry."""

import msgspec

from bailiwick.serving.params import Expand


class RetrieveAccount(msgspec.Struct, frozen=True):
    """GET /v1/account and /v1/accounts/{id}"""

    expand: Expand = []
