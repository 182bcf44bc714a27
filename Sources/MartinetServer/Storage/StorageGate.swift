internal import Logging
internal import MartinetAPI
internal import MartinetStorage

/// Runs what needs the storage, and tells its failures to log and client.
struct StorageGate: Sendable {
    let logger: Logger

    /// Runs an action.
    ///
    /// - Throws: ``APIError`` where the storage failed, and what else the action throws.
    func callAsFunction<Value: Sendable>(_ action: () async throws -> Value) async throws -> Value {
        do {
            return try await action()
        } catch let error as StorageError {
            let answer = APIError(error)
            if answer.status >= 500 {
                logger.error(
                    "the storage failed", metadata: ["code": "\(error.code)", "error": "\(error.message)"])
            }
            throw answer
        }
    }
}

extension APIError {
    /// An error of the storage as clients see it. Paths of this machine are the log's alone.
    init(_ error: StorageError) {
        let code = error.code.description
        switch error.code {
        case .fileTooLarge: self.init(status: 413, error.message, parameter: "file", code: code)
        case .full:
            self.init(
                status: 507, "The server has no room left for this. Delete files and try again.", type: "server_error",
                code: code)
        case .busy:
            self.init(
                status: 503, "The server's storage is busy; try again.", type: "service_unavailable_error", code: code,
                retryAfter: 5)
        default:
            self.init(
                status: 500, "The server's storage failed; its log names the cause.", type: "server_error", code: code)
        }
    }
}
