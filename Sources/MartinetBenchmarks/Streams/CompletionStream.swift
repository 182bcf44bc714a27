/// Watches one streamed answer: bytes and times go in, a record comes out. It does no input or output itself.
public struct CompletionStream: Sendable {
    /// Most bytes of an answer.
    public static let byteLimit = 64 << 20

    private var splitter = EventSplitter()
    private var record = RequestRecord()
    private var byteCount = 0
    private var isFinished = false
    /// Whether the stream said that it is over.
    public private(set) var isDone = false

    /// A stream of which nothing came yet.
    public init() {}

    /// Takes bytes that came `time` seconds after the request was sent.
    ///
    /// - Throws: ``RequestFailure`` where nothing that follows can make a whole answer of it.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer, at time: Double) throws(RequestFailure) {
        byteCount += bytes.count
        guard byteCount <= Self.byteLimit else { throw .oversized }
        var events: [[UInt8]] = []
        do { try splitter.append(bytes) { events.append($0) } } catch { throw .oversized }
        for event in events { try take(event, at: time) }
    }

    /// Ends the stream.
    ///
    /// - Returns: what was seen, with a failure where `failure` or the stream itself says so.
    public mutating func finish(failure: RequestFailure? = nil) -> RequestRecord {
        var failure = failure
        if failure == nil {
            var events: [[UInt8]] = []
            do {
                try splitter.finish { events.append($0) }
                for event in events { try take(event, at: record.lastText) }
            } catch let error as RequestFailure {
                failure = error
            } catch {
                failure = .oversized
            }
        }
        // What goes wrong after the end of an answer is none of the answer's concern.
        if isDone { failure = nil }
        var record = record
        record.failure = failure ?? (isDone || isFinished ? (record.textChunks == 0 ? .empty : nil) : .truncated)
        return record
    }

    private mutating func take(_ event: [UInt8], at time: Double) throws(RequestFailure) {
        guard !isDone else { return }
        if event.elementsEqual("[DONE]".utf8) {
            isDone = true
            return
        }
        let chunk: CompletionChunk
        do { chunk = try CompletionChunk(parsing: event) } catch {
            throw RequestFailure(RequestFailure.malformed.kind, String(decoding: event.prefix(200), as: UTF8.self))
        }
        guard !chunk.isError else { throw RequestFailure("error_in_stream", chunk.errorMessage) }
        isFinished = isFinished || chunk.isFinished
        if let count = chunk.promptTokens { record.promptTokens = count }
        if let count = chunk.completionTokens { record.completionTokens = count }
        guard chunk.hasText else { return }
        if record.textChunks == 0 {
            record.firstText = time
        } else {
            record.gaps.append(time - record.lastText)
        }
        record.textChunks += 1
        record.lastText = time
    }
}
