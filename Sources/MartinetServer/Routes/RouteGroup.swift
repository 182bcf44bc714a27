internal import HTTPTypes
internal import Hummingbird

/// Routes that belong together.
protocol RouteGroup: Sendable {
    /// Their fixed paths, with the methods that each takes, to tell 405 from 404.
    var methods: [String: [HTTPRequest.Method]] { get }
    /// Adds them.
    func add(to router: Router<MartinetContext>)
}
