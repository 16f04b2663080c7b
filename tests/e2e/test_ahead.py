"""The whole program against a server that closes every connection: each is there before its call has its turn."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

DESCRIPTION = {
    "service": "own.sessions",
    "title": "Sessions of this test",
    "source": "tests/e2e/test_ahead.py",
    "endpoint": {"own": "http://127.0.0.1"},
    "auth": ["none"],
    "key": ["id"],
    "fields": {"id": {}},
    "limits": {"rate": "4/s", "concurrency": 2},
    "end": {"method": "POST", "path": "/end/{id}", "idempotent": True},
    "success": {"status": 204, "shape": "empty", "then": "ended"},
}


async def test_a_connection_is_made_before_its_calls_turn(tmp_path: Path) -> None:
    ahead: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made = time.monotonic()
        await reader.readuntil(b"\r\n\r\n")
        ahead.append(time.monotonic() - made)
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = "http://{}:{}".format(*server.sockets[0].getsockname())
        (tmp_path / "own").mkdir()
        (tmp_path / "own/own.sessions.yaml").write_text(json.dumps(DESCRIPTION))
        connections = {"here": {"endpoint": url, "auth": {"type": "none"}}}
        (tmp_path / "config.yaml").write_text(json.dumps({"connections": connections, "catalogue": ["own"]}))
        items = [{"id": f"session-{number}"} for number in range(6)]
        group = {"service": "own.sessions", "connection": "here", "items": items}
        (tmp_path / "plan.yaml").write_text(json.dumps({"name": "ahead", "targets": [group]}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "orchestrator", "run", "plan.yaml", "--yes"),
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await asyncio.wait_for(process.wait(), 30) == 0
    assert len(ahead) == 6
    assert sorted(ahead)[2] >= 0.1  # a quarter of a second mostly; what is made at the turn has its call at once
