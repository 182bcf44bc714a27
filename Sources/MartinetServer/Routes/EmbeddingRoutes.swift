internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI

/// `/v1/embeddings`.
struct EmbeddingRoutes: RouteGroup {
    let calls: CallRouter

    let methods: [String: [HTTPRequest.Method]] = ["/v1/embeddings": [.post]]

    func add(to router: Router<MartinetContext>) {
        calls.post("v1/embeddings", on: router) { call in
            let decoded = try EmbeddingRequest(call.body, model: call.model)
            let requests = call.hints.applied(to: try decoded.requests(id: call.id("embd-"), model: call.model))
            let answer = EmbeddingAnswer(request: decoded, model: call.model)
            return { CallRouter.json(try answer.body(try await calls.collect(requests, call))) }
        }
    }
}
