"""Triton alone: classifications a second of distinct prompts, with the product's own model.

The generator and Triton share the machine, so this is what a router's neighbour gets and not what Triton could do.
"""

from __future__ import annotations

import struct
from typing import Final

from benchmarks.clients import grpc_unary
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, in_turn
from benchmarks.system import System
from tritonclient.grpc import service_pb2

STREAMS: Final = (1, 8, 32, 64)
BARS: Final = {32: Bar(4000.0)}
_METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
_OUTPUTS: Final = ("SCORE", "WIN_PROBABILITY", "NOVELTY", "TRUNCATED")


async def classifications(system: System, plan: Plan) -> list[Outcome]:
    """Classifications a second at several numbers of streams."""
    prompts = Prompts(seed=6)
    outcomes = []
    async with grpc_unary(system.triton.address, _METHOD) as ask:
        side = Side("Triton", ask, map(question, prompts), _units, {"triton": system.triton.pid})
        for streams in STREAMS:
            (samples,) = await in_turn([side], plan, streams=streams)
            title = f"Classify, {streams} streams" if streams > 1 else "Classify, 1 stream"
            figure = Figure.of(side, samples)
            outcomes.append(Outcome(title, Metric.RATE, BARS.get(streams), prompts.lengths, figure))
    return outcomes


def question(prompt: str) -> bytes:
    """A `ModelInferRequest` as the router sends it."""
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


def _units(answer: bytes) -> int:
    response = service_pb2.ModelInferResponse.FromString(answer)
    named = {
        tensor.name: raw for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    (score,) = struct.unpack("<f", named["SCORE"])
    return int(0.0 <= score <= 1.0)
