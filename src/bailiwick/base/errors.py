"""The closed tree of errors that reach a client, split by what the caller may do about them.

===============  ======================================================  ======================
Constructor      Meaning                                                 The caller may
===============  ======================================================  ======================
``invalid``      the request is wrong (400, or as given)                 correct and resend
``missing``      no such object for this merchant (404)                  correct and resend
``unauthorized`` no or wrong API key (401)                               correct and resend
``forbidden``    the key may not do this (403)                           use another key
``mismatch``     same idempotency key, different request (400)           use a new key
``conflict``     something else is under way on the object (409)         retry the same key
``unavailable``  not now (503)                                           retry the same key
``defect``       our own fault (500)                                     retry the same key
===============  ======================================================  ======================

A decline is data, not an error of this tree: see ``resources.payments.render``.
Shapes follow https://docs.stripe.com/api/errors.
"""

from typing import Any


class ApiError(Exception):
    """An answer to the client in the standard error shape.

    Attributes:
        status: HTTP status code.
        type: ``invalid_request_error``, ``idempotency_error``, ``card_error`` or ``api_error``.
        code: stable machine-readable word, or None.
        param: name of the field at fault, in bracket notation, or None.
        retry: whether an SDK should try the same request again.
        headers: further response headers.
        extra: further members of the error object.
    """

    def __init__(
        self,
        status: int,
        type: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry: bool = False,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message
        self.code = code
        self.param = param
        self.retry = retry
        self.headers = headers or {}
        self.extra = extra or {}

    @classmethod
    def invalid(
        cls,
        message: str,
        *,
        param: str | None = None,
        code: str | None = "parameter_invalid",
        status: int = 400,
    ) -> "ApiError":
        return cls(status, "invalid_request_error", message, code=code, param=param)

    @classmethod
    def missing(cls, kind: str, identifier: str, *, param: str | None = "id") -> "ApiError":
        return cls(
            404,
            "invalid_request_error",
            f"No such {kind}: '{identifier[:64]}'",
            code="resource_missing",
            param=param,
        )

    @classmethod
    def unauthorized(cls, message: str) -> "ApiError":
        return cls(401, "invalid_request_error", message, code="api_key_invalid")

    @classmethod
    def forbidden(cls, message: str) -> "ApiError":
        return cls(403, "invalid_request_error", message, code="permission_denied")

    @classmethod
    def mismatch(cls) -> "ApiError":
        return cls(
            400,
            "idempotency_error",
            "Keys for idempotent requests can only be used with the same parameters they were "
            "first used with. Use a new Idempotency-Key for a different request.",
        )

    @classmethod
    def conflict(cls, message: str, *, code: str = "lock_timeout") -> "ApiError":
        return cls(409, "invalid_request_error", message, code=code, retry=True)

    @classmethod
    def unavailable(
        cls, message: str, *, code: str = "unavailable", retry_after_s: int = 1
    ) -> "ApiError":
        headers = {"Retry-After": str(retry_after_s)}
        return cls(503, "api_error", message, code=code, retry=True, headers=headers)

    @classmethod
    def defect(cls) -> "ApiError":
        return cls(
            500,
            "api_error",
            "Something went wrong on our side. Retry with the same Idempotency-Key.",
            code="internal_error",
            retry=True,
        )

    def body(self) -> dict[str, Any]:
        """The error as the standard answer's JSON object."""
        error: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.code is not None:
            error["code"] = self.code
        if self.param is not None:
            error["param"] = self.param
        error.update(self.extra)
        return {"error": error}
