"""gRPC with its official Python packages: stubs made of Protos/ as any client would make them."""
import importlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from grpc_tools import protoc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from conftest import BINARY, ROOT

PROMPT = "The capital of France is"


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """The modules that grpcio-tools makes of the schema."""
    out = tmp_path_factory.mktemp("stubs")
    assert protoc.main(["protoc", f"-I{ROOT}/Protos", f"--python_out={out}", f"--grpc_python_out={out}",
                        "martinet/v1/inference.proto"]) == 0
    sys.path.insert(0, str(out))
    try:
        names = ["martinet.v1.inference_pb2", "martinet.v1.inference_pb2_grpc"]
        yield [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(out))


def grpc_address(server) -> str:
    return re.search(r"gRPC\s+(\S+)", server.out.read_text()).group(1)


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    from conftest import Server

    server = Server(tmp_path_factory.mktemp("grpc") / "log", "--grpc-port", "0", "--max-num-seqs", "4",
                    "--max-waiting", "4")
    yield server
    assert server.process.poll() is None, "the server died during the tests"
    assert server.stop() == 0


@pytest.fixture(scope="module")
def channel(serving):
    with grpc.insecure_channel(grpc_address(serving)) as channel:
        yield channel


@pytest.fixture
def pb(stubs):
    return stubs[0]


@pytest.fixture
def stub(stubs, channel):
    return stubs[1].InferenceStub(channel)


def details(error) -> dict:
    """The details of an error, by their type."""
    status = rpc_status.from_call(error)
    found = {}
    for detail in status.details if status else []:
        message = getattr(error_details_pb2, detail.type_url.rpartition(".")[2])()
        assert detail.Unpack(message)
        found[type(message).__name__] = message
    return found


def test_generate(stub, pb, http):
    request = pb.GenerateRequest(text=PROMPT, sampling=pb.SamplingParameters(temperature=0, max_tokens=8))
    answer = stub.Generate(request, timeout=60)
    assert answer.model == "smollm2" and answer.id.startswith("gen-")
    output, = answer.outputs
    assert "Paris" in output.text and len(output.token_ids) == 8
    assert output.finish_reason == pb.FINISH_REASON_LENGTH
    assert answer.usage.completion_tokens == 8 and answer.usage.prompt_tokens > 0
    # The same as over HTTP.
    json = http.post("/generate", json={"prompt": PROMPT, "temperature": 0, "max_tokens": 8}).json()
    assert json["outputs"][0]["text"] == output.text and json["outputs"][0]["token_ids"] == list(output.token_ids)


def test_generate_stream(stub, pb):
    request = pb.GenerateRequest(text=PROMPT, sampling=pb.SamplingParameters(temperature=0, max_tokens=24, logprobs=2))
    whole = stub.Generate(request, timeout=60)
    parts = list(stub.GenerateStream(request, timeout=60))
    outputs = [output for part in parts for output in part.outputs]
    assert "".join(output.text for output in outputs) == whole.outputs[0].text
    assert [token for output in outputs for token in output.token_ids] == list(whole.outputs[0].token_ids)
    assert [output.finish_reason for output in outputs if output.finish_reason] == [whole.outputs[0].finish_reason]
    assert parts[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert not any(part.HasField("usage") for part in parts[:-1])
    logprobs = [token for output in outputs for token in output.logprobs]
    assert len(logprobs) == 24 and all(len(token.top) == 2 for token in logprobs)
    assert b"".join(token.chosen.token for token in logprobs).decode() == whole.outputs[0].text


def test_samples_tokens_stops_and_seeds(stub, pb):
    tokens = stub.Tokenize(pb.TokenizeRequest(text=PROMPT), timeout=60).token_ids
    sampling = pb.SamplingParameters(n=3, seed=7, temperature=1, max_tokens=6)
    first = stub.Generate(pb.GenerateRequest(tokens=pb.Tokens(ids=tokens), sampling=sampling), timeout=60)
    again = stub.Generate(pb.GenerateRequest(text=PROMPT, sampling=sampling), timeout=60)
    assert [output.index for output in first.outputs] == [0, 1, 2]
    assert [list(o.token_ids) for o in first.outputs] == [list(o.token_ids) for o in again.outputs]
    stopped = stub.Generate(pb.GenerateRequest(
        text=PROMPT, sampling=pb.SamplingParameters(temperature=0, max_tokens=30, stop=["Paris"])), timeout=60)
    assert stopped.outputs[0].finish_reason == pb.FINISH_REASON_STOP and stopped.outputs[0].stop_text == "Paris"
    assert "Paris" not in stopped.outputs[0].text


def test_chat(stub, pb):
    request = pb.ChatRequest(
        messages=[pb.ChatMessage(role="system", content="You are terse."),
                  pb.ChatMessage(role="user", content="What is the capital of France?")],
        sampling=pb.SamplingParameters(temperature=0, max_tokens=16))
    whole = stub.Chat(request, timeout=60)
    assert whole.id.startswith("chatcmpl-") and "Paris" in whole.choices[0].message.content
    assert whole.choices[0].message.role == "assistant"
    parts = list(stub.ChatStream(request, timeout=60))
    choices = [choice for part in parts for choice in part.choices]
    assert "".join(choice.message.content for choice in choices) == whole.choices[0].message.content
    assert choices[0].message.role == "assistant" and not any(c.message.role for c in choices[1:])
    assert [c.finish_reason for c in choices if c.finish_reason] == [whole.choices[0].finish_reason]
    assert parts[-1].usage == whole.usage or parts[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_tokens_there_and_back(stub, pb):
    answer = stub.Tokenize(pb.TokenizeRequest(text="Grüße, 世界!"), timeout=60)
    assert answer.max_model_length > 0
    assert stub.Detokenize(pb.DetokenizeRequest(token_ids=answer.token_ids), timeout=60).text == "Grüße, 世界!"
    chat = stub.Tokenize(pb.TokenizeRequest(conversation=pb.TokenizeRequest.Conversation(
        messages=[pb.ChatMessage(role="user", content="Hello")])), timeout=60)
    text = stub.Detokenize(pb.DetokenizeRequest(token_ids=chat.token_ids), timeout=60).text
    assert "Hello" in text and text.rstrip().endswith("assistant")


def test_models(stub, pb, http):
    models = stub.ListModels(pb.ListModelsRequest(), timeout=60).models
    listed = http.get("/v1/models").json()["data"]
    assert [(m.name, m.max_model_length) for m in models] == [(m["id"], m["max_model_len"]) for m in listed]


@pytest.mark.parametrize("change, field", [
    (dict(sampling=dict(temperature=-1)), "sampling.temperature"),
    (dict(sampling=dict(temperature=float("nan"))), "sampling.temperature"),
    (dict(sampling=dict(top_p=0)), "sampling.top_p"),
    (dict(sampling=dict(max_tokens=0)), "sampling.max_tokens"),
    (dict(sampling=dict(max_tokens=1 << 40)), "sampling.max_tokens"),
    (dict(sampling=dict(n=0)), "sampling.n"),
    (dict(sampling=dict(logprobs=21)), "sampling.logprobs"),
    (dict(sampling=dict(logit_bias={-1: 1.0})), "sampling.logit_bias"),
    (dict(sampling=dict(stop=[""])), "sampling.stop"),
    (dict(text=""), "prompt"),
    (dict(tokens=dict(ids=[-1])), "prompt[0]"),
    (dict(tokens=dict(ids=[1 << 30])), "prompt[0]"),
    (dict(structured_output=dict(json_schema="{")), "structured_output.json_schema"),
])
def test_wrong_fields_are_named(stub, pb, change, field):
    request = pb.GenerateRequest(**(dict(text=PROMPT) | change if "tokens" not in change else change))
    for call in (lambda: stub.Generate(request, timeout=60), lambda: list(stub.GenerateStream(request, timeout=60))):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert details(caught.value)["BadRequest"].field_violations[0].field == field


def test_errors_have_their_codes(stub, pb):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Generate(pb.GenerateRequest(model="no-such-model", text=PROMPT), timeout=60)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND and "no-such-model" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        stub.Generate(pb.GenerateRequest(), timeout=60)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as caught:
        stub.Generate(pb.GenerateRequest(text="word " * 20_000), timeout=60)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details(caught.value)["ErrorInfo"].reason == "CONTEXT_LENGTH_EXCEEDED"
    with pytest.raises(grpc.RpcError) as caught:
        stub.Chat(pb.ChatRequest(), timeout=60)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_method_that_is_not_there(channel):
    call = channel.unary_unary("/martinet.v1.Inference/Nothing", request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=60)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05ab", b"\x12\x02\xff\xfe", b"\x00" * 64])
def test_messages_that_are_none(channel, serving, body):
    call = channel.unary_unary(
        "/martinet.v1.Inference/Generate", request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.RpcError) as caught:
        call(body, timeout=60)
    assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNKNOWN)
    assert serving.client.get("/readyz").status_code == 200


def test_a_message_that_is_too_large(stub, pb, serving):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Generate(pb.GenerateRequest(text="x" * (33 << 20)), timeout=60)
    # The stream is reset while the client still sends.
    assert caught.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED)
    assert serving.client.get("/readyz").status_code == 200


def test_request_ids(stub, pb):
    request = pb.GenerateRequest(text=PROMPT, sampling=pb.SamplingParameters(max_tokens=1))
    answer, call = stub.Generate.with_call(request, metadata=[("x-request-id", "mine-42")], timeout=60)
    assert dict(call.initial_metadata())["x-request-id"] == "mine-42" and answer.id == "gen-mine-42"
    with pytest.raises(grpc.RpcError) as caught:
        stub.Generate(pb.GenerateRequest(), metadata=[("x-request-id", "mine-43")], timeout=60)
    assert dict(caught.value.trailing_metadata())["x-request-id"] == "mine-43"


def long_request(pb):
    return pb.GenerateRequest(
        text=PROMPT, sampling=pb.SamplingParameters(max_tokens=4000, ignore_eos=True, temperature=0))


def test_a_cancelled_stream_frees_its_slot(stub, pb, serving):
    stream = stub.GenerateStream(long_request(pb))
    for _, part in zip(range(5), stream):
        assert part.outputs
    assert serving.metric("vllm:num_requests_running") >= 1
    stream.cancel()
    serving.wait_idle(10)


def test_a_cancelled_call_frees_its_slot(stub, pb, serving):
    future = stub.Generate.future(long_request(pb))
    deadline = time.monotonic() + 20
    while serving.metric("vllm:num_requests_running") < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    future.cancel()
    serving.wait_idle(10)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_deadline_ends_the_call(stub, pb, serving, streamed):
    begin = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        if streamed:
            list(stub.GenerateStream(long_request(pb), timeout=0.5))
        else:
            stub.Generate(long_request(pb), timeout=0.5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begin < 10
    serving.wait_idle(10)


def test_a_full_queue(stub, pb, serving):
    """Four run, four wait; who comes then hears when to come again."""
    streams = [stub.GenerateStream(long_request(pb)) for _ in range(8)]
    try:
        deadline = time.monotonic() + 30
        while serving.metric("vllm:num_requests_running") + serving.metric("vllm:num_requests_waiting") < 8:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Generate(long_request(pb), timeout=60)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(caught.value)["RetryInfo"].retry_delay.seconds >= 1
    finally:
        for stream in streams:
            stream.cancel()
    serving.wait_idle(10)


def test_many_calls_on_one_channel(stub, pb, serving):
    def call(index):
        request = pb.GenerateRequest(
            text=PROMPT, sampling=pb.SamplingParameters(max_tokens=4 + index, ignore_eos=True, temperature=0))
        parts = list(stub.GenerateStream(request, timeout=120))
        return sum(len(output.token_ids) for part in parts for output in part.outputs)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(8))) == [4 + index for index in range(8)]
    serving.wait_idle(10)


def test_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ["", "martinet.v1.Inference", "inference.GRPCInferenceService"]:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=60)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="nothing"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_reflection(channel):
    """The client that grpcio ships asks under v1alpha: it finds all services and calls one without any stub."""
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert {"martinet.v1.Inference", "grpc.health.v1.Health", "inference.GRPCInferenceService",
            "grpc.reflection.v1.ServerReflection"} <= services
    pool = DescriptorPool(database)
    method = pool.FindServiceByName("martinet.v1.Inference").FindMethodByName("ListModels")
    call = channel.unary_unary(
        "/martinet.v1.Inference/ListModels", request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString)
    assert call(GetMessageClass(method.input_type)(), timeout=60).models[0].name == "smollm2"
    assert pool.FindMessageTypeByName("inference.ModelInferRequest").fields_by_name["raw_input_contents"].number == 7


def test_reflection_v1(channel):
    from grpc_reflection.v1alpha import reflection_pb2

    # grpcio has no messages of v1; on the wire they are the same.
    call = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    answers = list(call(iter([
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="martinet.v1.Inference.Generate"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="nothing.At.All"),
    ]), timeout=60))
    assert len(answers[0].list_services_response.service) >= 4
    assert answers[1].file_descriptor_response.file_descriptor_proto
    assert answers[2].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_metrics_and_log(stub, pb, serving):
    stub.Generate(pb.GenerateRequest(text=PROMPT, sampling=pb.SamplingParameters(max_tokens=1)),
                  metadata=[("x-request-id", "logged-1")], timeout=60)
    assert serving.metric("grpc_server_handled_total", grpc_method="Generate", grpc_code="OK") >= 1
    assert any('"logged-1"' in line and "/martinet.v1.Inference/Generate" in line
               for line in serving.log.read_text().splitlines())


def test_the_end_is_orderly(start, stubs):
    """A stream that runs when the server is told to stop comes to its end; new calls hear that they are too late."""
    server = start("--grpc-port", "0")
    with grpc.insecure_channel(grpc_address(server)) as channel:
        pb = stubs[0]
        stub, health = stubs[1].InferenceStub(channel), health_pb2_grpc.HealthStub(channel)
        request = pb.GenerateRequest(
            text=PROMPT, sampling=pb.SamplingParameters(max_tokens=300, ignore_eos=True, temperature=0))
        stream = stub.GenerateStream(request)
        tokens = len(next(stream).outputs[0].token_ids)
        statuses = health.Watch(health_pb2.HealthCheckRequest())
        assert next(statuses).status == health_pb2.HealthCheckResponse.SERVING
        server.process.terminate()
        assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Generate(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        for part in stream:
            tokens += sum(len(output.token_ids) for output in part.outputs)
        assert tokens == 300
        assert server.process.wait(20) == 0


CERTIFICATES = ROOT / "Tests/MartinetWorkerProtocolTests/Fixtures"


def test_certificates(start, stubs):
    """With --tls-certificate gRPC is encrypted too; with --tls-client-ca who has no certificate is not let in."""
    server = start(
        "--grpc-port", "0", "--tls-certificate", CERTIFICATES / "worker.pem", "--tls-key", CERTIFICATES / "worker.key",
        "--tls-client-ca", CERTIFICATES / "authority.pem")
    authority = (CERTIFICATES / "authority.pem").read_bytes()
    identity = [(CERTIFICATES / name).read_bytes() for name in ("frontend.key", "frontend.pem")]
    for credentials, is_let_in in [
        (grpc.ssl_channel_credentials(authority, *identity), True), (grpc.ssl_channel_credentials(authority), False),
    ]:
        options = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(grpc_address(server), credentials, options) as channel:
            call = lambda: stubs[1].InferenceStub(channel).ListModels(stubs[0].ListModelsRequest(), timeout=20)
            if is_let_in:
                assert call().models[0].name == "smollm2"
            else:
                with pytest.raises(grpc.RpcError) as caught:
                    call()
                assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(grpc_address(server)) as channel:
        with pytest.raises(grpc.RpcError):
            stubs[1].InferenceStub(channel).ListModels(stubs[0].ListModelsRequest(), timeout=5)


def test_a_port_that_is_taken(serving):
    port = grpc_address(serving).rpartition(":")[2]
    done = subprocess.run([BINARY, "serve", "smollm2", "--port", "0", "--grpc-port", port], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode != 0 and "--grpc-port" in done.stderr and "Ready" not in done.stdout


def test_embeddings(serving, stub, pb):
    import httpx

    inputs = [pb.EmbedRequest.Input(text=PROMPT), pb.EmbedRequest.Input(text="Swifts sleep in flight")]
    answer = stub.Embed(pb.EmbedRequest(inputs=inputs))
    assert [round(sum(x * x for x in e.values), 3) for e in answer.embeddings] == [1, 1]
    same = httpx.post(f"{serving.url}/v1/embeddings", json=dict(input=[PROMPT, "Swifts sleep in flight"])).json()
    for mine, other in zip(answer.embeddings, same["data"], strict=True):
        assert list(mine.values) == pytest.approx(other["embedding"], abs=2e-3)
    assert answer.usage.prompt_tokens == same["usage"]["prompt_tokens"]
    with pytest.raises(grpc.RpcError) as error:
        stub.Embed(pb.EmbedRequest(inputs=inputs, dimensions=100_000))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


WEATHER = dict(name="get_weather", description="Weather of a city",
               parameters='{"type":"object","properties":{"city":{"enum":["Paris","Oslo"]}},"required":["city"],'
                          '"additionalProperties":false}')


def test_tools_and_structured_output(stub, pb):
    import json

    request = pb.ChatRequest(
        messages=[pb.ChatMessage(role="user", content="How is the weather in Paris?")], tools=[pb.Tool(**WEATHER)],
        tool_choice=pb.ToolChoice(function="get_weather"), parallel_tool_calls=False,
        sampling=pb.SamplingParameters(max_tokens=60, seed=1))
    call, = stub.Chat(request).choices[0].message.tool_calls
    assert call.name == "get_weather" and json.loads(call.arguments)["city"] in ("Paris", "Oslo")
    streamed = [c for part in stub.ChatStream(request) for choice in part.choices for c in choice.message.tool_calls]
    assert json.loads("".join(c.arguments for c in streamed))["city"] in ("Paris", "Oslo")
    sampling = pb.SamplingParameters(max_tokens=20, seed=2, temperature=1.5)
    structured = pb.StructuredOutput(regex="[0-9]{4}-[0-9]{2}")
    text = stub.Generate(pb.GenerateRequest(text="The date: ", sampling=sampling, structured_output=structured))
    assert re.fullmatch("[0-9]{4}-[0-9]{2}", text.outputs[0].text)
