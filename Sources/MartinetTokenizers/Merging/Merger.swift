/// A piece of a word while it is being merged.
package struct MergeSymbol: BitwiseCopyable, Sendable {
    /// The token, or -1 once it was merged into its left neighbour.
    package var token: Int32
    /// Where the piece stands in the word's text, in bytes.
    package var start: Int32
    /// Where the piece ends in the word's text, in bytes.
    package var end: Int32
    var previous: Int32 = -1
    var next: Int32 = -1

    package init(token: Int32, start: Int, end: Int) {
        self.token = token
        self.start = Int32(truncatingIfNeeded: start)
        self.end = Int32(truncatingIfNeeded: end)
    }
}

/// What decides which neighbours merge, and which first.
package protocol MergeRule: Sendable {
    /// The smaller merges first; equal ones from left to right.
    associatedtype Priority: Comparable, BitwiseCopyable, Sendable

    /// The token that two neighbours become, if they may merge at all.
    func merge(
        _ left: MergeSymbol, _ right: MergeSymbol, in text: UnsafeBufferPointer<UInt8>
    ) -> (priority: Priority, token: Int32)?
}

/// Byte-pair merging (Sennrich, Haddow, Birch 2016): always the best pair of neighbours first.
///
/// Short words are scanned; long ones keep their candidates in a heap, so that a word of n symbols costs
/// O(n log n) whatever it is made of. Reuse one value for many words: it keeps its buffers.
package struct Merger<Rule: MergeRule> {
    private struct Candidate: BitwiseCopyable {
        var priority: Rule.Priority
        var position: Int32
        var token: Int32
        var left: Int32
        var right: Int32

        @inline(__always)
        static func before(_ a: Candidate, _ b: Candidate) -> Bool {
            a.priority < b.priority || (a.priority == b.priority && a.position < b.position)
        }
    }

    private static var scanLimit: Int { 40 }
    /// The symbols of the word: set them, then call ``run(_:in:)``.
    package var symbols: [MergeSymbol] = []
    private var heap: [Candidate] = []
    private var pairs: [(priority: Rule.Priority, token: Int32)?] = []

    package init() {}

    /// Merges until nothing can be merged, and appends the tokens that remain.
    package mutating func run(
        _ rule: Rule, in text: UnsafeBufferPointer<UInt8>, appendingTo tokens: inout [Int32]
    ) {
        if symbols.count > Self.scanLimit {
            mergeLong(rule, text)
            for symbol in symbols where symbol.token >= 0 { tokens.append(symbol.token) }
        } else {
            mergeShort(rule, text)
            for symbol in symbols { tokens.append(symbol.token) }
        }
    }

    private mutating func mergeShort(_ rule: Rule, _ text: UnsafeBufferPointer<UInt8>) {
        guard symbols.count > 1 else { return }
        pairs.removeAll(keepingCapacity: true)
        for index in 0..<symbols.count - 1 {
            pairs.append(rule.merge(symbols[index], symbols[index + 1], in: text))
        }
        while true {
            var best = -1
            var bestPriority: Rule.Priority?
            for index in 0..<pairs.count {
                guard let pair = pairs[index] else { continue }
                if let known = bestPriority, !(pair.priority < known) { continue }
                best = index
                bestPriority = pair.priority
            }
            guard best >= 0, let pair = pairs[best] else { return }
            symbols[best].token = pair.token
            symbols[best].end = symbols[best + 1].end
            symbols.remove(at: best + 1)
            pairs.remove(at: best)
            if best > 0 { pairs[best - 1] = rule.merge(symbols[best - 1], symbols[best], in: text) }
            if best < pairs.count { pairs[best] = rule.merge(symbols[best], symbols[best + 1], in: text) }
        }
    }

    private mutating func mergeLong(_ rule: Rule, _ text: UnsafeBufferPointer<UInt8>) {
        heap.removeAll(keepingCapacity: true)
        for index in 0..<symbols.count {
            symbols[index].previous = Int32(index) - 1
            symbols[index].next = index + 1 < symbols.count ? Int32(index) + 1 : -1
        }
        for index in 0..<symbols.count - 1 { push(Int32(index), rule, text) }
        while let top = pop() {
            let position = Int(top.position)
            let left = symbols[position]
            guard left.token == top.left, left.next >= 0 else { continue }
            let right = symbols[Int(left.next)]
            guard right.token == top.right else { continue }
            symbols[position].token = top.token
            symbols[position].end = right.end
            symbols[position].next = right.next
            symbols[Int(left.next)].token = -1
            if right.next >= 0 { symbols[Int(right.next)].previous = top.position }
            if left.previous >= 0 { push(left.previous, rule, text) }
            push(top.position, rule, text)
        }
    }

    private mutating func push(_ position: Int32, _ rule: Rule, _ text: UnsafeBufferPointer<UInt8>) {
        let left = symbols[Int(position)]
        guard left.next >= 0 else { return }
        let right = symbols[Int(left.next)]
        guard let pair = rule.merge(left, right, in: text) else { return }
        let candidate = Candidate(
            priority: pair.priority, position: position, token: pair.token, left: left.token, right: right.token)
        var child = heap.count
        heap.append(candidate)
        while child > 0 {
            let parent = (child - 1) / 2
            guard Candidate.before(candidate, heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = candidate
    }

    private mutating func pop() -> Candidate? {
        guard let top = heap.first, let last = heap.popLast() else { return nil }
        if heap.isEmpty { return top }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, Candidate.before(heap[child + 1], heap[child]) { child += 1 }
            guard Candidate.before(heap[child], last) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        return top
    }
}
