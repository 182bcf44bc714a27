/// Finds added tokens in a text: the leftmost first, of those the longest, none overlapping.
package struct AddedTokenMatcher: Sendable {
    package enum Segment {
        case token(Int32)
        case text(Range<Int>)
    }

    private struct Node: Sendable {
        var byte: UInt8
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
        var token: Int32 = -1
    }

    private var roots = [Int32](repeating: -1, count: 256)
    private var nodes: [Node] = []
    private let tokens: [AddedToken]

    package init(_ tokens: [AddedToken]) {
        self.tokens = tokens
        for (index, token) in tokens.enumerated() { insert(Array(token.content.utf8), Int32(index)) }
    }

    private mutating func insert(_ spelling: [UInt8], _ token: Int32) {
        guard let first = spelling.first else { return }
        if roots[Int(first)] < 0 {
            roots[Int(first)] = Int32(nodes.count)
            nodes.append(Node(byte: first))
        }
        var node = Int(roots[Int(first)])
        for byte in spelling.dropFirst() {
            var child = nodes[node].firstChild
            while child >= 0, nodes[Int(child)].byte != byte { child = nodes[Int(child)].nextSibling }
            if child < 0 {
                child = Int32(nodes.count)
                nodes.append(Node(byte: byte, nextSibling: nodes[node].firstChild))
                nodes[node].firstChild = child
            }
            node = Int(child)
        }
        nodes[node].token = token
    }

    package var isEmpty: Bool { tokens.isEmpty }

    /// The longest added token that starts at an offset: its index, and the offset after it.
    @inline(__always)
    private func longest(in text: UnsafeBufferPointer<UInt8>, at offset: Int) -> (index: Int, end: Int)? {
        var node = roots[Int(text[offset])]
        if node < 0 { return nil }
        var best: (Int, Int)?
        var end = offset + 1
        while true {
            if nodes[Int(node)].token >= 0 { best = (Int(nodes[Int(node)].token), end) }
            guard end < text.count else { return best }
            let byte = text[end]
            var child = nodes[Int(node)].firstChild
            while child >= 0, nodes[Int(child)].byte != byte { child = nodes[Int(child)].nextSibling }
            if child < 0 { return best }
            node = child
            end += 1
        }
    }

    /// Whether some added token starts at an offset.
    package func matches(_ text: UnsafeBufferPointer<UInt8>, at offset: Int) -> Bool {
        longest(in: text, at: offset) != nil
    }

    /// Cuts a text at its added tokens, in order.
    ///
    /// - Parameter controlsAsText: Control tokens stay in the text around them, though what they cover is not searched
    ///   again, as with `split_special_tokens` of Python's `transformers`.
    package func split(
        _ text: UnsafeBufferPointer<UInt8>, controlsAsText: Bool, _ body: (Segment) -> Void
    ) {
        var done = 0
        var offset = 0
        while offset < text.count {
            guard roots[Int(text[offset])] >= 0, let match = longest(in: text, at: offset) else {
                offset += 1
                continue
            }
            var start = offset
            offset = match.end
            var end = match.end
            let token = tokens[match.index]
            if token.isControl, controlsAsText || ControlTokenGuard.protects(text, before: start) { continue }
            if token.singleWord, !isSingleWord(text, start..<end) { continue }
            if token.stripsLeft || token.stripsRight {
                ScalarReader.read(text) { reader in
                    while token.stripsLeft, start > done, case let last = reader.scalar(before: start),
                        last.kind.contains(.space)
                    { start = max(last.start, done) }
                    while token.stripsRight, end < text.count, case let next = reader.scalar(at: end),
                        next.kind.contains(.space)
                    { end = next.end }
                }
            }
            if done < start { body(.text(done..<start)) }
            body(.token(Int32(token.id)))
            done = end
            offset = max(offset, done)
        }
        if done < text.count { body(.text(done..<text.count)) }
    }

    private func isSingleWord(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Bool {
        ScalarReader.read(text) { reader in
            let word: ScalarClass = [.letter, .word]
            if range.lowerBound > 0, !reader.scalar(before: range.lowerBound).kind.isDisjoint(with: word) {
                return false
            }
            return range.upperBound == text.count || reader.scalar(at: range.upperBound).kind.isDisjoint(with: word)
        }
    }
}
