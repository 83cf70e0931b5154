"""`python -m engine` with `HashedWords` as its embedder, each batch of which takes EMBED_SECONDS: for workers as processes."""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import engine.assembly  # noqa: E402
from engine.testing import HashedWords  # noqa: E402


class Slow(HashedWords):
    def embed_documents(self, texts):
        time.sleep(float(os.environ.get("EMBED_SECONDS", "0")))
        return super().embed_documents(texts)


class Quick(engine.assembly.Assembly):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.use_embedder("local", Slow())


engine.assembly.Assembly = Quick

from engine.__main__ import app  # noqa: E402

if __name__ == "__main__":
    app(prog_name="python -m engine")
