"""What the configuration says of any plugin: whether it runs, and what becomes of it when it fails."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trichat._base.errors import ConfigError
from trichat._config.options import Config, Options, Seconds, to_options
from trichat._config.settings import Place

# Seconds that a call or a lifespan of any plugin has for its cleanup after it was cancelled.
CLEANUP = 1.0


class Policy(Options, frozen=True, kw_only=True):
    """The keys that the table of every plugin may have, beside its own options."""

    enabled: Annotated[bool, "Whether the plugin runs."] = True
    on_error: Annotated[
        Literal["refuse", "skip", "stop"] | None,
        'What its failure does: "refuse" what it was asked or told of, "skip" it as if it had no answer, "stop" the '
        "server. By default it refuses where it is asked, and is skipped where it is told.",
    ] = None
    required: Annotated[
        bool | None, "Whether nobody gets a batch whose on_broadcast fails; by default what the plugin says of itself."
    ] = None
    hook_timeout: Annotated[Seconds | None, "Seconds that one call of it may take; by default what [server] says."] = (
        None
    )
    quarantine_after: Annotated[
        int, Meta(ge=0), "Failures within a minute after which it is told nothing any more; 0 for never."
    ] = 5
    shadow: Annotated[
        bool, "Whether it runs without effect: what it would have done to the chat is logged, and not done."
    ] = False

    def in_effect(self) -> "Policy":
        """Return what it comes to: a plugin in shadow refuses nothing and stops nothing, whatever else is said."""
        return msgspec.structs.replace(self, on_error="skip", required=False) if self.shadow else self

    def requires(self, plugin: object) -> bool:
        """Whether a batch that the plugin fails on is sent to nobody."""
        if self.required is not None:
            return self.required
        by_itself = bool(getattr(plugin, "required", False))
        return {"refuse": True, "skip": False}.get(self.on_error or "", by_itself)


KEYS = tuple(field.name for field in msgspec.structs.fields(Policy))


def split_policy(
    table: Mapping[str, object], place: Place, faults: list[str]
) -> tuple[Policy | None, Mapping[str, Any]]:
    """Split the table of a plugin into its policy and its own options; `None` and a fault if the policy is wrong."""
    given = {key: value for key, value in table.items() if key in KEYS}
    own = {key: value for key, value in table.items() if key not in KEYS}
    return to_options(Policy, given, place, faults) if given else Policy(), own


def policy_of(config: Config, name: str) -> Policy:
    """Return the policy for a plugin. Raises `ConfigError`."""
    faults: list[str] = []
    policy, _ = split_policy(config.plugins.get(name, {}), config.place("plugins", name), faults)
    if policy is None:
        raise ConfigError(faults)
    return policy
