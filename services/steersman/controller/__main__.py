"""`python -m steersman.controller`: a controller, configured by the environment."""

from __future__ import annotations

from steersman.controller.app import app
from steersman.controller.settings import ControllerSettings
from steersman.runtime import process

if __name__ == "__main__":
    process.main("controller", ControllerSettings, app)
