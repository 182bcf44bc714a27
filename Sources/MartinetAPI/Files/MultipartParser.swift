/// Takes the parts of a `multipart/form-data` body (RFC 7578) as its bytes arrive; holds no more of it than a part's
/// headers and the tail that may begin a boundary.
///
/// ```swift
/// var parser = try MultipartParser(contentType: "multipart/form-data; boundary=x")
/// for try await bytes in body { for part in try parser.consume(bytes) { … } }
/// try parser.finish()
/// ```
public struct MultipartParser: Sendable {
    /// What was read.
    public enum Event: Sendable, Hashable {
        /// A part begins. A file has a filename, a field has none.
        case part(name: String, filename: String?)
        /// Content of the part.
        case bytes([UInt8])
        /// The part is whole.
        case end
    }

    private enum State { case preamble, afterBoundary, headers, content, over }

    /// Most parts of a body.
    public static let maximumParts = 32
    /// Most bytes of a part's headers.
    public static let maximumHeaderBytes = 8 << 10
    /// Most bytes before the first boundary.
    private static let maximumPreambleBytes = 8 << 10

    /// `CR LF - - boundary`: what ends a part.
    private let delimiter: [UInt8]
    private var state = State.preamble
    private var pending: [UInt8]
    private var parts = 0
    private var skipped = 0

    /// Reads the boundary from a `Content-Type` header.
    ///
    /// - Throws: ``APIError`` 415 for another content type, 400 where the boundary is missing or wrong.
    public init(contentType: String?) throws(APIError) {
        let text = contentType ?? ""
        let essence = text.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        guard essence == "multipart/form-data" else {
            throw APIError(
                status: 415, "The content type must be multipart/form-data, got `\(essence.prefix(128))`.",
                code: "unsupported_media_type")
        }
        let boundary = HeaderParameters(text)["boundary"] ?? ""
        guard (1...70).contains(boundary.utf8.count), boundary.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            throw Self.problem("its content type needs a `boundary` of 1 to 70 plain characters")
        }
        delimiter = Array("\r\n--\(boundary)".utf8)
        // The first boundary may stand at the very beginning, with no line before it.
        pending = [0x0D, 0x0A]
    }

    private static func problem(_ text: String) -> APIError {
        APIError(status: 400, "The body is not valid multipart/form-data: \(text).", code: "invalid_multipart")
    }

    /// Takes the next bytes of the body and gives what they completed.
    ///
    /// - Throws: ``APIError`` 400 where the body breaks the format or a bound.
    public mutating func consume(_ bytes: some Collection<UInt8>) throws(APIError) -> [Event] {
        guard state != .over else { return [] }
        pending.append(contentsOf: bytes)
        var events: [Event] = []
        var position = 0
        scan: while true {
            switch state {
            case .preamble:
                guard let found = find(delimiter, from: position) else {
                    let kept = max(position, pending.count - delimiter.count + 1)
                    skipped += kept - position
                    guard skipped <= Self.maximumPreambleBytes else { throw Self.problem("it has no boundary") }
                    position = kept
                    break scan
                }
                position = found + delimiter.count
                state = .afterBoundary
            case .afterBoundary:
                guard pending.count - position >= 2 else { break scan }
                if pending[position] == 0x2D, pending[position + 1] == 0x2D {
                    state = .over
                    position = pending.count
                    break scan
                }
                // Spaces may follow a boundary.
                if pending[position] == 0x20 || pending[position] == 0x09 {
                    skipped += 1
                    guard skipped <= Self.maximumPreambleBytes else { throw Self.problem("a boundary goes on") }
                    position += 1
                    continue
                }
                guard pending[position] == 0x0D, pending[position + 1] == 0x0A else {
                    throw Self.problem("a boundary must be followed by a new line or by `--`")
                }
                parts += 1
                guard parts <= Self.maximumParts else {
                    throw Self.problem("it has more than \(Self.maximumParts) parts")
                }
                // The new line stays: a part without headers begins with two of them.
                state = .headers
            case .headers:
                guard let end = find([0x0D, 0x0A, 0x0D, 0x0A], from: position) else {
                    guard pending.count - position <= Self.maximumHeaderBytes else {
                        throw Self.problem("a part's headers have more than \(Self.maximumHeaderBytes) bytes")
                    }
                    break scan
                }
                guard end - position <= Self.maximumHeaderBytes else {
                    throw Self.problem("a part's headers have more than \(Self.maximumHeaderBytes) bytes")
                }
                events.append(try Self.part(pending[position..<end]))
                position = end + 4
                state = .content
            case .content:
                guard let found = find(delimiter, from: position) else {
                    let kept = max(position, pending.count - delimiter.count + 1)
                    if kept > position { events.append(.bytes(Array(pending[position..<kept]))) }
                    position = kept
                    break scan
                }
                if found > position { events.append(.bytes(Array(pending[position..<found]))) }
                events.append(.end)
                position = found + delimiter.count
                state = .afterBoundary
            case .over: break scan
            }
        }
        pending.removeFirst(position)
        return events
    }

    /// Ends the body.
    ///
    /// - Throws: ``APIError`` 400 where its last boundary is missing.
    public func finish() throws(APIError) {
        guard state == .over else { throw Self.problem("it ends before its last boundary") }
    }

    /// Where a text begins.
    private func find(_ text: [UInt8], from start: Int) -> Int? {
        pending.withUnsafeBufferPointer { bytes in
            var position = start
            while position + text.count <= bytes.count {
                if bytes[position] == text[0], (1..<text.count).allSatisfy({ bytes[position + $0] == text[$0] }) {
                    return position
                }
                position += 1
            }
            return nil
        }
    }

    /// What the headers of a part say of it.
    private static func part(_ headers: ArraySlice<UInt8>) throws(APIError) -> Event {
        for line in String(decoding: headers, as: UTF8.self).split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].filter { $0 != " " }.lowercased()
            guard name == "content-disposition" else { continue }
            let value = line[line.index(after: colon)...]
            let parameters = HeaderParameters(String(value))
            guard value.prefix(while: { $0 != ";" }).filter({ $0 != " " }).lowercased() == "form-data",
                let field = parameters["name"]
            else { break }
            return .part(name: field, filename: parameters["filename"])
        }
        throw problem("a part needs `Content-Disposition: form-data` with a `name`")
    }
}

/// The parameters of a header's value: `form-data; name="file"; filename="a.txt"`.
private struct HeaderParameters {
    private var values: [String: String] = [:]

    init(_ text: String) {
        var rest = Substring(text).drop { $0 != ";" }
        while rest.first == ";" {
            rest = rest.dropFirst().drop { $0 == " " || $0 == "\t" }
            let name = rest.prefix { $0 != "=" && $0 != ";" }
            rest = rest.dropFirst(name.count)
            guard rest.first == "=" else { continue }
            rest = rest.dropFirst()
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                var isEscaped = false
                while let character = rest.popFirst() {
                    if character == "\"", !isEscaped { break }
                    if isEscaped, character != "\"", character != "\\" { value.append("\\") }
                    isEscaped = !isEscaped && character == "\\"
                    if !isEscaped { value.append(character) }
                }
                rest = rest.drop { $0 != ";" }
            } else {
                let plain = rest.prefix { $0 != ";" }
                rest = rest.dropFirst(plain.count)
                value = plain.filter { $0 != " " }
            }
            let key = name.filter { $0 != " " }.lowercased()
            // The first of two counts, for every reader of the header alike.
            if values[key] == nil { values[key] = value }
        }
    }

    subscript(name: String) -> String? { values[name] }
}
