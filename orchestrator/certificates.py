"""The certificates to trust where nobody says which: read when a connection needs them, and once.

aiohttp reads them twice when it is imported, 20 ms each time, for two contexts that are not used here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

_PLACE = "SSL_CERT_FILE"  # where OpenSSL looks, if somebody says it


@contextmanager
def unread() -> Iterator[None]:
    """Have OpenSSL find none: who takes a default context meanwhile trusts nobody with it."""
    said = os.environ.get(_PLACE)
    os.environ[_PLACE] = os.devnull
    try:
        yield
    finally:
        if said is None:
            del os.environ[_PLACE]
        else:
            os.environ[_PLACE] = said


@cache
def trusted(ca_file: str | None = None) -> ssl.SSLContext:
    """Return a context that trusts those of a file, by default the system's; raise OSError when the file is no good."""
    import ssl

    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(("http/1.1",))
    return context
