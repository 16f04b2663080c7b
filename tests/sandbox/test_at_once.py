"""Everything at once that a read-back has to stand: late logoffs, ignored ones, and a listing that is throttled."""

from __future__ import annotations

from typing import Any

from orchestrator.sandbox import Fault, World
from orchestrator.sandbox.state import PROJECT_ID

from .client import Client, Clock, running


async def connected(client: Client) -> list[str]:
    """Read every page of the connected desktops, and wait for nothing."""
    found: list[str] = []
    while True:
        path = f"/v2/{PROJECT_ID}/connect-desktops?connect_status=CONNECTED&limit=100&offset={len(found)}"
        answer = await client.signed("GET", path)
        if answer.status == 429:
            continue
        found += [desktop["desktop_id"] for desktop in answer.json["desktops"]]
        if len(found) >= answer.json["total_count"]:
            return found


async def test_a_thousand_late_logoffs_of_which_some_are_ignored_and_the_listing_throttled() -> None:
    clock = Clock()
    world = World(clock=clock, lag={"workspace": (0.0, 5.0)}, ignored_share={"workspace": 0.05})
    world.faults.append(Fault("workspace", "throttle", operation="connect_desktops", every=3, times=None))
    ids = [row["desktop_id"] for row in world.seed({"desktops": {"count": 1000}})["desktops"]]
    swallowed = [id for id in ids if world.is_ignored("workspace", str(id))]
    async with running(world) as client:
        for start in range(0, 1000, 100):
            order = {"desktop_ids": ids[start : start + 100]}
            assert (await client.signed("POST", f"/v2/{PROJECT_ID}/desktops/logoff", order)).status == 200
        counts = []
        for _ in range(5):
            clock.time += 1
            counts.append(len(await connected(client)))
        assert counts == sorted(set(counts), reverse=True), "fewer with every second"
        state: Any = client.sandbox.state()
        assert await connected(client) == swallowed == state["ignored"]["workspace"] == state["sessions"]["workspace"]
        assert state["pending"] == {}
        assert state["services"]["workspace"]["throttled"] > 5
