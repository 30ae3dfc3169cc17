"""What a gateway's settings are checked for, wherever they come from."""

from collections.abc import Iterable
from pathlib import Path

from bailiwick.channels.contract import Account
from bailiwick.channels.registry import BadChannel, channel
from bailiwick.channels.transports import schemes
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime.settings import SettingsError, secret


def account(
    each: GatewaySettings, field: str, base: Path, values: dict[str, str] | None = None
) -> Account:
    """The account that a gateway's settings describe.

    Args:
        field: where the settings stand, for messages.
        base: what relative paths count from.
        values: its secrets, where they are not those that the settings refer to.

    Raises:
        SettingsError: naming field and remedy.
    """
    live = each.mode == "live"
    try:
        profile = channel(each.channel).profile
    except (LookupError, BadChannel) as error:
        raise SettingsError(f"{field}.channel: {error.args[0]}") from None
    known = each.secrets if values is None else values
    missing = [name for name in profile.secrets if not known.get(name)]
    if missing and values is not None:
        raise SettingsError(f"{field}.secrets: {', '.join(missing)} missing; give --secret")
    if missing:
        raise SettingsError(
            f"{field}.secrets: {', '.join(missing)} missing; "
            f'add e.g. {missing[0]} = "env:NAME" or "file:PATH"'
        )
    unknown = [name for name in profile.options if not each.options.get(name)]
    if unknown:
        raise SettingsError(
            f'{field}.options: {", ".join(unknown)} missing; add e.g. {unknown[0]} = "...", as '
            "the channel's page says"
        )
    surplus = sorted(set(each.options) - {*profile.options, *profile.other_options})
    if surplus:
        raise SettingsError(
            f"{field}.options.{surplus[0]}: {profile.title} knows no such option; remove it"
        )
    plain, encrypted = schemes(profile.transport)
    if live and not each.base_url.startswith(f"{encrypted}://"):
        raise SettingsError(f"{field}.base_url: live mode needs {encrypted}")
    if not each.base_url.startswith((f"{plain}://", f"{encrypted}://")):
        raise SettingsError(f"{field}.base_url: must begin with {encrypted}:// or {plain}://")
    if values is None:
        values = {
            name: secret(reference, base=base, field=f"{field}.secrets.{name}", plain=not live)
            for name, reference in each.secrets.items()
        }
    return Account(each.name, each.base_url.rstrip("/"), values, live, each.options)


def unknown_secrets(each: str, names: Iterable[str]) -> list[str]:
    """Those of the names by which a channel knows no secret. Raises SettingsError."""
    try:
        profile = channel(each).profile
    except (LookupError, BadChannel) as error:
        raise SettingsError(f"channel: {error.args[0]}") from None
    known = {*profile.secrets, *getattr(profile.callbacks, "secrets", ())}
    return sorted(set(names) - known)


def vault_problems(gateways: list[GatewaySettings]) -> list[str]:
    """Gateways that share a vault are entries for one account: of one channel, in one mode."""
    first: dict[str, GatewaySettings] = {}
    problems = []
    for place, each in enumerate(gateways):
        other = first.setdefault(each.vault_name, each)
        if (other.channel, other.mode) != (each.channel, each.mode):
            problems.append(
                f"gateways[{place}].vault: '{each.vault_name}' is that of gateway '{other.name}', "
                f"which is channel {other.channel} in {other.mode} mode; one account's gateways "
                "have one channel and mode. Give it another"
            )
    return problems
