"""Health of a process by the names of its parts: for gRPC's health service, and for HTTP beside the metrics.

Kubelet asks by gRPC, at a port of its own (`server.health_server`): at the other, calls are refused and cancelled when
there are too many, which a probe must not be among. Its gRPC probes speak no TLS, while its HTTPS probes do and look at
no certificate: where hops speak TLS it asks over HTTP, so that no listener is left in the clear.
"""

from __future__ import annotations

from aiohttp import web
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

_SERVING = health_pb2.HealthCheckResponse.SERVING


class Health(health_aio.HealthServicer):
    """gRPC's health service, which tells the same over HTTP."""

    def __init__(self) -> None:
        super().__init__()
        self._serving: dict[str, bool] = {}
        self._over = False

    async def set(self, service: str, status: int) -> None:
        """Say whether a part serves."""
        await super().set(service, status)
        if not self._over:
            self._serving[service] = status == _SERVING

    async def enter_graceful_shutdown(self) -> None:
        """Say that nothing serves any more, whatever is set afterwards."""
        self._over = True
        self._serving.clear()
        await super().enter_graceful_shutdown()

    async def over_http(self, http: web.Request) -> web.Response:
        """`GET /healthz?service=NAME`: 200 where that part serves, else 503; the process where no name is given."""
        serves = self._serving.get(http.query.get("service", ""), False)
        return web.Response(text="ok\n" if serves else "not serving\n", status=200 if serves else 503)
