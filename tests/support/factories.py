"""Types of the fixtures of tests/e2e that make things; each makes what its name says, and ends it."""

from collections.abc import Callable

from support.balancer import Balancer
from support.scripted_node import ScriptedNode
from support.stream_node import StreamNode
from support.wire import Client

Launch = Callable[..., Balancer]
NewNode = Callable[..., ScriptedNode]
NewStreamNode = Callable[..., StreamNode]
Connect = Callable[..., Client]
