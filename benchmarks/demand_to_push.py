"""`python benchmarks/demand_to_push.py`: time from demand for a cold tier to its push to KEDA, and what a scaler costs.

Ten routers' demand services in this process, a scaler in its own, and KEDA's activity stream, all over the loopback
interface. In the second half every router's demand changes all the time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import grpc

from externalscaler import externalscaler_pb2 as pb, externalscaler_pb2_grpc
from steersman.api.v1 import demand_service_pb2_grpc
from steersman.router.demand import Demand
from steersman.router.demand_servicer import DemandServicer

ROUTERS: Final = 10
SCALER: Final = "127.0.0.1:19555"
SERVICES: Final = Path(__file__).resolve().parents[1] / "services"
TRIGGER: Final = pb.ScaledObjectRef(scalerMetadata={"part": "tier/strong"})


@asynccontextmanager
async def router(demand: Demand, name: str) -> AsyncIterator[str]:
    """A router's demand service; yields its address."""
    draining = asyncio.Event()
    server = grpc.aio.server()
    demand_service_pb2_grpc.add_DemandServiceServicer_to_server(
        DemandServicer(demand, name, draining), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        draining.set()
        await server.stop(1)


@asynccontextmanager
async def scaler(addresses: list[str]) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A scaler that listens to them."""
    environment = {
        "PYTHONPATH": os.fspath(SERVICES),
        "STEERSMAN_ROUTERS__TARGET": ",".join(addresses),
        "STEERSMAN_GRPC__ADDRESS": SCALER,
        "STEERSMAN_METRICS__ADDRESS": "127.0.0.1:0",
        "STEERSMAN_LOG__LEVEL": "ERROR",
    }
    argv = [sys.executable, "-m", "steersman.scaler"]
    process = subprocess.Popen(argv, env={**os.environ, **environment})  # noqa: ASYNC220 - begins before any clock runs
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


async def wake(strong: Demand, stream: Any, rounds: int) -> list[float]:
    """Milliseconds from a request that waits for the tier to the push."""
    found = []
    for _ in range(rounds):
        await asyncio.sleep(random.uniform(0.05, 0.25))  # noqa: S311 - any moment between two looks of the router
        started = time.perf_counter()
        with strong.of_tier("strong"):
            while not (await stream.read()).result:
                pass
            found.append((time.perf_counter() - started) * 1000)
        while (await stream.read()).result:
            pass
    return found


async def churn(demands: list[Demand]) -> None:
    """Requests for the weak tier, at every router, all the time."""
    while True:
        for demand in demands:
            with demand.of_tier("weak") as want:
                want.runs()
        await asyncio.sleep(0.01)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tell(what: str, milliseconds: list[float], cpu: float) -> None:
    """One line of the table."""
    p99 = statistics.quantiles(milliseconds, n=100)[98]
    print(
        f"| {what} | {statistics.median(milliseconds):.0f} ms | {p99:.0f} ms | {max(milliseconds):.0f} ms"
        f" | {cpu:.1%} of a core |"
    )


async def main(rounds: int) -> None:
    """Measure both halves."""
    demands = [Demand() for _ in range(ROUTERS)]
    for demand in demands:
        demand.tiers["strong"].waiting = demand.tiers["weak"].waiting = 0
    async with AsyncExitStack() as stack:
        addresses = [
            await stack.enter_async_context(router(demand, f"router-{number}"))
            for number, demand in enumerate(demands)
        ]
        process = await stack.enter_async_context(scaler(addresses))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(SCALER))
        await asyncio.wait_for(channel.channel_ready(), 30)
        stream = externalscaler_pb2_grpc.ExternalScalerStub(channel).StreamIsActive(TRIGGER)
        assert not (await stream.read()).result  # noqa: S101 - nothing is wanted yet
        print("| other traffic | median | p99 | longest | scaler |\n|---|---|---|---|---|")
        for what, noise in (("none", []), ("at every router", demands)):
            task = asyncio.create_task(churn(noise))
            started, before = time.perf_counter(), cpu_seconds(process)
            milliseconds = await wake(demands[0], stream, rounds)
            tell(what, milliseconds, (cpu_seconds(process) - before) / (time.perf_counter() - started))
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        stream.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="wake-ups in each half")
    asyncio.run(main(parser.parse_args().rounds))
