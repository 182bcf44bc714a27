import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix

extension ModelDownloader {
    /// `Content-Range: bytes START-END/TOTAL`.
    struct ContentRange: Equatable {
        var start: Int
        var total: Int?

        init?(_ header: String?) {
            guard let header, header.hasPrefix("bytes ") else { return nil }
            let fields = header.dropFirst(6).split(whereSeparator: { $0 == "-" || $0 == "/" })
            guard fields.count == 3, let start = Int(fields[0]) else { return nil }
            self.start = start
            total = Int(fields[2])
        }
    }

    /// What identifies the file's bytes: a strong entity tag, else the date of its last change.
    static func validator(_ headers: HTTPHeaders) -> String? {
        if let tag = headers.first(name: "ETag"), tag.hasPrefix("\"") { return tag }
        return headers.first(name: "Last-Modified")
    }

    static func host(of url: String) -> String {
        guard let url = URL(string: url), let host = url.host else { return url }
        return url.port.map { "\(host):\($0)" } ?? host
    }

    static func isLocal(_ url: String) -> Bool {
        guard let host = URL(string: url)?.host else { return false }
        return ["127.0.0.1", "localhost", "::1", "[::1]"].contains(host)
    }

    /// Whether an address may be fetched: `https`, or `http` on this machine itself.
    static func isAllowed(_ url: String) -> Bool {
        guard let parsed = URL(string: url), let host = parsed.host, !host.isEmpty else { return false }
        return parsed.scheme == "https" || (parsed.scheme == "http" && isLocal(url))
    }

    /// A status that is not the file, in plain words.
    static func failure(_ status: HTTPResponseStatus, url: String, host: String) -> any Error & FailureWords {
        switch status.code {
        case 401, 403:
            return DownloadError(
                .forbidden,
                "\(host) refuses \(url) (\(status.code)); if the model asks for its terms to be accepted, do so on its "
                    + "page and set HF_TOKEN")
        case 404, 410:
            return DownloadError(.notFound, "\(host) has no \(url) (\(status.code)); check the spelling")
        case 408, 429, 500...599:
            return Retryable(error: DownloadError(.unreachable, "\(host) cannot answer now (\(status.code))"))
        default:
            return DownloadError(.badAnswer, "\(host) answered \(status.code) to \(url)")
        }
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if error.dnsAError != nil || error.dnsAAAAError != nil { return "its name is not known here" }
            return error.connectionErrors.first.map { "\($0.error)" } ?? "no address"
        }
        if error is SocketAddressError.UnknownHost {
            return "its name is not known here"
        }
        return "\(error)"
    }

    /// A connection that could not be made or broke, in plain words.
    static func broken(_ error: any Error, host: String) -> any Error & FailureWords {
        let text: String
        switch error {
        case let error as HTTPClientError where error == .connectTimeout: text = "\(host) does not answer within 10 s"
        case let error as HTTPClientError where error == .readTimeout: text = "\(host) sent nothing for 60 s"
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            text = "\(host) closed the connection in the middle"
        case is NIOConnectionError, is SocketAddressError, is SocketAddressError.UnknownHost:
            text = "\(host) cannot be reached: \(reason(error))"
        case is CancellationError:
            return DownloadError(.unreachable, "the download was cancelled; pull again, it will resume")
        default: text = "the connection to \(host) failed: \(error)"
        }
        return Retryable(error: DownloadError(.unreachable, text))
    }
}

/// A failure that has words for the person who waits.
protocol FailureWords {
    var error: DownloadError { get }
}

extension DownloadError: FailureWords {
    var error: DownloadError { self }
}

extension ModelDownloader.Retryable: FailureWords {}
