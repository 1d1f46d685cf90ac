"""
Undoing a reply's content encoding for the reader, within a cap, so that a small reply cannot fill the memory.
"""

import zlib

DECODED_BYTES_MAX = 64 * 1024 * 1024


class Undecodable(Exception):
    """
    Raised when a body's encoding is unknown, broken, or its content larger than the cap.
    """


class Decoder:
    """
    Undoes ``gzip`` or ``deflate``, piece by piece.
    """

    def __init__(self, encoding: str, *, most: int = DECODED_BYTES_MAX) -> None:
        if encoding not in ("deflate", "gzip", "x-gzip"):
            raise Undecodable(f"unknown content encoding {encoding[:20]!r}")
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # Takes both by their first bytes.
        self._left = most

    def feed(self, chunk: bytes) -> bytes:
        """
        The content of the next bytes.

        Raises:
            Undecodable: They are broken, or the content passes the cap.
        """
        try:
            content = self._inflate.decompress(chunk, self._left + 1)
        except zlib.error as exc:
            raise Undecodable("broken content encoding") from exc
        self._left -= len(content)
        if self._left < 0:
            raise Undecodable("a decoded reply above the cap")
        return content


def decoded(body: bytes, encoding: str) -> bytes:
    """
    A whole body without its content encoding.

    Raises:
        Undecodable: As for ``Decoder``.
    """
    return body if encoding in ("", "identity") else Decoder(encoding).feed(body)
