"""Everything that a front is made of: a protocol of your own, such as `trichat_plugins.json_lines`.

A front is a way in. It has no I/O: it turns bytes into requests, and messages and answers into bytes. A listener that
carries it (`TcpListener(host, port, front)`) comes from the embedding program, or from a plugin by the hook
`listeners`.
"""

from trichat._base.messages import Code as Code
from trichat._fronts.front import Answer as Answer
from trichat._fronts.front import Dialogue as Dialogue
from trichat._fronts.front import Front as Front
from trichat._fronts.front import Limits as Limits
from trichat._fronts.front import Outcome as Outcome
from trichat._fronts.front import RoomView as RoomView
from trichat._fronts.front import Wire as Wire
from trichat._fronts.line.decoder import LineDecoder as LineDecoder
from trichat._fronts.line.decoder import LineTooLong as LineTooLong
from trichat._fronts.requests import Away as Away
from trichat._fronts.requests import Command as Command
from trichat._fronts.requests import Foreign as Foreign
from trichat._fronts.requests import Join as Join
from trichat._fronts.requests import Login as Login
from trichat._fronts.requests import Malformed as Malformed
from trichat._fronts.requests import Part as Part
from trichat._fronts.requests import Past as Past
from trichat._fronts.requests import Quit as Quit
from trichat._fronts.requests import Rename as Rename
from trichat._fronts.requests import Reply as Reply
from trichat._fronts.requests import Request as Request
from trichat._fronts.requests import Say as Say
from trichat._fronts.requests import Tell as Tell
