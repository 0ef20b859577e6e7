"""`python -m steersman.backend`: one backend, configured by the environment."""

from steersman.backend.app import app
from steersman.backend.settings import BackendSettings
from steersman.runtime.process import main

if __name__ == "__main__":
    main("backend", BackendSettings, app)
