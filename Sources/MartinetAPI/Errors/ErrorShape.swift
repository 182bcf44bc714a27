internal import MartinetJSON

/// The shapes in which the surfaces give errors.
public enum ErrorShape: Sendable, Hashable, CaseIterable {
    /// `{"error":{"message","type","param","code"}}`.
    case openAI
    /// `{"type":"error","error":{"type","message","details"},"request_id"}`.
    case anthropic
    /// `{"error"}`, as the Open Inference Protocol has it.
    case openInference

    /// The shape of a path's surface.
    public init(path: some StringProtocol) {
        if path == "/v1/messages" || path.hasPrefix("/v1/messages/") {
            self = .anthropic
        } else if path.hasPrefix("/v2/models/") {
            self = .openInference
        } else {
            self = .openAI
        }
    }

    /// An error as a body.
    public func body(_ error: APIError, requestID: String) -> [UInt8] {
        switch self {
        case .openAI: return error.body
        case .openInference: return OpenInferenceAnswer.error(error)
        case .anthropic: break
        }
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("type", "error")
            writer.field("error") { writer in
                writer.object { writer in
                    writer.field("type", Self.anthropicType(status: error.status))
                    writer.field("message", error.message)
                    if let code = error.code {
                        writer.field("details") { writer in
                            writer.object { $0.field("error_code", code) }
                        }
                    }
                }
            }
            writer.field("request_id", requestID)
        }
        return writer.bytes
    }

    /// The events that break a stream off, its terminator included.
    public func events(_ error: APIError, requestID: String) -> [UInt8] {
        switch self {
        case .openAI: Array("data: ".utf8) + error.body + Array("\n\n".utf8) + ServerSentEvents.done
        case .openInference: Array("data: ".utf8) + body(error, requestID: requestID) + Array("\n\n".utf8)
        case .anthropic:
            Array("event: error\ndata: ".utf8) + body(error, requestID: requestID) + Array("\n\n".utf8)
        }
    }

    /// Anthropic's name for a class of errors.
    private static func anthropicType(status: Int) -> String {
        switch status {
        case 401: "authentication_error"
        case 402: "billing_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 408, 504: "timeout_error"
        case 409: "conflict_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case 503, 529: "overloaded_error"
        case 500...: "api_error"
        default: "invalid_request_error"
        }
    }
}
