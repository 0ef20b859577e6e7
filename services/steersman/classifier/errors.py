"""What can go wrong around a classifier, as one tree.

    ClassifierError
    ├── DataError         training or evaluation data is missing or malformed
    ├── FetchError        data cannot be had from where it should be
    ├── ArtefactError     a trained artefact is missing, damaged or of another kind
    ├── EmbeddingsError   the static embeddings are missing or not those of the training
    └── ModelError        a language model or encoder, or the library that runs it, is missing or another one

Messages are one sentence for the person at the command line. They name files and columns, never a row's text.
"""


class ClassifierError(Exception):
    """Something about data or artefacts that its user can put right."""


class DataError(ClassifierError):
    """Data is missing or malformed."""


class FetchError(ClassifierError):
    """Data cannot be had from where it should be, or what comes from there is not it."""


class ArtefactError(ClassifierError):
    """An artefact cannot be used."""


class EmbeddingsError(ClassifierError):
    """The static embeddings cannot be used."""


class ModelError(ClassifierError):
    """A language model or an encoder cannot be used."""
