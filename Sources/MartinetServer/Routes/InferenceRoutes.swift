internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetTelemetry

/// The routes of OpenAI's completions and chat, the native ones, and those that count tokens: decode, call, encode.
struct InferenceRoutes: RouteGroup {
    let calls: CallRouter
    /// Routes that only other servers answer, vLLM's for models that score and classify.
    static let pathsOfOthers = ["score", "v1/score", "rerank", "v1/rerank", "v2/rerank", "classify", "pooling"]

    var methods: [String: [HTTPRequest.Method]] {
        var methods: [String: [HTTPRequest.Method]] = [
            "/generate": [.post], "/generate_batch": [.post], "/v1/completions": [.post],
            "/v1/chat/completions": [.post], "/tokenize": [.post], "/detokenize": [.post],
            "/v1/models": [.get, .head], "/v1/models/{model}": [.get, .head],
        ]
        for path in Self.pathsOfOthers { methods["/" + path] = [.post] }
        return methods
    }

    func add(to router: Router<MartinetContext>) {
        calls.post("generate", on: router, generate)
        calls.post("generate_batch", on: router, generateBatch)
        calls.post("v1/completions", on: router, completions)
        calls.post("v1/chat/completions", on: router, chat)
        calls.post("tokenize", on: router) { call in
            let answer = try TokenizeRequest(call.body, model: call.model).body(
                model: call.model, service: call.target.service)
            return { CallRouter.json(answer) }
        }
        calls.post("detokenize", on: router) { call in
            let answer = try DetokenizeRequest(call.body, model: call.model).body(model: call.model)
            return { CallRouter.json(answer) }
        }
        for path in Self.pathsOfOthers {
            calls.post(path, on: router) { call in
                throw APIError(
                    status: 501,
                    "The model `\(call.model.name)` generates text and embeddings; it has no /\(path).",
                    type: "server_error", code: "not_implemented")
            }
        }
        router.get("v1/models") { _, _ in
            CallRouter.json(ModelList.body(calls.directory.all.map(\.model), elsewhere: calls.directory.upstreamNames))
        }
        // Names may hold slashes.
        router.get("v1/models/**") { _, context in
            let path = context.parameters.getCatchAll().joined(separator: "/")
            let name = path.removingPercentEncoding ?? path
            switch try calls.directory.destination(named: name) {
            case .model(let target): return CallRouter.json(ModelList.body(target.model, name: name))
            case .upstreams: return CallRouter.json(ModelList.body(elsewhere: name))
            }
        }
    }

    @Sendable private func generate(_ call: CallRouter.Call) throws -> CallRouter.Answer {
        let id = call.id("gen-")
        let decoded = try GenerateRequest.single(call.body, model: call.model)
        let requests = call.hints.applied(to: try decoded.requests(id: id, model: call.model))
        let answer = GenerateAnswer(id: id, request: decoded, model: call.model)
        return {
            if decoded.stream { return try await calls.stream(requests, answer, call) }
            return CallRouter.json(answer.body(try await calls.collect(requests, call)))
        }
    }

    @Sendable private func generateBatch(_ call: CallRouter.Call) throws -> CallRouter.Answer {
        let id = call.id("gen-")
        let decoded = try GenerateRequest.batch(call.body, model: call.model)
        let requests = call.hints.applied(to: try decoded.requests(id: id, model: call.model))
        let answer = GenerateAnswer(id: id, request: decoded, model: call.model)
        return { CallRouter.json(answer.body(try await calls.collect(requests, call))) }
    }

    @Sendable private func completions(_ call: CallRouter.Call) throws -> CallRouter.Answer {
        let id = call.id("cmpl-")
        let decoded = try CompletionRequest(call.body, model: call.model)
        let requests = call.hints.applied(to: try decoded.requests(id: id, model: call.model))
        let answer = CompletionAnswer(
            id: id, created: Int(ProcessFigures.now), request: decoded, prompts: requests.map(\.prompt),
            model: call.model)
        return {
            if decoded.streaming.stream { return try await calls.stream(requests, answer, call) }
            return CallRouter.json(answer.body(try await calls.collect(requests, call)))
        }
    }

    @Sendable private func chat(_ call: CallRouter.Call) throws -> CallRouter.Answer {
        let id = call.id("chatcmpl-")
        let decoded = try ChatRequest(call.body, model: call.model)
        let requests = call.hints.applied(
            to: [try decoded.request(id: id, model: call.model, service: call.target.service)])
        let answer = ChatAnswer(
            id: id, created: Int(ProcessFigures.now), request: decoded, inference: requests[0], model: call.model)
        return {
            if decoded.streaming.stream { return try await calls.stream(requests, answer, call) }
            let results = try await calls.collect(requests, call)
            return CallRouter.json(answer.body(results[0]))
        }
    }
}
