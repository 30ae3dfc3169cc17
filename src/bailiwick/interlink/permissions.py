"""What a restricted API key may do: by resource and verb, checked at access and at the node. Pure.

Which permission a route needs follows from what the resources declare: reading is GET, all else is
writing, and who may write may read (https://docs.stripe.com/keys/restricted-api-keys). A route that
no resource declares is refused to restricted keys, so nothing opens to them by being forgotten.
"""

from collections.abc import Iterable

from bailiwick.base.errors import ApiError
from bailiwick.interlink.regional import PATH as RESIDENCY
from bailiwick.interlink.resource import Resource
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import parse_form

OTHERS = {"/v1/explain": "payment_intent"}
"""Routes that are no resource's, to the resource whose permission they need."""
FREE = frozenset({"/v1/topology", f"{RESIDENCY}{{identifier}}"})
"""Routes that every key may use: restricted ones see of the topology what publishable ones see.
The other is access's own question about an object that a request has named, answered yes or no."""
_NO_OBJECT = frozenset({"total_count"})
_NOTHING: tuple[str, ...] = ()


class Permissions:
    """The permission that each route needs."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._of = dict(OTHERS)
        self._expands: dict[str, str] = {}
        objects = set()
        for each in resources:
            objects.add(each.object)
            self._expands |= each.expands
            for path in each.paths:
                self._of[path.template] = each.object
        self.objects = frozenset(objects)

    def needed(self, template: str, method: str) -> tuple[str, str] | None:
        """Resource and verb that a route needs; None: it is not for restricted keys."""
        of = self._of.get(template)
        return None if of is None else (of, "read" if method == "GET" else "write")

    def require(self, who: Principal, template: str, method: str, query: bytes = b"") -> None:
        """Refuse what a restricted key may not do; with its query also what that would expand.

        Raises:
            ApiError: 403 naming the permission that is needed. 400: the query cannot be read.
        """
        if who.grants is None or template in FREE:
            return
        need = self.needed(template, method)
        if need is None:
            raise _refused(who, "This is a restricted API key, and the required permissions are "
                                "not available for use by restricted keys.")  # fmt: skip
        self._hold(who, *need)
        if b"expand" in query:
            expand = parse_form(query).get("expand")
            wishes = expand.values() if isinstance(expand, dict) else (expand or "",)
            self.require_expand(who, wishes)

    def require_expand(self, who: Principal, expand: Iterable[object] = _NOTHING) -> None:
        """Refuse to show a restricted key by expansion what it may not read.

        Raises:
            ApiError: 403.
        """
        if who.grants is None:
            return
        for wish in expand:
            last = str(wish).rpartition(".")[2]
            if last and last not in _NO_OBJECT:
                self._hold(who, self.expanded(last) or last[:64], "read")

    def expanded(self, name: str) -> str | None:
        """Whose object a field becomes when it is expanded: ``latest_charge`` a charge."""
        if name in self._expands:
            return self._expands[name]
        one = name.removesuffix("s")
        fits = [it for it in self.objects if one == it or one.endswith(f"_{it}")]
        return max(fits, key=len, default=None)

    def _hold(self, who: Principal, of: str, verb: str) -> None:
        held = (who.grants or {}).get(of, "none")
        if held != "write" and held != verb:
            raise _refused(
                who,
                f"Having the 'rak_{of}_{verb}' permission would allow this request to continue.",
            )


def _refused(who: Principal, why: str) -> ApiError:
    mode = "live" if who.livemode else "test"
    return ApiError.forbidden(
        f"The provided key 'rk_{mode}_***{who.last4}' does not have the required permissions for "
        f"this endpoint on account '{who.merchant.id}'. {why}"
    )
