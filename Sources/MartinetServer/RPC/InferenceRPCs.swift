internal import GRPCCore
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetInferenceProtocol
internal import MartinetJSON
internal import SwiftProtobuf

/// `martinet.v1.Inference`: decode, call, encode.
struct InferenceRPCs: RPCInference.ServiceProtocol {
    let calls: CallRouter
    let rpc: RPCCalls

    func generate(
        request: ServerRequest<RPCGenerateRequest>, context: ServerContext
    ) async throws -> ServerResponse<RPCGenerateResponse> {
        try await rpc.unary(request, context) { message, call in
            let (requests, target) = try await decode(message, stream: false, call)
            let results = try await calls.runner.collect(requests, on: target, for: call.caller)
            let tokenizer = target.model.tokenizer
            return .with {
                $0.id = requests[0].id
                $0.model = target.model.name
                $0.outputs = results[0].outputs.map { RPCOutput($0, tokenizer) }
                $0.usage = RPCUsage(Usage(results))
                $0.promptLogprobs = RPCTokenLogprobs.prompt(results[0], tokenizer)
            }
        }
    }

    func generateStream(
        request: ServerRequest<RPCGenerateRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<RPCGenerateResponse> {
        rpc.stream(request, context) { message, call, writer in
            let (requests, target) = try await decode(message, stream: true, call)
            let head = RPCGenerateResponse.with {
                $0.id = requests[0].id
                $0.model = target.model.name
            }
            var new = NewOutputs(tokenizer: target.model.tokenizer)
            let usage = try await calls.runner.follow(requests, on: target, for: call.caller) { batch in
                for (_, events) in batch { for event in events { new.add(event) } }
                var part = head
                part.outputs = new.take()
                if !part.outputs.isEmpty { try await writer.write(part) }
            }
            var last = head
            last.usage = RPCUsage(usage)
            try await writer.write(last)
        }
    }

    func chat(
        request: ServerRequest<RPCChatRequest>, context: ServerContext
    ) async throws -> ServerResponse<RPCChatResponse> {
        try await rpc.unary(request, context) { message, call in
            let (request, reader, target) = try await decode(message, stream: false, call)
            let results = try await calls.runner.collect([request], on: target, for: call.caller)
            let tokenizer = target.model.tokenizer
            return .with {
                $0.id = request.id
                $0.model = target.model.name
                $0.choices = results[0].outputs.map { .init($0, reader.turn($0), tokenizer) }
                $0.usage = RPCUsage(Usage(results))
                $0.promptLogprobs = RPCTokenLogprobs.prompt(results[0], tokenizer)
            }
        }
    }

    func chatStream(
        request: ServerRequest<RPCChatRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<RPCChatResponse> {
        rpc.stream(request, context) { message, call, writer in
            let (request, reader, target) = try await decode(message, stream: true, call)
            let head = RPCChatResponse.with {
                $0.id = request.id
                $0.model = target.model.name
            }
            var new = NewTurns(reader, target.model.tokenizer)
            let usage = try await calls.runner.follow([request], on: target, for: call.caller) { batch in
                for (_, events) in batch { for event in events { new.add(event) } }
                var part = head
                part.choices = new.take()
                if !part.choices.isEmpty { try await writer.write(part) }
            }
            var last = head
            last.usage = RPCUsage(usage)
            try await writer.write(last)
        }
    }

    func embed(
        request: ServerRequest<RPCEmbedRequest>, context: ServerContext
    ) async throws -> ServerResponse<RPCEmbedResponse> {
        try await rpc.unary(request, context) { message, call in
            let target = try target(message.model)
            let (decoded, requests) = try await CallRouter.aside(message.size) {
                let decoded = try EmbeddingRequest(message.body, model: target.model)
                return (decoded, try decoded.requests(id: call.id("embd-"), model: target.model))
            }
            let results = try await calls.runner.collect(
                call.hints.applied(to: requests), on: target, for: call.caller)
            let vectors = try EmbeddingAnswer(request: decoded, model: target.model).vectors(results)
            return .with {
                $0.model = target.model.name
                $0.embeddings = vectors.map { vector in .with { $0.values = vector } }
                $0.usage = RPCUsage(Usage(results))
            }
        }
    }

    func tokenize(
        request: ServerRequest<RPCTokenizeRequest>, context: ServerContext
    ) async throws -> ServerResponse<RPCTokenizeResponse> {
        try await rpc.unary(request, context) { message, _ in
            let target = try target(message.model)
            let tokens = try await CallRouter.aside(message.size) {
                try TokenizeRequest(message.body, model: target.model).tokens(
                    model: target.model, service: target.service)
            }
            return .with {
                $0.tokenIds = tokens
                $0.maxModelLength = Int64(target.model.maxModelLength)
            }
        }
    }

    func detokenize(
        request: ServerRequest<RPCDetokenizeRequest>, context: ServerContext
    ) async throws -> ServerResponse<RPCDetokenizeResponse> {
        try await rpc.unary(request, context) { message, _ in
            let target = try target(message.model)
            let text = try await CallRouter.aside(message.tokenIds.count) {
                var fields = RequestFields()
                try fields.add("tokens", message.tokenIds) { .integer(Int($0)) }
                return try DetokenizeRequest(fields.body, model: target.model).text(model: target.model)
            }
            return .with { $0.text = text }
        }
    }

    func listModels(
        request: ServerRequest<RPCListModelsRequest>, context: ServerContext
    ) async throws -> ServerResponse<RPCListModelsResponse> {
        try await rpc.unary(request, context) { _, _ in
            let here = calls.directory.all.flatMap { deployment in
                deployment.model.names.map { RPCModel(deployment.model, name: $0) }
            }
            return .with { $0.models = here + calls.directory.upstreamNames.map { RPCModel(elsewhere: $0) } }
        }
    }

    // MARK: Decoding

    private func target(_ name: String) throws(APIError) -> Deployment {
        try calls.directory.servedHere(name)
    }

    private func decode(
        _ message: RPCGenerateRequest, stream: Bool, _ call: RPCCall
    ) async throws -> ([InferenceRequest], Deployment) {
        let target = try target(message.model)
        let requests = try await CallRouter.aside(message.size) {
            let decoded = try GenerateRequest.single(message.body(stream: stream), model: target.model)
            return try decoded.requests(id: call.id("gen-"), model: target.model)
        }
        return (call.hints.applied(to: requests), target)
    }

    private func decode(
        _ message: RPCChatRequest, stream: Bool, _ call: RPCCall
    ) async throws -> (InferenceRequest, TurnReader, Deployment) {
        let target = try target(message.model)
        let (request, reader) = try await CallRouter.aside(message.size) {
            let decoded = try ChatRequest(message.body(stream: stream), model: target.model)
            let request = try decoded.request(id: call.id("chatcmpl-"), model: target.model, service: target.service)
            return (request, decoded.generation.reader(for: request, model: target.model))
        }
        return (call.hints.applied(to: [request])[0], reader, target)
    }
}

extension ModelDirectory {
    /// The model of a name, the first for an empty one.
    ///
    /// - Throws: ``APIError`` 404 where nothing has the name, 501 where another server answers to it.
    func servedHere(_ name: String) throws(APIError) -> Deployment {
        switch try destination(named: name.isEmpty ? nil : name) {
        case .model(let deployment): return deployment
        case .upstreams:
            throw APIError(
                status: 501,
                "The model `\(name)` is served by another server, which is reached over HTTP alone: call /v1/completions "
                    + "or /v1/chat/completions.", parameter: "model", code: "not_implemented")
        }
    }
}
