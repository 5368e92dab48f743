"""A network in memory: unmodified asyncio streams and protocols inside one deterministic process.

``network`` holds what the loop delegates to; ``transport`` is one end of a connection, ``pipe``
one direction of it, ``server`` what listens. Nothing here touches the operating system.

What it leaves out: TLS, datagrams, ready-made sockets, lost packets (TCP hides them), and the
reset that Linux sends instead of a FIN when a socket is closed with unread data.
"""

from isomodel.engine.network.network import Network
from isomodel.engine.network.pipe import Conditions

__all__ = ["Conditions", "Network"]
