"""Triton alone: classifications a second of distinct prompts, with the product's own model.

Asked in two ways: by the router's own client, where texts that come while a call is under way go together in the next
one, as they do in the product; and with a call a text, as a client that knows nothing of batches would ask.

The generator and Triton share the machine, so this is what a router's neighbour gets and not what Triton could do.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from benchmarks.clients import grpc_unary
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, in_turn
from benchmarks.system import System
from tritonclient.grpc import service_pb2

from steersman.router.adapters.triton import TritonClassifier, TritonOptions
from steersman.router.model import Assessment
from steersman.router.settings import ClassifierServer
from steersman.runtime.addresses import AddressLookup
from steersman.runtime.breaker import Breaker
from steersman.runtime.tasks import BackgroundTasks

STREAMS: Final = (1, 8, 32, 64)
BARS: Final = {32: Bar(5000.0)}
_MANY: Final = 32
_MORE: Final = Bar(4.0)
"""So many times what one stream gets, many streams are to get."""
_SECONDS: Final = 10.0
"""Deadline of a classification, since the load is meant to saturate."""
_METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
_OUTPUTS: Final = ("SCORE", "WIN_PROBABILITY", "NOVELTY", "TRUNCATED")


async def classifications(system: System, plan: Plan) -> list[Outcome]:
    """Classifications a second at several numbers of streams."""
    together, alone = Prompts(seed=6), Prompts(seed=7)
    triton = {"triton": system.triton.pid}
    outcomes: list[Outcome] = []
    known: dict[int, Figure] = {}
    async with AsyncExitStack() as stack:
        classifier = await stack.enter_async_context(router_client(system.triton.address))
        call = await stack.enter_async_context(grpc_unary(system.triton.address, _METHOD))

        async def assess(prompt: bytes) -> Assessment:
            return await classifier.assess(prompt.decode())

        ours = Side("Triton", assess, map(str.encode, together), _valid, triton)
        bare = Side("Triton", call, map(question, alone), _units, triton)
        for streams in STREAMS:
            found = await _rate(
                "as a router", ours, plan, streams=streams, bar=BARS.get(streams), prompts=together
            )
            known[streams] = found.ours
            outcomes.append(found)
            outcomes.append(await _rate("one by one", bare, plan, streams=streams, bar=None, prompts=alone))
    title = f"Classify as a router, {_MANY} streams against one"
    return [
        *outcomes,
        Outcome(title, Metric.RATE, _MORE, together.lengths, known[_MANY], known[1]),
    ]


@asynccontextmanager
async def router_client(address: str) -> AsyncIterator[TritonClassifier]:
    """The router's classifier, with as many lanes as a router has by default."""
    settings = ClassifierServer()
    options = TritonOptions(
        address, settings.model, settings.version, _SECONDS, settings.queue, refresh_seconds=_SECONDS
    )
    breaker = partial(
        Breaker, threshold=settings.breaker_failures, cooldown=settings.breaker_cooldown_seconds
    )
    async with (
        TritonClassifier(options, source=AddressLookup(), breaker=breaker) as classifier,
        BackgroundTasks(on_failure=lambda _: None) as tasks,
    ):
        for number in range(settings.lanes):
            tasks.start(f"classifier lane {number}", classifier.serve_lane)
        yield classifier


def question(prompt: str) -> bytes:
    """A `ModelInferRequest` for one text."""
    text = prompt.encode()
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="TEXT", datatype="BYTES", shape=[1, 1])
    outputs = [service_pb2.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in _OUTPUTS]
    request = service_pb2.ModelInferRequest(
        model_name="static_head",
        model_version="1",
        inputs=[tensor],
        outputs=outputs,
        raw_input_contents=[struct.pack("<I", len(text)) + text],
    )
    return bytes(request.SerializeToString())


async def _rate(
    how: str, side: Side[Any], plan: Plan, *, streams: int, bar: Bar | None, prompts: Prompts
) -> Outcome:
    (samples,) = await in_turn([side], plan, streams=streams)
    title = f"Classify {how}, {streams} stream{'s' if streams > 1 else ''}"
    return Outcome(title, Metric.RATE, bar, prompts.lengths, Figure.of(side, samples))


def _valid(assessment: Assessment) -> int:
    return int(assessment.valid)


def _units(answer: bytes) -> int:
    response = service_pb2.ModelInferResponse.FromString(answer)
    named = {
        tensor.name: raw for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    (score,) = struct.unpack("<f", named["SCORE"])
    return int(0.0 <= score <= 1.0)
