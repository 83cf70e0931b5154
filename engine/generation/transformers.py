"""A language model in this process, by `transformers`: no key, no server, nothing leaves the machine."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.errors import EngineError, NoAnswer, ProviderRejected, ProviderUnavailable
from engine.generation.prompt import render_messages
from engine.protocols import Embedder
from engine.tokens import ApproximateTokens
from engine.types import Delta, Endpoint, Prompt, Usage
from engine.vendors.deadline import bounded
from engine.vendors.huggingface import folder_here, folder_of, translated

PROVIDER = "transformers"
WINDOW = 2_048  # tokens read by a model that does not tell, or is not here yet
MARGIN = 96  # tokens of the prompt that the chat layout takes


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


class TransformersGenerator:
    """Satisfies Generator. `endpoint.model` is a folder, or a name of the hub, which is downloaded at the first question.

    One thread does all the work, as torch keeps workers and memory for every thread that calls it: questions wait for each
    other, and waiting counts to the deadline. A deadline or a Stop ends the work at the next layer of the model; only a
    download goes on, so that a later question finds the model here. Chosen are the likeliest tokens, without chance.
    """

    def __init__(self, endpoint: Endpoint, *, embedder: Embedder | None = None) -> None:
        self._endpoint = endpoint
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="generate")
        self._lock = threading.Lock()
        self._counter: Any = None
        self._window = 0
        self._model: Any = None
        self._tokenizer: Any = None
        self._stop = threading.Event()

    @property
    def provider(self) -> str:
        """The registry name."""
        return PROVIDER

    @property
    def model(self) -> str:
        """The folder or the name."""
        return self._endpoint.model

    @property
    def context_tokens(self) -> int:
        """What the model's config.json says, less room for the chat layout; a low guess while the model is not here."""
        self._read()
        return (self._window or WINDOW) - MARGIN

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of `text` in the model's vocabulary; an over-estimate while the model is not here."""
        self._read()
        if self._counter is None:
            return ApproximateTokens().count(text)
        return len(self._counter.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False))

    async def models(self) -> list[str]:
        """Nobody can list the folders of a server, or all of the hub."""
        return []

    async def close(self) -> None:
        """End the work and let go of the model."""
        self._stop.set()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._model = self._tokenizer = None

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the answer token by token. Raises ProviderRejected for what is no model, and other ProviderErrors."""
        return bounded(self._stream(prompt), seconds=self._endpoint.timeout_seconds, provider=PROVIDER)

    async def _stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | Usage | EngineError] = asyncio.Queue()
        stop = threading.Event()

        def give(item: str | Usage | EngineError) -> None:
            try:
                loop.call_soon_threadsafe(queue.put_nowait, item)
            except RuntimeError:  # the loop is closed: nobody waits
                stop.set()

        def cancelled(future: Future[None]) -> None:
            if future.cancelled():
                give(_closed())

        try:
            future = self._thread.submit(self._work, prompt, give, stop)
        except RuntimeError as error:  # no work is taken after close()
            raise _closed() from error
        future.add_done_callback(cancelled)
        try:
            while not isinstance(item := await queue.get(), Usage):
                if isinstance(item, EngineError):
                    raise item
                yield Delta(text=item)
            yield Delta(usage=item)
        finally:
            stop.set()
            future.cancel()

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _work(self, prompt: Prompt, give: Callable[[str | Usage | EngineError], None], stop: threading.Event) -> None:
        if stop.is_set():
            return
        self._stop = stop
        try:
            give(self._generate(prompt, give))
        except EngineError as error:
            give(error)

    def _generate(self, prompt: Prompt, give: Callable[[str], None]) -> Usage:
        with translated(PROVIDER, self._endpoint):
            model, tokenizer = self._loaded()
            ids = _encoded(tokenizer, prompt).to(model.device)
            count = ids.shape[1]
            room = min(prompt.answer_tokens, (self._window or WINDOW) - count)
            if room < 1:
                raise ProviderRejected(
                    f"the prompt has {count} tokens, more than {self.model!r} reads",
                    hint="Ask for fewer passages, or choose a model that reads more.",
                )
            pieces = _Pieces(tokenizer, give)
            try:
                model.generate(
                    input_ids=ids, attention_mask=ids.new_ones(ids.shape), max_new_tokens=room, do_sample=False, num_beams=1,
                    streamer=pieces, pad_token_id=0,
                )  # fmt: skip
            except _Stopped:
                raise _closed() from None
        if not pieces.shown:
            raise NoAnswer(f"{self.model!r} gave no text", hint="Try again, or choose another model.")
        return Usage(input_tokens=count, output_tokens=len(pieces.ids))

    def _loaded(self) -> tuple[Any, Any]:
        if self._model is None:
            folder = folder_of(self._endpoint, provider=PROVIDER)
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()  # type: ignore[no-untyped-call]
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True, local_files_only=True)
            model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
            self._heed_stop(model, torch.nn.ModuleList)
            self._read()
            self._model, self._tokenizer = model, tokenizer
        return self._model, self._tokenizer

    def _heed_stop(self, model: Any, layers: type) -> None:
        """Look for a Stop before each layer, not only between tokens: reading a long prompt takes many seconds."""

        def check(*_: Any) -> None:
            if self._stop.is_set():
                raise _Stopped

        model.register_forward_pre_hook(check)
        for module in model.modules():
            if isinstance(module, layers):
                for layer in module:  # type: ignore[attr-defined]
                    layer.register_forward_pre_hook(check)

    # --- anywhere ----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read the window and the vocabulary if the model is here: small files, and neither torch nor network."""
        with self._lock:
            if self._window or (folder := folder_here(self._endpoint)) is None:
                return
            self._window = _window(folder / "config.json") or WINDOW
            vocabulary = folder / "tokenizer.json"
            if vocabulary.exists():
                from tokenizers import Tokenizer

                with translated(PROVIDER, self._endpoint):
                    counter = Tokenizer.from_file(str(vocabulary))
                    counter.no_truncation()
                    counter.no_padding()
                    self._counter = counter


class _Pieces:
    """What `generate` hands its tokens to: passes on text as soon as it is whole characters."""

    def __init__(self, tokenizer: Any, give: Callable[[str], None]) -> None:
        self.ids: list[int] = []
        self.shown = 0
        self._tokenizer = tokenizer
        self._give = give
        self._prompt_passed = False

    def put(self, value: Any) -> None:
        """Take the prompt first, then one token at a time."""
        if not self._prompt_passed:
            self._prompt_passed = True
            return
        self.ids.extend(value.flatten().tolist())
        self._show(whole=False)

    def end(self) -> None:
        """Pass on the rest."""
        self._show(whole=True)

    def _show(self, *, whole: bool) -> None:
        text = self._tokenizer.decode(self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if (whole or not text.endswith("\ufffd")) and text[self.shown :]:  # part of a character decodes to U+FFFD
            self._give(text[self.shown :])
            self.shown = len(text)


def _encoded(tokenizer: Any, prompt: Prompt) -> Any:
    """Return the token ids of the prompt, shape (1, n). Control tokens inside a text are read as plain text."""
    from jinja2 import TemplateError

    turns = [(one.role, one.text) for one in render_messages(prompt)]
    plain = "\n\n".join([prompt.system, *(text if role == "user" else f"Answer: {text}" for role, text in turns)])
    if not tokenizer.chat_template:
        return tokenizer(f"{plain}\n\nAnswer:", return_tensors="pt", split_special_tokens=True)["input_ids"]
    layout = {
        "add_generation_prompt": True, "return_tensors": "pt", "return_dict": True, "sanitize_control_tokens": True,
        "enable_thinking": False,
    }  # fmt: skip
    messages = [{"role": role, "content": text} for role, text in [("system", prompt.system), *turns] if text]
    try:
        return tokenizer.apply_chat_template(messages, **layout)["input_ids"]
    except TemplateError:  # some templates refuse a system text, or two turns of the same side
        return tokenizer.apply_chat_template([{"role": "user", "content": plain}], **layout)["input_ids"]


def _window(config: Path) -> int:
    """Return how many tokens a model reads, by its config.json; 0 when that cannot be told."""
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        settings = settings.get("text_config") or settings
        return int(settings.get("max_position_embeddings") or settings.get("n_positions") or 0)
    except (OSError, ValueError, AttributeError, TypeError):
        return 0


def _closed() -> ProviderUnavailable:
    return ProviderUnavailable("the model was closed", hint="Ask again.")
