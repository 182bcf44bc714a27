/// Separates reasoning from what follows it: `<think>…</think>` at a turn's start, or its end alone where the prompt has
/// opened it. Reasoning that is not closed goes on to the end. Spaces around it are layout.
struct ReasoningSplitter: Sendable {
    private enum State {
        /// Nothing but spaces came.
        case start
        case inside
        /// Only spaces came since the reasoning ended.
        case after
        case passed
    }

    private static let opening = Markers(["<think>"])
    private static let closing = Markers(["</think>"])
    private var state: State
    private let isOpen: Bool
    /// What is undecided: a part of a marker, or spaces.
    private var held: [UInt8] = []
    private var hasReasoning = false

    /// - Parameter isOpen: whether the prompt ends with `<think>`.
    init(isOpen: Bool) {
        self.isOpen = isOpen
        state = .start
    }

    /// Takes text; gives back what is not reasoning.
    mutating func add(_ text: some Collection<UInt8>, _ pieces: inout TurnPieces) -> [UInt8] {
        if case .passed = state { return Array(text) }
        var bytes = held
        bytes += text
        held = []
        var index = 0
        while true {
            switch state {
            case .start:
                let first = bytes.firstIndex { !$0.isSpace } ?? bytes.count
                guard first < bytes.count else {
                    held = bytes
                    return []
                }
                switch Self.opening.match(bytes, at: first) {
                case .found(_, _, let end):
                    index = end
                    state = .inside
                case .partial:
                    held = bytes
                    return []
                case .none: state = isOpen ? .inside : .passed
                }
            case .inside:
                switch Self.closing.search(bytes, from: index) {
                case .found(let place, _, let end):
                    reason(bytes[index..<place], isLast: true, &pieces)
                    index = end
                    state = .after
                case .partial(let place):
                    let rest = bytes[place...]
                    reason(bytes[index..<place], isLast: false, &pieces)
                    held += rest
                    return []
                case .none:
                    reason(bytes[index...], isLast: false, &pieces)
                    return []
                }
            case .after:
                guard let first = bytes[index...].firstIndex(where: { !$0.isSpace }) else { return [] }
                index = first
                state = .passed
            case .passed: return Array(bytes[index...])
            }
        }
    }

    /// Reasoning without the spaces at its ends; those that may be its last are held.
    private mutating func reason(_ bytes: ArraySlice<UInt8>, isLast: Bool, _ pieces: inout TurnPieces) {
        var bytes = bytes
        if !hasReasoning { bytes = bytes.drop { $0.isSpace } }
        let end = bytes.lastIndex { !$0.isSpace }.map { $0 + 1 } ?? bytes.startIndex
        if end > bytes.startIndex { hasReasoning = true }
        pieces.reasoning(bytes[..<end])
        if !isLast { held = Array(bytes[end...]) }
    }

    /// The end of the text: what was held back and is not reasoning.
    mutating func finish(_ pieces: inout TurnPieces) -> [UInt8] {
        defer { held = [] }
        switch state {
        case .start where isOpen: return []
        case .start: return held
        case .inside:
            let end = held.lastIndex { !$0.isSpace }.map { $0 + 1 } ?? 0
            pieces.reasoning(held[..<end])
            return []
        case .after, .passed: return []
        }
    }
}
