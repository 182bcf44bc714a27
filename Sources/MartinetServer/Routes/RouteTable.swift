internal import HTTPTypes

/// The paths of a server with the methods that each takes, to tell 405 from 404.
struct RouteTable: Sendable {
    private let routes: [(pattern: [Substring], methods: [HTTPRequest.Method])]

    /// Describes the routes of groups.
    init(_ groups: [any RouteGroup]) {
        var methods: [String: [HTTPRequest.Method]] = [:]
        for group in groups { methods.merge(group.methods) { $0 + $1 } }
        // Where several patterns match, the one that says most does.
        routes = methods.map { (pattern: $0.key.split(separator: "/"), methods: $0.value) }
            .sorted { Self.weight($0.pattern) > Self.weight($1.pattern) }
    }

    private static func weight(_ pattern: [Substring]) -> Int { pattern.count { !$0.hasPrefix("{") } }

    /// The methods that a path takes; `nil` where there is no such path.
    func methods(at path: String) -> [HTTPRequest.Method]? {
        guard path.hasPrefix("/") else { return nil }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        return routes.first { Self.matches($0.pattern[...], parts) }?.methods
    }

    /// Whether parts of a path match a pattern. Names of models may hold slashes.
    private static func matches(_ pattern: ArraySlice<Substring>, _ parts: ArraySlice<Substring>) -> Bool {
        guard let first = pattern.first else { return parts.isEmpty }
        guard let part = parts.first, !part.isEmpty else { return false }
        if first == "{model}" {
            let rest = pattern.count - 1
            guard parts.count > rest else { return false }
            return matches(pattern.dropFirst(), parts.suffix(rest))
        }
        guard first == part || first.hasPrefix("{") else { return false }
        return matches(pattern.dropFirst(), parts.dropFirst())
    }
}
