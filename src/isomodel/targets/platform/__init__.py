"""The reference platform: the factory layer behind a real WebSocket server, and its client.

Built on the ``websockets`` library (``pip install "isomodel[platform]"``). The same code serves
real sockets and, inside an execution, those of the network in memory. ``target`` is isomodel's
view of it: what users do goes through a client, over a socket, to the server, to the layer.
"""

import importlib.util

from isomodel.values.errors import BadInput

if importlib.util.find_spec("websockets") is None:
    raise BadInput("the platform needs websockets: pip install 'isomodel[platform]'")
