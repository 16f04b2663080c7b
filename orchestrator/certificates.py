"""The certificates to trust: read when a connection needs them, and once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

PLACES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # where OpenSSL looks, if somebody says it


@contextmanager
def without_certificates() -> Iterator[None]:
    """Have OpenSSL find none meanwhile: aiohttp reads them twice when it is imported, 20 ms each time.

    That is for two contexts that nothing here uses. Whoever makes a default one meanwhile trusts nobody with it.
    """
    said = {place: os.environ.get(place) for place in PLACES}
    os.environ.update(dict.fromkeys(PLACES, os.devnull))
    try:
        yield
    finally:
        for place, value in said.items():
            if value is None:
                del os.environ[place]
            else:
                os.environ[place] = value


@cache
def trusted(ca_file: str | None = None) -> ssl.SSLContext:
    """Return a context that trusts those of a file, by default the system's; raise OSError when the file is no good."""
    import ssl

    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(("http/1.1",))
    return context
