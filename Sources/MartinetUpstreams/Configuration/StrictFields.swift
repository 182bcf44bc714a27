/// The members of a configuration's object; unknown ones are refused.
struct StrictFields {
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private let container: KeyedDecodingContainer<Key>
    private var known: Set<String> = []

    init(_ decoder: any Decoder) throws {
        container = try decoder.container(keyedBy: Key.self)
    }

    /// Reads a member over its default.
    mutating func read<Value: Decodable>(_ name: String, into value: inout Value) throws {
        known.insert(name)
        if let given = try container.decodeIfPresent(Value.self, forKey: Key(stringValue: name)) { value = given }
    }

    /// Reads a member that may be absent.
    mutating func read<Value: Decodable>(_ name: String, into value: inout Value?) throws {
        known.insert(name)
        if let given = try container.decodeIfPresent(Value.self, forKey: Key(stringValue: name)) { value = given }
    }

    /// Reads a number of seconds.
    mutating func readSeconds(_ name: String, into value: inout Duration) throws {
        known.insert(name)
        guard let seconds = try container.decodeIfPresent(Double.self, forKey: Key(stringValue: name)) else { return }
        guard seconds.isFinite, abs(seconds) <= 1e9 else {
            throw UpstreamConfigurationError(field: name, problem: "must be a number of seconds, but is \(seconds)")
        }
        value = .seconds(seconds)
    }

    /// Refuses members that nothing has read.
    func finish() throws {
        guard let unknown = container.allKeys.map(\.stringValue).sorted().first(where: { !known.contains($0) }) else {
            return
        }
        throw UpstreamConfigurationError(
            field: unknown, problem: "is not known here; known are \(known.sorted().joined(separator: ", "))")
    }
}

/// Why a configuration of upstreams cannot be used.
package struct UpstreamConfigurationError: Error, Sendable, CustomStringConvertible {
    /// The field at fault, in the configuration's spelling.
    package var field: String
    /// What is wrong with it and what it must be.
    package var problem: String

    /// Field and problem.
    package var description: String { "`\(field)` \(problem)" }

    static func check(_ condition: Bool, _ field: String, _ problem: @autoclosure () -> String) throws {
        guard condition else { throw UpstreamConfigurationError(field: field, problem: problem()) }
    }

    static func check(
        _ duration: Duration, _ field: String, from lowest: Duration = .milliseconds(1), to highest: Duration
    ) throws {
        try check(
            duration >= lowest && duration <= highest, field,
            "must be from \(lowest) to \(highest), but is \(duration)")
    }
}
