internal import GRPCCore
internal import GRPCProtobuf
internal import MartinetAPI
internal import MartinetInferenceProtocol

extension RPCError {
    /// An error as a call's client sees it: a code, and what was wrong in `grpc-status-details-bin`.
    init(_ error: any Error, of call: RPCCall) {
        switch error {
        case let error as APIError where error.status == 499 && call.isOverdue:
            self.init(code: .deadlineExceeded, message: "The call's deadline passed before its answer was complete.")
        case let error as APIError: self.init(GoogleRPCStatus(error))
        case let error as RPCError: self = error
        case is CancellationError: self.init(code: .unavailable, message: "The server is shutting down.")
        default:
            self.init(
                code: .internalError,
                message: "The server failed; its log names the cause under request \(call.record.requestID).",
                cause: error)
        }
        metadata.add(contentsOf: call.metadata)
    }
}

extension GoogleRPCStatus {
    fileprivate init(_ error: APIError) {
        var details: [ErrorDetails] = []
        if let code = error.code { details.append(.errorInfo(reason: code.uppercased(), domain: "martinet")) }
        if let parameter = error.parameter {
            details.append(
                .badRequest(violations: [
                    .init(field: RPCSamplingParameters.path(of: parameter), description: error.message)
                ]))
        }
        if let seconds = error.retryAfter { details.append(.retryInfo(delay: .seconds(seconds))) }
        self.init(code: RPCError.Code(error), message: error.message, details: details)
    }
}

extension RPCError.Code {
    fileprivate init(_ error: APIError) {
        switch error.status {
        case 401: self = .unauthenticated
        case 403: self = .permissionDenied
        case 404: self = .notFound
        case 409: self = .aborted
        case 429: self = .resourceExhausted
        case 499: self = .cancelled
        case 501: self = .unimplemented
        case 503: self = .unavailable
        case 504: self = .deadlineExceeded
        case 400..<500: self = .invalidArgument
        default: self = .internalError
        }
    }
}
