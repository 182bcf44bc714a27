internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI

/// The routes of Anthropic's API: decode, call, encode.
///
/// `anthropic-version` and `anthropic-beta` change nothing: there is one version, and what a beta adds is in the body.
struct AnthropicRoutes: RouteGroup {
    let calls: CallRouter

    let methods: [String: [HTTPRequest.Method]] = ["/v1/messages": [.post], "/v1/messages/count_tokens": [.post]]

    func add(to router: Router<MartinetContext>) {
        calls.post("v1/messages", on: router, messages)
        calls.post("v1/messages/count_tokens", on: router) { call in
            let answer = try MessagesRequest.count(call.body, model: call.model, service: call.target.service)
            return { CallRouter.json(answer) }
        }
    }

    @Sendable private func messages(_ call: CallRouter.Call) throws -> CallRouter.Answer {
        let id = "msg_" + RequestMiddleware.newID()
        let decoded = try MessagesRequest(call.body, model: call.model)
        let generation = decoded.generation
        let request = try generation.request(id: id, model: call.model, service: call.target.service)
        let answer = MessagesAnswer(
            id: id, requestID: call.context.record.requestID, request: decoded,
            reader: generation.reader(for: request, model: call.model), model: call.model)
        let requests = call.hints.applied(to: [request])
        return {
            if decoded.stream { return try await calls.stream(requests, answer, call) }
            return CallRouter.json(answer.body(try await calls.collect(requests, call)[0]))
        }
    }
}
