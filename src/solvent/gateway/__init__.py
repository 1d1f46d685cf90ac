"""
The gateway: HTTP between a program and its providers, with the guard in the way.

Importers name the module they need: pointing a command at the gateway must not load the server behind it.
"""
