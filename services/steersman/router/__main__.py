"""`python -m steersman.router`: a router, configured by the environment."""

from __future__ import annotations

from steersman.router.app import app
from steersman.router.settings import RouterSettings
from steersman.runtime import process

if __name__ == "__main__":
    process.main("router", RouterSettings, app)
