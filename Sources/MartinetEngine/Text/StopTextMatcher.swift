/// Finds stop texts in a stream, whichever way tokens cut it, and holds text back while it may be the start of one.
package struct StopTextMatcher {
    /// Text that may go out, and the stop text that was met.
    package struct Output {
        /// Text to send.
        package var text: String
        /// The stop text that ended the stream.
        package var stop: String?
    }

    private let stops: [(text: String, bytes: [UInt8])]
    private let includesStop: Bool
    private var held: [UInt8] = []

    /// Makes a matcher; empty stop texts are ignored.
    package init(stops: [String], includesStop: Bool) {
        self.stops = stops.filter { !$0.isEmpty }.map { ($0, Array($0.utf8)) }
        self.includesStop = includesStop
    }

    /// Takes new text, whole characters.
    ///
    /// - Parameter searches: false lets stop texts pass (before `min_tokens`).
    package mutating func append(_ text: String, searches: Bool = true) -> Output {
        if stops.isEmpty { return Output(text: text) }
        guard searches else { return Output(text: take(held.count) + text) }
        let start = held.count
        held += text.utf8
        if let match = firstMatch(newFrom: start) {
            let stop = stops[match.stop]
            let end = includesStop ? match.position + stop.bytes.count : match.position
            let text = take(end)
            held = []
            return Output(text: text, stop: stop.text)
        }
        return Output(text: take(held.count - possibleStart()))
    }

    /// What is still held, at the end of the stream.
    package mutating func finish() -> String { take(held.count) }

    /// The match that begins first; of those, the longest.
    private func firstMatch(newFrom start: Int) -> (position: Int, stop: Int)? {
        var best: (position: Int, stop: Int)?
        for (index, stop) in stops.enumerated() {
            // A match must end in the new text: what was held before could not complete one.
            var position = max(0, start - stop.bytes.count + 1)
            while position + stop.bytes.count <= held.count {
                if held[position..<(position + stop.bytes.count)].elementsEqual(stop.bytes) {
                    let isBetter =
                        best.map {
                            position < $0.position
                                || (position == $0.position && stop.bytes.count > stops[$0.stop].bytes.count)
                        } ?? true
                    if isBetter { best = (position, index) }
                    break
                }
                position += 1
            }
        }
        return best
    }

    /// Bytes at the end of `held` that could begin a stop text.
    private func possibleStart() -> Int {
        var longest = 0
        for stop in stops {
            var length = min(stop.bytes.count - 1, held.count)
            while length > longest {
                if held.suffix(length).elementsEqual(stop.bytes.prefix(length)) { longest = length }
                length -= 1
            }
        }
        return longest
    }

    private mutating func take(_ count: Int) -> String {
        defer { held.removeFirst(count) }
        return String(decoding: held.prefix(count), as: UTF8.self)
    }
}
