"""botocore's adaptive mode: its own rate limiter (cubic), its backoff between attempts, in threads as it works."""

from __future__ import annotations

import argparse
import http.client
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from botocore.retries import adaptive, bucket, throttling

from benchmarks.product import ids

MAX_BACKOFF = 20.0  # botocore's own
ATTEMPTS = 100


class Detector:
    """Says whether an answer was a refusal, as botocore's own does for the answers of AWS."""

    def is_throttling_error(self, status: int, **_more: Any) -> bool:
        """Return whether the status is 429."""
        return status == 429


def limiter() -> adaptive.ClientRateLimiter:
    """Put botocore's limiter together as `register_retry_handler` does."""
    clock = bucket.Clock()
    return adaptive.ClientRateLimiter(
        rate_adjustor=throttling.CubicCalculator(starting_max_rate=0, start_time=clock.current_time()),
        rate_clocker=adaptive.RateClocker(clock),
        token_bucket=bucket.TokenBucket(max_rate=1, clock=clock),
        throttling_detector=Detector(),
        clock=clock,
    )


def main(url: str, count: int, concurrency: int) -> None:
    """Post for every target until it is taken."""
    where = urlsplit(url)
    shared = limiter()
    names = list(ids(count))

    def work(first: int) -> None:
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
        for name in names[first::concurrency]:
            for attempt in range(ATTEMPTS):
                shared.on_sending_request(request=None)
                connection.request("POST", f"{where.path}/v1/sessions/{name}/logout", f'{{"session":"{name}"}}')
                answer = connection.getresponse()
                answer.read()
                shared.on_receiving_response(status=answer.status)
                if answer.status != 429:
                    break
                time.sleep(random.random() * min(2**attempt, MAX_BACKOFF))  # noqa: S311  no secret
        connection.close()

    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(work, range(concurrency)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    main(options.url, options.count, options.concurrency)
