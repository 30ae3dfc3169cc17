"""The sandbox's providers with access tokens (``token_lasts_ms`` in the sandbox's settings): the
protocol of ``channels/sandbox``, of which cards alone, with a preparation.
"""

from bailiwick.channels.blocks import oauth, requests
from bailiwick.channels.contract import (
    ON_CHARGES,
    Account,
    Instruction,
    Prepared,
    Profile,
    Refused,
    Reply,
    Request,
)
from bailiwick.channels.sandbox import SandboxChannel
from bailiwick.channels.sandbox.declared import PROFILE as SANDBOX

_TOKENS = oauth.ClientCredentials("the sandbox", "/oauth/token")

PROFILE = Profile(
    name="sandbox_oauth",
    title="Sandbox provider with access tokens",
    resolve={each: SANDBOX.resolve[each] for each in ON_CHARGES},
    visibility_ms=SANDBOX.visibility_ms,
    replay_ms=SANDBOX.replay_ms,
    exponents=SANDBOX.exponents,
    partial_approval=True,
    secrets=(_TOKENS.client, _TOKENS.secret, "callback_secret"),
    secret_headers=SANDBOX.secret_headers,
    preparations=("token",),
    callbacks=SANDBOX.callbacks,
    shared_tokens=SANDBOX.shared_tokens,
)


class SandboxOauthChannel(SandboxChannel):
    """See the module's description."""

    profile: Profile = PROFILE

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        return _TOKENS.request(account)

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        return _TOKENS.read(reply)

    def authenticated(self, account: Account) -> dict[str, str]:
        return oauth.bearer(account)

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("the sandbox", reply, _TOKENS.secret)

    def request(self, instruction: Instruction, account: Account) -> Request:
        requests.only_declared(PROFILE, instruction)
        return super().request(instruction, account)


CHANNEL = SandboxOauthChannel()
