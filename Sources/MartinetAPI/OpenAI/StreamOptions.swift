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
    }
}

/// Fields of OpenAI's API that change nothing here, and those that are refused.
enum CommonFields {
    static func take(_ fields: inout FieldReader) throws(APIError) {
        _ = try fields.string("user", maximum: 4096)
        _ = try fields.string("service_tier", maximum: 64)
        _ = try fields.string("safety_identifier", maximum: 4096)
        _ = try fields.string("prompt_cache_key", maximum: 4096)
        if let request = try fields.string("request_id", maximum: 256), request.isEmpty {
            throw .invalid("request_id", "`request_id` must not be empty.")
        }
        if let value = fields.take("metadata") {
            guard case .object(let metadata) = value else { throw fields.wrong("metadata", "an object", got: value) }
            guard metadata.count <= 16 else {
                throw .invalid("metadata", "`metadata` must have at most 16 members, got \(metadata.count).")
            }
        }
        if try fields.bool("store") == true {
            throw .unsupported("store", "`store` is not supported: this server keeps no answers.")
        }
    }

    /// `response_format`: plain text, until output can be constrained.
    static func takeResponseFormat(_ fields: inout FieldReader) throws(APIError) {
        guard var format = try fields.object("response_format") else { return }
        let type = try format.string("type", maximum: 64)
        switch type {
        case "text"?: return
        case "json_object"?, "json_schema"?:
            throw .unsupported(
                "response_format.type", "`response_format` of type `\(type ?? "")` is not supported yet; use `text`.")
        default:
            throw .invalid(
                "response_format.type", "`response_format.type` must be `text`, `json_object` or `json_schema`.")
        }
    }
}
