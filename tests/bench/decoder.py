"""What a decoder costs on this machine: `python -m tests.bench.decoder`.

A LLaVA of random weights with the vision tower of its published size (CLIP ViT-L/14 at 336 px, 576 tokens) and a small
language model (16 layers, width 512): the parts of a trace, each once, and the memory of the process after it.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from fusion_core.asked import Asked
from fusion_core.attend import attention_scores
from fusion_core.contribute.ledger import measure
from fusion_core.foreign import load_foreign
from fusion_core.model import FusedModel
from fusion_core.question import Question, attribute
from fusion_core.reading.records import read
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.tiny.saving import keep, prompt_tokenizer

LABELS = Asked(labels=("red", "blue", "purple", "yes", "no"))
RECORDS = 4


def made(folder: Path) -> Path:
    """Save the model as a team would have it on disk."""
    torch.manual_seed(0)
    tokenizer = prompt_tokenizer()
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    language = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 16, "num_attention_heads": 16}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**vision, image_size=336, patch_size=14),
        text_config=transformers.LlamaConfig(
            **language, vocab_size=32_000, max_position_embeddings=4_096, initializer_range=0.1,
            pad_token_id=0, bos_token_id=1, eos_token_id=2,
        ),
        image_token_index=tokenizer.token_to_id("<image>"),
    )  # fmt: skip
    size = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}, "do_center_crop": True}
    return keep(transformers.LlavaForConditionalGeneration(config), folder, tokenizer, size)


def told(name: str, run: Callable[[], Any]) -> Any:
    """Run something, print what it took, and return what it gave."""
    started = time.perf_counter()
    found = run()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:38s} {time.perf_counter() - started:7.2f} s   {memory:5.1f} GB at most so far", flush=True)
    return found


def main() -> None:
    """Print the table."""
    records = read(SAMPLES / "scene_qa" / "test").records[:RECORDS]
    with tempfile.TemporaryDirectory() as folder:
        path = made(Path(folder) / "llava")
        model: FusedModel = told("load", lambda: load_foreign(path, LABELS, lambda: records))
        inputs, tokens = told("encode one record", lambda: model.encode_record(records[0]))
        head = model.head("llava")
        with torch.no_grad():
            model.fuse(tokens, "llava")
            told("one pass, five answers", lambda: model.fuse(tokens, "llava"))
            told("what it writes by itself", lambda: head.free_answer(tokens))
        donors = told(f"donors of {RECORDS} records", lambda: model.background.size)
        told(f"ledger, {donors} donors", lambda: measure(model, tokens, "llava"))
        told("rollout and relevancy", lambda: attention_scores(model, tokens, "llava", 0))
        for method in ("input_x_gradient", "integrated_gradients"):
            question = Question(method=method)
            told(method.replace("_", " "), lambda q=question: attribute(model, inputs, tokens, "llava", "red", q))


if __name__ == "__main__":
    main()
