"""trichat: a chat server for programmers, on Trio and pluggy.

Everything that a plugin or an embedding program needs is here. `trichat.hookspecs` describes the hooks.
"""

from msgspec import Meta as Meta

from trichat._base.addresses import Network as Network
from trichat._base.addresses import Networks as Networks
from trichat._base.errors import ConfigError as ConfigError
from trichat._base.errors import ConnectionLost as ConnectionLost
from trichat._base.errors import PluginError as PluginError
from trichat._base.errors import StartError as StartError
from trichat._base.errors import StorageError as StorageError
from trichat._base.errors import TrichatError as TrichatError
from trichat._base.log_lines import format_log_lines as format_log_lines
from trichat._base.log_lines import parse_log_line as parse_log_line
from trichat._base.messages import LOBBY as LOBBY
from trichat._base.messages import Handled as Handled
from trichat._base.messages import Kind as Kind
from trichat._base.messages import Message as Message
from trichat._base.messages import Refuse as Refuse
from trichat._base.name_dict import NameDict as NameDict
from trichat._base.suggestion import suggestion as suggestion
from trichat._base.worker_threads import WorkerThreads as WorkerThreads
from trichat._chat.client import Client as Client
from trichat._chat.person import Person as Person
from trichat._config.options import Config as Config
from trichat._config.options import Options as Options
from trichat._config.options import ServerOptions as ServerOptions
from trichat._config.options import load_config as load_config
from trichat._net.listener import Address as Address
from trichat._net.listener import Listener as Listener
from trichat._net.listener import TcpListener as TcpListener
from trichat._net.transport import Transport as Transport
from trichat._net.unix_listener import UnixListener as UnixListener
from trichat._plugins.commands import Command as Command
from trichat._plugins.commands import Room as Room
from trichat._plugins.commands import command as command
from trichat._plugins.commands import everyone as everyone
from trichat._plugins.commands import operators as operators
from trichat._plugins.loader import load_plugins as load_plugins
from trichat._plugins.storage import Storage as Storage
from trichat._plugins.storage import Versioned as Versioned
from trichat._server import Server as Server
from trichat._version import __version__ as __version__
from trichat.hookspecs import ControlRequest as ControlRequest
from trichat.hookspecs import hookimpl as hookimpl
