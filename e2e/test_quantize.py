"""`martinet quantize`, read by Python's `gguf`, the format's reference reader."""
import subprocess
from pathlib import Path

import gguf
import numpy as np
import pytest
from conftest import BINARY, ROOT

TINY = ROOT / "Tests/Fixtures/tiny"
TYPES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


def quantize(model, output: Path, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BINARY, "quantize", model, output, *flags], capture_output=True, text=True, timeout=120)


def values(tensor) -> np.ndarray:
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)


def root_mean_square(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array))))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The weights of a tiny model in F32, by name."""
    path = tmp_path_factory.mktemp("plain") / "plain.gguf"
    assert quantize(TINY / "llama-rope", path, "--type", "F32").returncode == 0
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("name", TYPES)
def test_no_worse_than_the_reference_quantiser(name, plain, tmp_path):
    path = tmp_path / "out.gguf"
    done = quantize(TINY / "llama-rope", path, "--type", name, "--output-type", name)
    assert done.returncode == 0, done.stderr
    assert name in done.stdout and "bits per weight" in done.stdout
    matrices = 0
    for tensor in gguf.GGUFReader(path).tensors:
        source = values(plain[tensor.name])
        if len(tensor.shape) == 1:
            assert tensor.tensor_type.name == "F32"
            assert np.array_equal(values(tensor), source)
            continue
        matrices += 1
        assert tensor.tensor_type.name == name
        ours = root_mean_square(values(tensor) - source)
        kind = gguf.GGMLQuantizationType[name]
        reference = gguf.quants.dequantize(gguf.quants.quantize(source.astype(np.float32), kind), kind)
        assert ours <= root_mean_square(reference - source) * 1.0001, tensor.name
    assert matrices == 8


def test_a_directory_has_the_metadata_of_a_model(tmp_path):
    path = tmp_path / "out.gguf"
    assert quantize(TINY / "qwen2", path, "--type", "q8_0").returncode == 0
    fields = gguf.GGUFReader(path).fields

    def value(key):
        return fields[key].contents()

    assert value("general.architecture") == "qwen2"
    assert value("general.file_type") == gguf.LlamaFileType.MOSTLY_Q8_0
    assert value("general.quantization_version") == gguf.GGML_QUANT_VERSION
    assert value("qwen2.block_count") == 2 and value("qwen2.attention.head_count_kv") == 2
    assert value("tokenizer.ggml.model") == "gpt2" and len(value("tokenizer.ggml.tokens")) == 320
    assert value("tokenizer.ggml.token_type")[:4] == [3, 3, 3, 1]
    assert "<|im_start|>" in value("tokenizer.chat_template")


def test_the_default_model_as_a_mixture(start, tmp_path):
    path = tmp_path / "mixture.gguf"
    done = quantize("smollm2", path, "--type", "Q4_K_M", "--threads", "2")
    assert done.returncode == 0, done.stderr
    # Its rows are 576 and 1536 wide.
    assert "Q5_0 instead of Q4_K" in done.stdout
    server = start(model=str(path))
    answer = server.client.post("/generate", json={
        "prompt": "The capital of France is", "max_tokens": 8, "temperature": 0})
    assert answer.status_code == 200 and "Paris" in answer.text


def test_what_cannot_be_written_is_said_in_plain_words(tmp_path):
    path = tmp_path / "out.gguf"
    path.write_text("precious")
    done = quantize(TINY / "qwen2", path, "--type", "Q8_0")
    assert done.returncode != 0 and "--force" in done.stderr
    assert path.read_text() == "precious"
    assert quantize(TINY / "qwen2", path, "--type", "Q8_0", "--force", "--quiet").stdout == ""
    assert len(gguf.GGUFReader(path).tensors) > 0
    wrong = quantize(TINY / "qwen2", tmp_path / "b.gguf", "--type", "Q3_K")
    assert wrong.returncode == 64 and "Q4_K_M" in wrong.stderr
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(path.read_bytes()[:-1000])
    cut = quantize(damaged, tmp_path / "b.gguf", "--type", "Q4_0")
    assert cut.returncode != 0 and "fetch it again" in cut.stderr
    assert not (tmp_path / "b.gguf").exists()
