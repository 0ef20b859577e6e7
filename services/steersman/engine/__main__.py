"""`python -m steersman.engine`: llama.cpp's server as a process of its own, ended by SIGTERM.

llama.cpp comes as a library (`xllamacpp`) that serves OpenAI's HTTP API from threads of its own; this process only
holds it. It is the engine of the small image and of the local system; production has vLLM or llama.cpp's own server.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from typing import Final

import xllamacpp

_HTTP_THREADS: Final = 32
"""Connections served at once: more than slots, so that health and metrics answer while requests wait."""
_PROMPT_CACHE_MIB: Final = 256
"""Most memory for the states of conversations that have left their slot."""


def parameters(arguments: argparse.Namespace) -> xllamacpp.CommonParams:
    """What llama.cpp is told."""
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {arguments.alias}
    params.hostnames = [arguments.host]
    params.port = arguments.port
    params.n_parallel = arguments.slots
    params.n_ctx = arguments.slots * arguments.context_window
    params.n_threads_http = _HTTP_THREADS
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = 2 * arguments.threads  # prompts come in bursts, and are worth them
    params.endpoint_metrics = params.endpoint_props = params.endpoint_slots = True
    params.ui = False
    return params


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--alias", required=True, help="name of the model")
    host = os.environ.get("ENGINE_HOST", "127.0.0.1")
    parser.add_argument(
        "--host", default=host, help="address to listen on; by default that in ENGINE_HOST, or the loopback"
    )
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--slots", required=True, type=int, help="requests worked on at once")
    parser.add_argument("--context-window", required=True, type=int, help="tokens per slot")
    parser.add_argument("--threads", required=True, type=int)
    return parser.parse_args(argv)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = parse()
    endings = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)  # before the server's threads start, which inherit it
    server = xllamacpp.Server(parameters(arguments))
    signal.sigwait(endings)
    del server  # its destructor ends the server


if __name__ == "__main__":
    main()
