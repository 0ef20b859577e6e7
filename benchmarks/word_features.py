"""What the words of a text say of the task: to calculate or to recall, an order or a question, code or people.

Features that were tried for the default method and are not in it (docs/classifier.md says why). The lists were written
down before any of them was measured, and none was changed after.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from steersman.classifier import words
from steersman.classifier.training_set import Floats

KINDS: Final = {
    "conditions": "if when unless suppose assume assuming given let where such then provided whenever",
    "quantities": """each every all more less than twice half total times many much fewer both least most double triple
        per percent average sum difference remaining left""",
    "questions": "what which who whom whose when where why how",
    "solving": """prove show derive calculate compute find determine evaluate solve estimate simplify express integrate
        verify""",
    "explaining": "explain describe discuss compare contrast analyze summarize outline elaborate why reason",
    "creating": """write story poem essay create generate imagine email letter blog compose draft song lyrics script
        dialogue character suggest ideas brainstorm""",
    "code": """function code python class return implement algorithm sql api javascript java program array string list
        query script html css json database loop compile bug error""",
    "persons": "i me my mine you your we our us please can could would help",
    "negations": "not no never except without cannot none neither nor incorrect false",
    "particles": """the a an of to in and is are was were be been it that this these those for on with as at by from or
        but so do does did has have had""",
    "connections": "because therefore however hence thus since although whereas consequently moreover while",
    "constraints": """must should only exactly following format words sentences include avoid using use least most
        ensure required step steps first second final finally bullet table paragraph limit""",
    "mathematics": """equation integral derivative matrix vector theorem polynomial probability triangle circle integer
        integers prime function graph angle radius sum product sequence set real complex root log sin cos modulo
        divisible""",
    "science": """energy velocity mass force temperature pressure voltage current circuit molecule atom electron
        reaction acid protein cell gene species enzyme heat gas fluid density field frequency""",
    "numerals": "one two three four five six seven eight nine ten hundred thousand million first second third dozen",
}
"""Words of each kind, in lower case; one may be of several."""

_MEMBERS: Final = tuple(frozenset(members.encode().split()) for members in KINDS.values())
_LONG: Final = 9
"""Bytes from which on a word is long: terms are recalled more than calculated with."""
_LATE: Final = (8_000, 20_000)
"""Token numbers from which on the vocabulary holds rarer pieces; digits and other single characters come last."""
_PRIOR_WORDS: Final = 10
"""Added to the number of words before a share of it is taken, or the one word of a greeting would weigh most."""
_FORMS: Final = 3 + len(_LATE)


class WordFeatures:
    """Shares of words of each kind and form.

    Args:
        tokenizer: That of the static embeddings.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[bytes, Floats] = {}

    @classmethod
    def load(cls, embeddings: Path) -> WordFeatures:
        """With the tokeniser in the directory of the embeddings."""
        (path,) = (embeddings / "tokenizers").glob("l2_supercat_*.json")
        return cls(Tokenizer.from_file(str(path)))

    def of_texts(self, texts: Sequence[bytes]) -> Floats:
        """One row a UTF-8 text."""
        return np.stack([self._of_text(words.find(text)) for text in texts])

    def _of_text(self, found: Sequence[bytes]) -> Floats:
        amounts = np.zeros(len(_MEMBERS) + _FORMS)
        for word in found:
            amounts += self._of_word(word)
        return amounts / (len(found) + _PRIOR_WORDS)

    def _of_word(self, word: bytes) -> Floats:
        if word not in self._known:
            kinds = [word.lower() in members for members in _MEMBERS]
            tokens = self._tokenizer.encode(word.decode(errors="replace"), add_special_tokens=False).ids
            late = [sum(token >= first for token in tokens) for first in _LATE]
            self._known[word] = np.array(
                [*kinds, len(word) >= _LONG, len(word) == 1, len(tokens), *late], float
            )
        return self._known[word]
