"""Writes a GGUF model anew in another of llama.cpp's formats, with llama.cpp itself.

    python llama_formats.py SOURCE.gguf TARGET.gguf Q4_0

Run by compare.py with the Python of the peers' environment. A source that is quantised already loses a little quality;
for speed that does not matter.
"""
import argparse
import os
import sys

import llama_cpp
from llama_engine import take_logs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("format", choices=["Q4_0", "Q4_1", "Q8_0", "Q4_K_M"])
    options = parser.parse_args()
    take_logs()
    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{options.format}")
    parameters.allow_requantize = True
    parameters.nthread = len(os.sched_getaffinity(0))
    partial = options.target + ".partial"
    if llama_cpp.llama_model_quantize(options.source.encode(), partial.encode(), parameters) != 0:
        sys.exit(f"llama.cpp could not write {options.format}")
    os.replace(partial, options.target)


if __name__ == "__main__":
    main()
