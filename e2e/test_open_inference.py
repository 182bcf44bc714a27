"""The Open Inference Protocol: Triton's own client over both transports, and plain HTTP for what it cannot say."""
import json

import grpc
import numpy
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.grpc import service_pb2 as messages, service_pb2_grpc as services
from tritonclient.utils import InferenceServerException

from test_grpc import grpc_address, serving  # noqa: F401 - a fixture

PROMPT = "The capital of France is"
PARAMETERS = {"temperature": 0, "max_tokens": 6}


@pytest.fixture(scope="module", params=["http", "grpc"])
def triton(request, serving):  # noqa: F811
    """Triton's client, and its module."""
    module = getattr(tritonclient, request.param)
    address = serving.url.removeprefix("http://") if request.param == "http" else grpc_address(serving)
    client = module.InferenceServerClient(address)
    yield client, module
    client.close()


@pytest.fixture
def http(serving):  # noqa: F811
    return serving.client


def text_input(module, texts, shape=None):
    array = numpy.array([text.encode() for text in texts], dtype=object).reshape(shape or [len(texts)])
    tensor = module.InferInput("text_input", list(array.shape), "BYTES")
    # Over HTTP, elements as JSON: the extension for binary data is not offered.
    tensor.set_data_from_numpy(array, **({"binary_data": False} if module is tritonclient.http else {}))
    return tensor


def outputs(module, *names):
    options = {"binary_data": False} if module is tritonclient.http else {}
    return [module.InferRequestedOutput(name, **options) for name in names]


def as_text(value) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_health_and_metadata(triton):
    client, module = triton
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("smollm2")
    options = {"as_json": True} if module is tritonclient.grpc else {}
    assert client.get_server_metadata(**options)["name"] == "martinet"
    model = client.get_model_metadata("smollm2", **options)
    assert model["name"] == "smollm2" and model["versions"] == ["1"]
    assert [(t["name"], t["datatype"], [int(n) for n in t["shape"]]) for t in model["inputs"]] == [
        ("text_input", "BYTES", [-1])]
    assert [t["name"] for t in model["outputs"]] == ["text_output", "finish_reason"]


def test_infer(triton, http):
    client, module = triton
    answer = client.infer(
        "smollm2", [text_input(module, [PROMPT])], request_id="mine", parameters=PARAMETERS,
        outputs=outputs(module, "text_output", "finish_reason"))
    text = as_text(answer.as_numpy("text_output")[0])
    assert "Paris" in text and as_text(answer.as_numpy("finish_reason")[0]) == "length"
    native = http.post("/generate", json={"prompt": PROMPT, **PARAMETERS}).json()
    assert text == native["outputs"][0]["text"]
    response = answer.get_response()
    assert (response["id"] if isinstance(response, dict) else response.id) == "mine"


@pytest.mark.parametrize("shape", [[4], [4, 1], [2, 2]])
def test_batches_keep_their_shape(triton, shape):
    client, module = triton
    texts = ["One, two,", "The sky is", "Grüße aus", "世界"]
    answer = client.infer("smollm2", [text_input(module, texts, shape)], parameters=PARAMETERS,
                          outputs=outputs(module, "text_output"), model_version="1")
    batch = answer.as_numpy("text_output")
    assert list(batch.shape) == shape
    for text, output in zip(texts, batch.flatten()):
        single = client.infer("smollm2", [text_input(module, [text])], parameters=PARAMETERS,
                              outputs=outputs(module, "text_output"))
        assert as_text(single.as_numpy("text_output")[0]) == as_text(output)


@pytest.mark.parametrize("make, said", [
    (lambda m: dict(model_name="nothing", inputs=[text_input(m, ["x"])]), "nothing"),
    (lambda m: dict(inputs=[text_input(m, ["x"])], model_version="7"), "version"),
    (lambda m: dict(inputs=[text_input(m, ["x"])], parameters={"temperature": -1.0}), "temperature"),
    (lambda m: dict(inputs=[text_input(m, ["x"])], parameters={"max_tokens": 0}), "max_tokens"),
    (lambda m: dict(inputs=[text_input(m, [""])]), "text_input"),
    (lambda m: dict(inputs=[text_input(m, ["x"])], outputs=outputs(m, "logits")), "logits"),
])
def test_errors_name_what_is_wrong(triton, make, said):
    client, module = triton
    with pytest.raises(InferenceServerException, match=said):
        client.infer(**({"model_name": "smollm2"} | make(module)))


def test_other_tensors_are_refused(triton):
    client, module = triton
    tensor = module.InferInput("ids", [2], "INT64")
    options = {"binary_data": False} if module is tritonclient.http else {}
    tensor.set_data_from_numpy(numpy.array([1, 2]), **options)
    with pytest.raises(InferenceServerException, match="ids"):
        client.infer("smollm2", [tensor])


@pytest.mark.parametrize("change", [
    {"inputs": None}, {"inputs": []}, {"inputs": [{"name": "text_input"}]}, {"inputs": 5},
    {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [2], "data": ["one"]}]},
    {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [-1], "data": ["one"]}]},
    {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1 << 62, 4], "data": ["one"]}]},
    {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [], "data": "one"}]},
    {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [1]}]},
    {"inputs": [{"name": "text_input", "datatype": "INT32", "shape": [1], "data": ["one"]}]},
    {"parameters": []}, {"outputs": [7]}, {"id": 9}, {"parameters": {"n": 2}},
])
def test_bad_bodies(http, change):
    body = {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["one"]}]} | change
    answer = http.post("/v2/models/smollm2/infer", json=body)
    assert answer.status_code == 400 and list(answer.json()) == ["error"]


@pytest.mark.parametrize("path, status", [
    ("/v2/models/nothing/infer", 404), ("/v2/models/smollm2/versions/9/infer", 404), ("/v2/models/smollm2", 405),
])
def test_paths(http, path, status):
    answer = http.post(path, json={})
    assert answer.status_code == status and list(answer.json()) == ["error"]
    assert http.get("/v2/models/smollm2/versions/1/ready").json() == {"name": "smollm2", "ready": True}
    assert http.get("/v2/health/ready").json() == {"ready": True}
    assert http.get("/v2").json()["extensions"] == ["generate"]


def test_generate(http):
    nested = http.post("/v2/models/smollm2/generate", json={"text_input": PROMPT, "parameters": PARAMETERS})
    flat = http.post("/v2/models/smollm2/versions/1/generate", json={"text_input": PROMPT, **PARAMETERS})
    assert nested.json() == flat.json() and nested.json()["model_name"] == "smollm2"
    assert "Paris" in nested.json()["text_output"]
    parts = []
    with http.stream("POST", "/v2/models/smollm2/generate_stream",
                     json={"text_input": PROMPT, "parameters": PARAMETERS}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line:
                parts.append(json.loads(line.removeprefix("data: ")))
    assert "".join(part["text_output"] for part in parts) == nested.json()["text_output"]
    assert [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True]
    for verb in ["generate", "generate_stream"]:
        for body in [{}, {"text_input": ""}, {"text_input": 5}, {"text_input": "x", "parameters": 5},
                     {"text_input": "x", "temperature": "hot"}]:
            answer = http.post(f"/v2/models/smollm2/{verb}", json=body)
            assert answer.status_code == 400 and list(answer.json()) == ["error"]


@pytest.mark.parametrize("raw", [b"\x01", b"\xff\xff\xff\xff", b"\x05\x00\x00\x00abc", b"\x01\x00\x00\x00\xff"])
def test_raw_tensors_that_are_none(serving, raw):  # noqa: F811
    with grpc.insecure_channel(grpc_address(serving)) as channel:
        request = messages.ModelInferRequest(
            model_name="smollm2", raw_input_contents=[raw],
            inputs=[messages.ModelInferRequest.InferInputTensor(name="text_input", datatype="BYTES", shape=[1])])
        with pytest.raises(grpc.RpcError) as caught:
            services.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_contents_in_and_out(serving):  # noqa: F811
    with grpc.insecure_channel(grpc_address(serving)) as channel:
        request = messages.ModelInferRequest(
            model_name="smollm2", id="7", parameters={"max_tokens": messages.InferParameter(int64_param=3)},
            inputs=[messages.ModelInferRequest.InferInputTensor(
                name="text_input", datatype="BYTES", shape=[1],
                contents=messages.InferTensorContents(bytes_contents=[PROMPT.encode()]))])
        answer = services.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
        assert answer.id == "7" and not answer.raw_output_contents
        assert [output.name for output in answer.outputs] == ["text_output", "finish_reason"]
        assert answer.outputs[0].contents.bytes_contents[0].decode()
