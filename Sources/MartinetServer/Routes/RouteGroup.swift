internal import HTTPTypes
internal import Hummingbird

/// Routes that belong together.
protocol RouteGroup: Sendable {
    /// Their paths, with the methods that each takes: to tell 405 from 404, and to choose what the API's document holds.
    /// Parameters stand in braces; `{model}` may hold slashes.
    var methods: [String: [HTTPRequest.Method]] { get }
    /// Adds them.
    func add(to router: Router<MartinetContext>)
}
