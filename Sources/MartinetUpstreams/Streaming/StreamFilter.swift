internal import MartinetJSON
internal import MartinetAPI
package import NIOCore

/// Cuts what an upstream sends into whole events, keeps account of them, and changes only those that must change.
///
/// Bytes of events that stay as they are go through in slices of what came in.
package struct StreamFilter: Sendable {
    /// Fixed facts about the request's stream.
    package struct Rules: Sendable {
        var kind: RequestKind
        /// Takes the usage event out: the client did not ask for it.
        var stripsUsage: Bool
        /// Takes the usage out of the chunks with text: only we asked for it.
        var stripsRunningUsage: Bool
        var maxEventBytes: Int
        /// Whether the text is kept to continue it elsewhere.
        var isContinuable: Bool

        /// Rules for a request's stream.
        package init(_ body: UpstreamRequestBody, maxEventBytes: Int, isContinuable: Bool) {
            kind = body.kind
            stripsUsage = !body.wantsUsage
            stripsRunningUsage = isContinuable && !body.wantsRunningUsage
            self.maxEventBytes = maxEventBytes
            self.isContinuable = isContinuable
        }
    }

    /// What all events of a stream have in common, as the first one spelt it.
    private struct Identity {
        var id: [UInt8]?
        var created: [UInt8]?
        var model: [UInt8]?
    }

    /// The upstream that is being read, for messages.
    private(set) var upstream: String
    /// Whether the answer's first token was seen.
    package private(set) var hasContent = false
    /// Whether the segment of the current upstream has given content.
    private(set) var hasSegmentContent = false
    /// Whether the choice's end was seen.
    package private(set) var isFinished = false
    /// Whether `[DONE]` was seen.
    package private(set) var isDone = false
    /// Why nothing after the output so far can be used.
    package private(set) var failure: UpstreamError?
    /// The prompt's tokens, where the upstream said.
    private(set) var promptTokens: Int?
    /// What is needed to go on elsewhere.
    private(set) var continuation: Continuation
    private let rules: Rules
    private var identity: Identity?
    /// Bytes that end in the middle of an event.
    private var pending = ByteBuffer()
    /// How many of them hold no event's end.
    private var scanned = 0
    /// Tokens that earlier upstreams gave.
    private var earlierTokens = 0
    private var isContinued = false
    private var announces = false

    /// An account of a stream that has not begun.
    package init(_ rules: Rules, body: UpstreamRequestBody, upstream: String) {
        self.rules = rules
        self.upstream = upstream
        continuation = Continuation(body, isAllowed: rules.isContinuable)
    }

    /// Forgets the segment that broke; another upstream goes on.
    mutating func beginSegment(upstream: String) {
        self.upstream = upstream
        pending = ByteBuffer()
        scanned = 0
        failure = nil
        hasSegmentContent = false
        earlierTokens = continuation.tokens
        continuation.beginSegment()
        isContinued = hasContent
        announces = isContinued
    }

    /// Takes bytes; gives the events that are whole now.
    package mutating func take(_ chunk: ByteBuffer) -> ByteBuffer {
        guard failure == nil, !isDone else { return ByteBuffer() }
        if pending.readableBytes == 0 {
            pending = chunk
            scanned = 0
        } else {
            pending.writeImmutableBuffer(chunk)
        }
        let bytes = pending
        var changed: ByteBuffer?
        /// The end of the events so far, and the start of those not yet copied where some changed.
        var end = 0
        var copied = 0
        bytes.withUnsafeReadableBytes { view in
            while failure == nil, !isDone, let next = eventEnd(view, from: max(scanned, end)) {
                scanned = 0
                guard next - end <= rules.maxEventBytes else {
                    fail(.tooLarge(upstream, "an event of more than \(rules.maxEventBytes) bytes"))
                    break
                }
                let replacement = pass(view, end..<next)
                if failure != nil { break }
                if let replacement {
                    var output = changed ?? ByteBuffer()
                    output.writeBytes(view[copied..<end])
                    output.writeBytes(replacement)
                    changed = output
                    copied = next
                }
                end = next
            }
            if failure == nil, !isDone, view.count - end > rules.maxEventBytes {
                fail(.tooLarge(upstream, "an event of more than \(rules.maxEventBytes) bytes"))
            }
        }
        var output: ByteBuffer
        if var changed {
            if let rest = bytes.getSlice(at: bytes.readerIndex + copied, length: end - copied) {
                changed.writeImmutableBuffer(rest)
            }
            output = changed
        } else {
            output = bytes.getSlice(at: bytes.readerIndex, length: end) ?? ByteBuffer()
        }
        pending.moveReaderIndex(forwardBy: end)
        scanned = max(0, scanned - end)
        if pending.readableBytes == 0 { pending = ByteBuffer() }
        return output
    }

    /// Whether the stream stopped in the middle of an event.
    var hasHalfEvent: Bool { pending.readableBytes > 0 }

    private mutating func fail(_ error: UpstreamError) {
        if failure == nil { failure = error }
    }

    /// Where the event that begins before `start` ends, its blank line included.
    private mutating func eventEnd(_ view: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        while index < view.count {
            guard view[index] == 0x0A else {
                index += 1
                continue
            }
            if index + 1 < view.count, view[index + 1] == 0x0A { return index + 2 }
            if index + 2 < view.count, view[index + 1] == 0x0D, view[index + 2] == 0x0A { return index + 3 }
            // The blank line may still be on its way.
            if index + 2 >= view.count { break }
            index += 1
        }
        scanned = index
        return nil
    }

    /// Takes account of an event; gives what to send in its place, or `nil` to send it as it is.
    private mutating func pass(_ view: UnsafeRawBufferPointer, _ event: Range<Int>) -> [UInt8]? {
        let facts = EventFacts(view, event, kind: rules.kind)
        switch facts.kind {
        case .comment: return nil
        case .done:
            isDone = true
            return nil
        case .malformed:
            fail(.badAnswer(upstream, "an event that is no chunk of a completion"))
            return nil
        case .error:
            fail(Self.error(Array(view[facts.data]), upstream: upstream))
            return nil
        case .chunk: break
        }
        if facts.hasContent {
            hasContent = true
            hasSegmentContent = true
        }
        if facts.isFinish { isFinished = true }
        continuation.add(facts, in: view)
        if !isContinued, let prompt = facts.promptTokens { promptTokens = prompt }
        if facts.isUsageOnly, rules.stripsUsage { return [] }
        if identity == nil {
            func value(_ range: Range<Int>?) -> [UInt8]? { range.map { Array(view[$0]) } }
            identity = Identity(id: value(facts.id), created: value(facts.created), model: value(facts.model))
        }
        guard isContinued || isRunningUsage(facts) else { return nil }
        return rewritten(view, event, facts)
    }

    /// Whether a chunk holds a usage that the client did not ask for.
    private func isRunningUsage(_ facts: EventFacts) -> Bool {
        rules.stripsRunningUsage && facts.usage != nil && !facts.isUsageOnly
    }

    /// An event as the client is to see it: one of a later upstream as if the first one had sent it.
    private mutating func rewritten(
        _ view: UnsafeRawBufferPointer, _ event: Range<Int>, _ facts: EventFacts
    ) -> [UInt8] {
        var output: [UInt8] = []
        if announces {
            announces = false
            output += Array(": continued on \(upstream)".utf8)
            if let model = facts.model { output += Array(" model ".utf8) + view[model] }
            output += Array("\n\n".utf8)
        }
        // The client knows who speaks.
        if isContinued, facts.isRoleOnly, facts.usage == nil || isRunningUsage(facts) { return output }
        var edits: [(range: Range<Int>, bytes: [UInt8])] = []
        for (range, bytes) in [
            (facts.id, identity?.id), (facts.created, identity?.created), (facts.model, identity?.model),
        ] {
            if let range, let bytes { edits.append((range, bytes)) }
        }
        if let usage = facts.usage {
            let isStripped = isRunningUsage(facts)
            edits.append((usage, isStripped ? Array("null".utf8) : corrected(Array(view[usage]))))
        }
        edits.sort { $0.range.lowerBound < $1.range.lowerBound }
        var position = event.lowerBound
        for edit in edits where edit.range.lowerBound >= position {
            output += view[position..<edit.range.lowerBound]
            output += edit.bytes
            position = edit.range.upperBound
        }
        return output + view[position..<event.upperBound]
    }

    /// The usage of the whole stream: a later upstream counts the text before its own as prompt.
    private func corrected(_ usage: [UInt8]) -> [UInt8] {
        guard case .object(var members)? = try? JSONParser.parse(usage) else { return usage }
        for index in members.indices {
            guard let number = members[index].value.integer, (0...1 << 40).contains(number) else { continue }
            switch members[index].key {
            case "prompt_tokens":
                members[index].value = .integer(promptTokens ?? max(0, number - earlierTokens))
            case "completion_tokens": members[index].value = .integer(number + earlierTokens)
            default: break
            }
        }
        var writer = JSONWriter()
        writer.value(.object(members))
        return writer.bytes
    }

    /// The event that ends a stream whose tokens are all there, though its upstream could not say so any more.
    func lengthEvent() -> [UInt8] {
        let isChat = rules.kind == .chat
        var output = Array("data: {".utf8)
        for (name, value) in [("id", identity?.id), ("created", identity?.created), ("model", identity?.model)] {
            if let value { output += Array("\"\(name)\":".utf8) + value + Array(",".utf8) }
        }
        output += Array("\"object\":\"\(isChat ? "chat.completion.chunk" : "text_completion")\",\"choices\":[{".utf8)
        output += Array("\"index\":0,\(isChat ? "\"delta\":{}" : "\"text\":\"\""),".utf8)
        return output + Array("\"logprobs\":null,\"finish_reason\":\"length\"}]}\n\n".utf8)
    }

    /// An error that came as an event.
    private static func error(_ data: [UInt8], upstream: String) -> UpstreamError {
        let error = (try? JSONParser.parse(data))?["error"]
        let message = error?["message"]?.string ?? error?.string ?? "no reason"
        let said = "Upstream \(upstream) broke the stream off: \(message.prefix(1024))"
        if let status = error?["code"]?.integer, (400..<500).contains(status), ![401, 403, 408, 429].contains(status) {
            return UpstreamError(
                .refused, said, status: status,
                answer: APIError(status: status, String(message.prefix(4096)), parameter: error?["param"]?.string))
        }
        return UpstreamError(.failed, said, status: 502, isRetryable: true)
    }
}
