internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetWebSocketHTTP

/// Says to requests for `/v1/ws` that did not become a WebSocket why they did not.
struct WebSocketRoutes: RouteGroup {
    let origins: CrossOriginPolicy

    let methods: [String: [HTTPRequest.Method]] = [WebSocketSession.path: [.get, .head]]

    func add(to router: Router<MartinetContext>) {
        router.get(RouterPath(WebSocketSession.path)) { request, _ in
            do throws(WebSocketHandshake.Refusal) {
                _ = try WebSocketHandshake(
                    method: request.method.rawValue,
                    field: { name in
                        name == "host"
                            ? request.head.authority.map { [$0] } ?? []
                            : HTTPField.Name(name).map { request.headers[values: $0] } ?? []
                    }, allows: origins.allowsUnasked)
            } catch {
                var response = RequestMiddleware.response(APIError(status: error.status, error.message))
                for (name, value) in error.headers {
                    if let name = HTTPField.Name(name) { response.headers[name] = value }
                }
                return response
            }
            throw APIError(
                status: 400, "A connection becomes a WebSocket with its first request, over HTTP/1.1.",
                code: "not_first_request")
        }
    }
}
