"""Slash commands, as plugins contribute them: marked functions with typed arguments, or `Command` objects."""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, NewType, TypeVar, get_type_hints

import msgspec

from trichat._base.errors import PluginError
from trichat._base.failures import described, pass_on
from trichat._base.messages import Refuse

if TYPE_CHECKING:
    from trichat._chat.client import Client

F = TypeVar("F", bound=Callable[..., Any])

Room = NewType("Room", str)
"""The room in which a command was given: a parameter of a command that has this type gets its name.

That is not always `client.room`. Some fronts let a client be in several rooms, and give a command in any of them.
"""

Answered = Awaitable[str | Refuse | None] | str | Refuse | None
"""What running a command returns: the answer for the client, or an awaitable of it."""

# The name of a command, or of a request of the control socket.
NAME = re.compile(r"[a-z][a-z0-9-]*")

_MARK = "trichat_command"


class Who(Enum):
    """Who may give a command, or is told something."""

    EVERYONE = "everyone"
    OPERATORS = "operators"


everyone = Who.EVERYONE
operators = Who.OPERATORS
"""Clients that may `"operate"`: `client.is_operator`."""


class TakesRoom(ABC):
    """The `run` of a command that can be told in which room it was given."""

    @abstractmethod
    def run_in(self, client: "Client", arguments: str, room: Room) -> Answered:
        """Run the command."""

    def __call__(self, client: "Client", arguments: str) -> Answered:
        """Run the command in the room that the client speaks in."""
        return self.run_in(client, arguments, Room(client.room))


@dataclass(frozen=True)
class Command:
    """A line that begins with `/name`. `run(client, arguments)` is called with the rest of the line, stripped."""

    name: str
    """Without the slash: lower-case letters, digits and hyphens."""
    help: str
    """What it does, in a few words."""
    run: "Callable[[Client, str], Answered]"
    """The client is sent what it returns: text, or why it is refused. It may send more itself."""
    arguments: str = ""
    """The arguments as the usage shows them: `[NAME]`."""
    plugin: str = ""
    """The plugin that contributes it; the server fills this in."""
    who: Who = everyone
    """Who may give it: `operators` is short for the action `"operate"`."""
    hint: str = ""
    """What the welcome line says about it to clients that may give it, such as `bye leaves`; empty for nothing."""
    action: str = ""
    """The action that a client needs permission for to give it, such as `kick`; empty if it needs none."""
    group: str = ""
    """Where `/help` lists it; the server fills in the name of the plugin if it is empty."""
    secret: bool = False
    """Whether its arguments are secret. Then no log line, usage, report of a shadow or record of the test kit has them.
    What the function itself answers, sends and logs is up to the function."""

    @property
    def usage(self) -> str:
        """How to type it."""
        return f"/{self.name} {self.arguments}".rstrip()

    def refusal(self, client: "Client", room: str = "") -> Refuse | None:
        """Return why `client` may not give it in a room, by default the one that it speaks in, or `None` if it may."""
        by_alias = "operate" if self.who is operators else ""
        for action in filter(None, (by_alias, self.action)):
            refusal = client.server.refusal(client, action, room or client.room, what=f"/{self.name}")
            if refusal is not None:
                return refusal
        return None

    def run_in(self, client: "Client", arguments: str, room: str) -> Answered:
        """Run it for a client that gives it in this room. Unlike `run`, it hands the room to a function that asks."""
        if isinstance(self.run, TakesRoom):
            return self.run.run_in(client, arguments, Room(room))
        return self.run(client, arguments)


class _Parameter(NamedTuple):
    name: str
    type: Any
    default: Any
    kind: Any

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def takes_all(self) -> bool:
        """Whether it is `*words`."""
        return self.kind is inspect.Parameter.VAR_POSITIONAL

    @property
    def by_name(self) -> bool:
        return self.kind is inspect.Parameter.KEYWORD_ONLY


class _Mark(msgspec.Struct, frozen=True, dict=True):
    function: Callable[..., Any]
    name: str
    arguments: str | None
    help: str
    who: Who
    hint: str
    action: str
    group: str
    secret: bool

    @cached_property
    def parameters(self) -> list[_Parameter]:
        """The parameters of the function. Cached: tests build many plugins of one class, and the lookup is slow."""
        try:
            types = get_type_hints(self.function)
        except (NameError, AttributeError, SyntaxError, TypeError) as error:
            raise PluginError(f"cannot resolve the types of the arguments of /{self.name}: {error}") from None
        return [
            _Parameter(each.name, types.get(each.name, str), each.default, each.kind)
            for each in inspect.signature(self.function).parameters.values()
        ]


def command(
    name: str,
    arguments: str | None = None,
    *,
    help: str,  # noqa: A002 - the name that authors expect
    who: Who = everyone,
    hint: str = "",
    action: str = "",
    group: str = "",
    secret: bool = False,
) -> Callable[[F], F]:
    """Mark a function of a plugin as the command `/name`.

    The function is called with the client and with each word that follows the command. A word is converted to the type
    of its parameter: `int`, `float`, `str`, a `Literal`, or anything else that msgspec can read from a word. A last
    parameter of type `str` takes the rest of the line; `*words` takes all remaining words, one by one. A parameter with
    a default is optional. If the words do not fit, the client is sent the usage: `arguments`, by default the names of
    the parameters. A parameter of the type `Room` is not a word: it gets the room in which the command is given.

    The client is sent what the function returns. The welcome line ends with the `hint`, if there is one. With an
    `action`, such as `"kick"`, the command is for those who may do that in the room in which they give it. `/help`
    lists it in its `group`, by default the name of the plugin. If it is `secret`, nothing that the server logs or
    records has what was typed after its name. Raises `ValueError` if `name` cannot be the name of a command.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a command; use a name like 'roll' or 'roll-2'")

    def mark(function: F) -> F:
        setattr(function, _MARK, _Mark(function, name, arguments, help, who, hint, action, group, secret))
        return function

    return mark


def is_command(function: object) -> bool:
    """Whether a function is marked by `command`."""
    return hasattr(function, _MARK)


def marked_commands(plugin: object) -> Iterator[Command]:
    """Yield the commands of a plugin's marked functions. Raises `PluginError` for a function that cannot be one."""
    own = getattr(plugin, "__dict__", {})
    for attribute in dir(plugin):
        if not attribute.startswith("__") and is_command(own.get(attribute, getattr(type(plugin), attribute, None))):
            function = getattr(plugin, attribute)
            mark: _Mark = getattr(function, _MARK)
            typed = _Typed(mark, function)
            yield Command(
                mark.name,
                mark.help,
                typed,
                typed.arguments,
                who=mark.who,
                hint=mark.hint,
                action=mark.action,
                group=mark.group,
                secret=mark.secret,
            )


def parameter_types(command: Command) -> list[Any]:
    """Return the types of the words of a command that is a marked function; an empty list for any other."""
    run = inspect.unwrap(command.run)
    return [each.type for each in run.words] if isinstance(run, _Typed) else []


class _Typed(TakesRoom):
    """Calls a function with what a client typed, converted to the types of its parameters."""

    def __init__(self, mark: _Mark, function: Callable[..., Any]) -> None:
        self._function = function
        parameters = mark.parameters[inspect.ismethod(function) :]  # without `self`
        if not parameters or parameters[0].type is Room:
            raise PluginError(f"the function of /{mark.name} must take the client as its first argument")
        self._parameters = parameters[1:]
        self.words = [each for each in self._parameters if each.type is not Room]
        names = [_shown(parameter) for parameter in self.words]
        self.arguments = " ".join(names) if mark.arguments is None else mark.arguments
        self._usage = f"usage: /{mark.name} {self.arguments}".rstrip()
        self._is_secret = mark.secret

    def run_in(self, client: "Client", arguments: str, room: Room) -> Answered:
        try:
            words = dict(self._convert(arguments.strip()))
        except msgspec.ValidationError as error:
            # The error quotes a word.
            return Refuse(f"{error}; {self._usage}" if str(error) and not self._is_secret else self._usage, "usage")
        in_order: list[object] = []
        by_name: dict[str, object] = {}
        for parameter in self._parameters:
            values = [room] if parameter.type is Room else words[parameter.name]
            if parameter.by_name:
                [by_name[parameter.name]] = values
            else:
                in_order += values
        answered: Answered = self._function(client, *in_order, **by_name)
        return answered

    def _convert(self, text: str) -> Iterator[tuple[str, list[object]]]:
        """Yield the value of each parameter that takes words, in a list: `*words` has any number of them.

        Raises `ValidationError`; it has no text if there are too few or too many words.
        """
        for parameter in self.words:
            if parameter.takes_all:
                yield parameter.name, [_converted(word, parameter.type) for word in text.split()]
                text = ""
            elif not text:
                if parameter.required:
                    raise msgspec.ValidationError
                yield parameter.name, [parameter.default]
            elif parameter.type is str and parameter is self.words[-1]:
                yield parameter.name, [text]
                text = ""
            else:
                word, _, text = text.partition(" ")
                text = text.lstrip()
                yield parameter.name, [_converted(word, parameter.type)]
        if text:
            raise msgspec.ValidationError


def _shown(parameter: _Parameter) -> str:
    name = parameter.name.upper()
    if parameter.takes_all:
        return f"[{name} ...]"
    return name if parameter.required else f"[{name}]"


def _converted(word: str, wanted: Any) -> object:
    try:
        return msgspec.convert(word, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{word!r}: {error}") from None


def command_table(contributions: Iterable[tuple[str, Iterable[Command]]]) -> Mapping[str, Command]:
    """Return all commands by name. Raises `PluginError` if two plugins contribute the same one."""
    table: dict[str, Command] = {}
    for plugin, contribution in contributions:
        for command in _commands(plugin, contribution):
            other = table.get(command.name)
            if other is not None:
                raise PluginError(f"plugins {other.plugin!r} and {plugin!r} both have the command /{command.name}")
            table[command.name] = replace(command, plugin=plugin, group=command.group or plugin)
    return table


# The types of a command's fields. A wrong one would fail for everyone who joins or asks for help, and blame no plugin.
_FIELDS = {"help": str, "arguments": str, "who": Who, "hint": str, "action": str, "group": str, "secret": bool}


def _commands(plugin: str, contribution: Iterable[Command]) -> Iterable[Command]:
    try:
        commands = list(contribution)
    except BaseException as error:
        pass_on(error)
        raise PluginError(f"plugin {plugin!r} failed in commands: {described(error)}") from error
    for command in commands:
        if not isinstance(command, Command) or not NAME.fullmatch(command.name):
            raise PluginError(
                f"plugin {plugin!r} contributes {described(command)}; expected a Command with a name like 'roll' or "
                "'roll-2'"
            )
        for field, wanted in _FIELDS.items():
            value = getattr(command, field)
            if not isinstance(value, wanted):
                expected = f"expected {wanted.__name__}"
                raise PluginError(f"plugin {plugin!r}: {field} of /{command.name} is {described(value)}; {expected}")
    return commands
