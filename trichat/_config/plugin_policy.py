"""The keys that every plugin has in the configuration: whether it runs, and what its failures do."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trichat._base.errors import ConfigError
from trichat._config.options import Config, Options, Seconds, to_options
from trichat._config.settings import Place

# Seconds that a plugin's call or lifespan has for its cleanup after it was cancelled.
CLEANUP = 1.0


class Policy(Options, frozen=True, kw_only=True):
    """The keys that the table of every plugin may have, besides the plugin's own options."""

    enabled: Annotated[bool, "Whether the plugin runs."] = True
    on_error: Annotated[
        Literal["refuse", "skip", "stop"] | None,
        'The effect of a failure: "refuse" what the plugin was asked or told; "skip" the plugin, as if it had not '
        'answered; "stop" the server. By default a hook that asks refuses, and a hook that tells skips.',
    ] = None
    required: Annotated[
        bool | None,
        "Whether a batch is sent to nobody if the plugin's on_broadcast fails; by default what the plugin says of "
        "itself.",
    ] = None
    hook_timeout: Annotated[
        Seconds | None, "Seconds that one call of the plugin may take; by default the hook_timeout of [server]."
    ] = None
    quarantine_after: Annotated[
        int,
        Meta(ge=0),
        "Failures within a minute after which the plugin is told nothing until it reloads; 0 for never.",
    ] = 5
    shadow: Annotated[
        bool, "Whether the plugin runs without effect: what it would have done to the chat is logged, and not done."
    ] = False

    def in_effect(self) -> "Policy":
        """Return the policy that applies: a plugin in shadow never refuses anything and never stops the server."""
        return msgspec.structs.replace(self, on_error="skip", required=False) if self.shadow else self

    def requires(self, plugin: object) -> bool:
        """Whether a batch is sent to nobody if the plugin's `on_broadcast` fails."""
        if self.required is not None:
            return self.required
        by_itself = bool(getattr(plugin, "required", False))
        return {"refuse": True, "skip": False}.get(self.on_error or "", by_itself)


KEYS = tuple(field.name for field in msgspec.structs.fields(Policy))


def split_policy(
    table: Mapping[str, object], place: Place, faults: list[str]
) -> tuple[Policy | None, Mapping[str, Any]]:
    """Split the table of a plugin into its policy and its own options.

    If the policy is wrong, it is `None`, and `faults` has the reason.
    """
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
