internal import MartinetJSON
/// OpenAI's `stream` and `stream_options`.
public struct StreamOptions: Sendable, Hashable {
    /// Whether the answer is a stream of events.
    public var stream = false
    /// Ends the stream with an event that carries the usage.
    public var includeUsage = false
    /// Carries the usage so far on every event.
    public var continuousUsage = false

    init(_ fields: inout FieldReader) throws(APIError) {
        stream = try fields.bool("stream") ?? false
        guard var options = try fields.object("stream_options") else { return }
        guard stream else {
            throw .invalid("stream_options", "`stream_options` is only allowed when `stream` is true.")
        }
        includeUsage = try options.bool("include_usage") ?? false
        continuousUsage = try options.bool("continuous_usage_stats") ?? false
        _ = try options.bool("include_obfuscation")
        try options.end()
    }
}
