"""`python -m steersman.scaler`: a scaler, configured by the environment."""

from __future__ import annotations

from steersman.runtime import process
from steersman.scaler.app import app
from steersman.scaler.settings import ScalerSettings

if __name__ == "__main__":
    process.main("scaler", ScalerSettings, app)
