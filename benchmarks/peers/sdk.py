"""The official SDK's client in threads: DCS Web CLI logouts, signed."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkdcs.v2 import DcsClient, LogoffWebCliRequest, LogoutWebCliBody

from benchmarks.product import ids


def main(url: str, count: int, concurrency: int) -> None:
    """Log off once for every target."""
    config = HttpConfig(timeout=(10, 30), pool_connections=concurrency, pool_maxsize=concurrency)
    credentials = BasicCredentials("BENCHAK", "bench-secret-key", "0123456789abcdef0123456789abcdef")
    client = DcsClient.new_builder().with_http_config(config).with_credentials(credentials).with_endpoint(url).build()

    def end(name: str) -> int:
        body = LogoutWebCliBody(client_id=name)
        return int(client.logoff_web_cli(LogoffWebCliRequest(instance_id=name, body=body)).status_code)

    with ThreadPoolExecutor(concurrency) as pool:
        wrong = [status for status in pool.map(end, ids(count)) if status != 204]
    if wrong:
        raise RuntimeError(f"status {wrong[0]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    main(options.url, options.count, options.concurrency)
