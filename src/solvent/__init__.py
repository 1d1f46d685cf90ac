"""
Solvent: the runtime budget layer for LLM and agent programs. A call is paid for before it is made.
"""

__version__ = "0.1.0"
