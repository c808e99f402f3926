"""Wires: what a protocol looks like in bytes, without I/O.

A wire turns bytes into events and messages into bytes, and knows nothing of sockets, tasks or rooms. One `Wire` serves
every connection of a listener, so that what it encodes is the same bytes for all of them; what one connection has sent
so far is in its `Decoder`.
"""

from trichat.wires._line import LineWire as LineWire
from trichat.wires._wire import Decoder as Decoder
from trichat.wires._wire import Event as Event
from trichat.wires._wire import LineTooLong as LineTooLong
from trichat.wires._wire import Wire as Wire
