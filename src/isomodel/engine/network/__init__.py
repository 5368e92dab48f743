"""A network in memory: unmodified asyncio streams and protocols inside one deterministic process.

``network`` holds what the loop delegates to; ``transport`` is one end of a connection, ``pipe``
one direction of it, ``server`` what listens; ``raw`` holds the ``sock_`` methods over the sockets
of ``memory_socket``. Nothing here touches the operating system.

What it leaves out: TLS, datagrams, sockets made outside, lost packets (TCP hides them), and the
reset that Linux sends instead of a FIN when a socket is closed with unread data.
"""

from isomodel.engine.network.network import Network
from isomodel.engine.network.pipe import Conditions

__all__ = ["Conditions", "Network"]
