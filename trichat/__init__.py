"""trichat: a chat server for programmers, on Trio and pluggy.

Everything that a plugin or an embedding program needs is here; the hooks themselves are described in
`trichat.hookspecs`.
"""

from msgspec import Meta as Meta

from trichat._choices import load_plugins as load_plugins
from trichat._client import Client as Client
from trichat._commands import Command as Command
from trichat._commands import command as command
from trichat._commands import everyone as everyone
from trichat._commands import operators as operators
from trichat._config import Config as Config
from trichat._config import Options as Options
from trichat._config import ServerOptions as ServerOptions
from trichat._config import load_config as load_config
from trichat._errors import ConfigError as ConfigError
from trichat._errors import PluginError as PluginError
from trichat._errors import StartError as StartError
from trichat._errors import StorageError as StorageError
from trichat._errors import TrichatError as TrichatError
from trichat._listener import Address as Address
from trichat._listener import Listener as Listener
from trichat._listener import TcpListener as TcpListener
from trichat._messages import LOBBY as LOBBY
from trichat._messages import Handled as Handled
from trichat._messages import Message as Message
from trichat._messages import Refuse as Refuse
from trichat._network import Network as Network
from trichat._network import Networks as Networks
from trichat._server import Server as Server
from trichat._storage import Storage as Storage
from trichat._version import __version__ as __version__
from trichat.hookspecs import hookimpl as hookimpl
