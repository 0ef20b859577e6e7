"""The collector of the local system, listening where pods can reach it."""

from __future__ import annotations

from aiohttp import web

from steersman.local.collector import Collector
from steersman.local.traces import Traces

if __name__ == "__main__":
    web.run_app(Collector(Traces()).app(), host="0.0.0.0", port=4318, access_log=None, print=None)  # noqa: S104 - a pod
