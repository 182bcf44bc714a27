internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetJSON
internal import MartinetTelemetry

/// The routes of OpenAI's responses: decode, call, encode, keep.
struct ResponsesRoutes: RouteGroup {
    let calls: CallRouter
    /// Where answers are kept; `nil` where they are not.
    let store: (any ResponseStore)?

    let methods: [String: [HTTPRequest.Method]] = [
        "/v1/responses": [.post], "/v1/responses/input_tokens": [.post],
        "/v1/responses/{id}": [.get, .head, .delete], "/v1/responses/{id}/input_items": [.get, .head],
    ]

    func add(to router: Router<MartinetContext>) {
        calls.post("v1/responses", on: router, create)
        calls.post("v1/responses/input_tokens", on: router, count)
        router.get("v1/responses/{id}") { request, context in
            if request.uri.queryParameters["stream"] == "true" {
                throw APIError.unsupported("stream", "`stream` is not supported: a kept response is given whole.")
            }
            let id = try context.parameters.require("id")
            return CallRouter.json(try await history().body(of: id))
        }
        router.delete("v1/responses/{id}") { _, context in
            CallRouter.json(try await history().delete(try context.parameters.require("id")))
        }
        router.get("v1/responses/{id}/input_items") { request, context in
            let query = request.uri.queryParameters
            let limit = query["limit"].map(String.init)
            guard let count = limit.map({ Int($0) }) ?? 20 else {
                throw APIError.invalid("limit", "`limit` must be an integer from 1 to 100, got `\(limit ?? "")`.")
            }
            let order = query["order"].map(String.init) ?? "desc"
            guard ["asc", "desc"].contains(order) else {
                throw APIError.invalid("order", "`order` must be `asc` or `desc`, got `\(order)`.")
            }
            return CallRouter.json(
                try await history().inputItems(
                    of: try context.parameters.require("id"), limit: count, after: query["after"].map(String.init),
                    ascending: order == "asc"))
        }
    }

    private func history() throws(APIError) -> ResponseHistory {
        guard let store else {
            throw APIError(
                status: 501, "This server keeps no answers. Start it with --data-dir FOLDER and it does.",
                type: "server_error", code: "storage_off")
        }
        return ResponseHistory(store)
    }

    /// A request as the engine takes it, and the encoder of its answer.
    private struct Prepared {
        var requests: [InferenceRequest]
        var answer: ResponsesAnswer
    }

    @Sendable private func create(_ call: CallRouter.Call) throws -> CallRouter.Answer {
        let decoded = try ResponsesRequest(call.body, model: call.model, stores: store != nil)
        return try after(decoded, call) { prepared in
            if decoded.stream { return try await calls.stream(prepared.requests, prepared.answer, call) }
            var answer = prepared.answer
            return CallRouter.json(try await answer.body(try await calls.collect(prepared.requests, call)[0]))
        }
    }

    @Sendable private func count(_ call: CallRouter.Call) throws -> CallRouter.Answer {
        let decoded = try ResponsesRequest(call.body, model: call.model, stores: store != nil)
        return try after(decoded, call) { prepared in
            var writer = JSONWriter()
            writer.object { writer in
                writer.field("object", "response.input_tokens")
                writer.field("input_tokens", prepared.requests[0].prompt.count)
            }
            return CallRouter.json(writer.bytes)
        }
    }

    /// Prepares a request at once, or after what it goes on from has been looked up.
    private func after(
        _ decoded: ResponsesRequest, _ call: CallRouter.Call,
        _ answer: @escaping @Sendable (Prepared) async throws -> Response
    ) throws -> CallRouter.Answer {
        guard let previous = decoded.previousID else {
            let prepared = try prepare(decoded, after: [], call)
            return { try await answer(prepared) }
        }
        return {
            let (items, size) = try await history().items(upTo: previous)
            let prepared = try await CallRouter.aside(call.body.bytes.count + size) {
                try prepare(decoded, after: items, call)
            }
            return try await answer(prepared)
        }
    }

    private func prepare(
        _ decoded: ResponsesRequest, after earlier: [JSONValue], _ call: CallRouter.Call
    ) throws -> Prepared {
        let id = "resp_" + RequestMiddleware.newID()
        let (generation, request) = try decoded.generation(
            id: id, after: earlier, model: call.model, service: call.target.service)
        let answer = ResponsesAnswer(
            id: id, clock: { Int(ProcessFigures.now) }, request: decoded,
            reader: generation.reader(for: request, model: call.model), model: call.model, store: store)
        return Prepared(requests: call.hints.applied(to: [request]), answer: answer)
    }
}
