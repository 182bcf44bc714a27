"""Writes a GGUF model as bfloat16 safetensors with its configuration and tokenizer, which is what vLLM loads well.

    python vllm_model.py SOURCE.gguf FOLDER

Run by compare.py with vLLM's own environment, which holds transformers and gguf.
"""
import os
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    partial = target.with_name(target.name + ".partial")
    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.bfloat16)
    # The weights are dequantised by now, but still marked as what they came from, which cannot be saved.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(partial)
    AutoTokenizer.from_pretrained(**place).save_pretrained(partial)
    os.replace(partial, target)


if __name__ == "__main__":
    main()
