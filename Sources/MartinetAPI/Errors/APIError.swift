internal import MartinetJSON
public import MartinetEngine

/// An error as HTTP clients see it: OpenAI's shape with a status.
public struct APIError: Error, Sendable, CustomStringConvertible {
    /// The HTTP status.
    public var status: Int
    /// What was wrong with which input, and what to do.
    public var message: String
    /// The class of error: `invalid_request_error`, `rate_limit_error`, `service_unavailable_error`, `server_error`.
    public var type: String
    /// The request's field at fault.
    public var parameter: String?
    /// The error's name.
    public var code: String?
    /// Seconds after which a retry makes sense; becomes `Retry-After`.
    public var retryAfter: Int?

    /// Describes an error.
    public init(
        status: Int, _ message: String, type: String = "invalid_request_error", parameter: String? = nil,
        code: String? = nil, retryAfter: Int? = nil
    ) {
        self.status = status
        self.message = message
        self.type = type
        self.parameter = parameter
        self.code = code
        self.retryAfter = retryAfter
    }

    /// A field that is wrong.
    public static func invalid(_ parameter: String?, _ message: String, code: String? = "invalid_value") -> APIError {
        APIError(status: 400, message, parameter: parameter, code: code)
    }

    /// A field that asks for what this server cannot do yet.
    public static func unsupported(_ parameter: String, _ message: String) -> APIError {
        APIError(status: 400, message, parameter: parameter, code: "unsupported_parameter")
    }

    /// A model that is not served.
    public static func unknownModel(_ name: String, served: [String]) -> APIError {
        let names = served.map { "`\($0)`" }.joined(separator: ", ")
        return APIError(
            status: 404, "The model `\(name.prefix(256))` does not exist; this server has \(names).",
            parameter: "model",
            code: "model_not_found")
    }

    /// The message.
    public var description: String { message }

    /// The error as the client of an engine sees it.
    public init(_ error: EngineError) {
        switch error.code {
        case .queueFull:
            self.init(
                status: 429, error.message, type: "rate_limit_error", code: error.code.description, retryAfter: 1)
        case .unavailable, .workerLost:
            self.init(
                status: 503, error.message, type: "service_unavailable_error", code: error.code.description,
                retryAfter: 5)
        case .deadlineExceeded:
            self.init(status: 504, error.message, type: "timeout_error", code: error.code.description)
        case .contextLengthExceeded:
            self.init(status: 400, error.message, parameter: error.parameter, code: error.code.description)
        case .invalidParameter:
            self.init(status: 400, error.message, parameter: error.parameter, code: "invalid_value")
        default:
            self.init(status: 500, error.message, type: "server_error", code: error.code.description)
        }
    }

    /// The body: `{"error":{"message","type","param","code"}}`.
    public var body: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("error") { writer in
                writer.object { writer in
                    writer.field("message", message)
                    writer.field("type", type)
                    writer.field("param", parameter)
                    writer.field("code", code)
                }
            }
        }
        return writer.bytes
    }
}
