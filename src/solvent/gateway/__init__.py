"""
The gateway: HTTP between a program and its providers, with the guard in the way.
"""

from solvent.gateway._app import Event, Gateway
from solvent.gateway._environment import Prepared, prepare
from solvent.gateway._providers import PROVIDERS, Provider, Upstream
from solvent.gateway._server import Server, bind_loopback, loop_factory

__all__ = [
    "PROVIDERS",
    "Event",
    "Gateway",
    "Prepared",
    "Provider",
    "Server",
    "Upstream",
    "bind_loopback",
    "loop_factory",
    "prepare",
]
