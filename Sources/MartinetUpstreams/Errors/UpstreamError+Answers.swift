internal import MartinetJSON
internal import MartinetAPI
internal import NIOCore
internal import NIOHTTP1

extension UpstreamError {
    /// What an answer with a status other than 200 means.
    ///
    /// - Parameters:
    ///   - body: as much of it as was read.
    init(status: Int, headers: HTTPHeaders, body: ByteBuffer, upstream: String) {
        let retryAfter = headers.first(name: "retry-after").flatMap { Int($0) }.map { min(max($0, 0), 3600) }
        let said = "Upstream \(upstream) answered \(status)"
        switch status {
        case 401, 403:
            // The body may quote the key.
            self.init(
                .credentials, "\(said): it does not take this server's credentials.", status: 502, isRetryable: true)
        case 429:
            self.init(
                .rateLimited, "\(said): too many requests.", status: 429, isRetryable: true,
                retryAfter: retryAfter ?? 1)
        case 408:
            self.init(.timedOut, "\(said): it gave up waiting.", status: 504, isRetryable: true)
        case 503, 504:
            self.init(.failed, "\(said).", status: status, isRetryable: true, retryAfter: retryAfter)
        case 400..<500:
            let answer = APIError(upstreamStatus: status, body: body, said: said)
            self.init(.refused, answer.message, status: status, answer: answer)
        case 500...:
            self.init(.failed, "\(said).", status: 502, isRetryable: true)
        default:
            self.init(.badAnswer, "\(said), which is no answer to this.", status: 502, isRetryable: true)
        }
    }
}

extension Member {
    /// An error without the member's API key, wherever the member quoted it.
    func hidingKey(in error: UpstreamError) -> UpstreamError {
        guard let key = client.credential.key(now: .now) else { return error }
        func hiding(_ text: String) -> String { text.replacing(key, with: "[redacted]") }
        var error = error
        error.message = hiding(error.message)
        if let answer = error.answer {
            error.answer = APIError(
                status: answer.status, hiding(answer.message), type: hiding(answer.type),
                parameter: answer.parameter.map(hiding), code: answer.code.map(hiding), retryAfter: answer.retryAfter)
        }
        return error
    }
}

extension APIError {
    /// An upstream's refusal in OpenAI's shape, whichever of the usual shapes it had.
    fileprivate init(upstreamStatus status: Int, body: ByteBuffer, said: String) {
        let document = try? JSONParser.parse(Array(body.readableBytesView))
        // OpenAI's and vLLM's new shape, vLLM's old shape, FastAPI's.
        var error = document?["error"] ?? document
        if case .string(let text)? = error { error = .object([(key: "message", value: .string(text))]) }
        let message = error?["message"]?.string ?? error?["detail"]?.string ?? "\(said)."
        let code = error?["code"].flatMap { $0.string ?? $0.integer.map(String.init) }
        self.init(
            status: status, String(message.prefix(4096)),
            type: error?["type"]?.string.map { String($0.prefix(128)) } ?? "invalid_request_error",
            parameter: error?["param"]?.string.map { String($0.prefix(256)) }, code: code.map { String($0.prefix(128)) }
        )
    }
}
