/// Collects the pieces of a turn, joins neighbours, and keeps spaces between text and calls out.
struct TurnPieces {
    private(set) var pieces: [TurnPiece] = []
    /// Whether spaces wait until it is clear that text follows: those around calls are layout.
    private let holdsSpace: Bool
    private var space: [UInt8] = []
    private var callCount = 0

    init(holdsSpace: Bool) {
        self.holdsSpace = holdsSpace
    }

    mutating func reasoning(_ bytes: some Collection<UInt8>) {
        guard !bytes.isEmpty else { return }
        let text = String(decoding: bytes, as: UTF8.self)
        if case .reasoning(let before)? = pieces.last {
            pieces[pieces.count - 1] = .reasoning(before + text)
        } else {
            pieces.append(.reasoning(text))
        }
    }

    mutating func text(_ bytes: ArraySlice<UInt8>) {
        guard holdsSpace else { return append(bytes) }
        guard let last = bytes.lastIndex(where: { !$0.isSpace }) else { return space += bytes }
        if !space.isEmpty {
            append(space[...])
            space.removeAll(keepingCapacity: true)
        }
        append(bytes[...last])
        space += bytes[(last + 1)...]
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>) {
        guard !bytes.isEmpty else { return }
        let text = String(decoding: bytes, as: UTF8.self)
        if case .text(let before)? = pieces.last {
            pieces[pieces.count - 1] = .text(before + text)
        } else {
            pieces.append(.text(text))
        }
    }

    /// A call begins; its arguments follow.
    mutating func call(_ name: String) {
        space.removeAll(keepingCapacity: true)
        pieces.append(.call(index: callCount, name: name))
        callCount += 1
    }

    /// More of the arguments of the call that began last.
    mutating func arguments(_ bytes: some Collection<UInt8>) {
        guard !bytes.isEmpty else { return }
        let text = String(decoding: bytes, as: UTF8.self)
        if case .arguments(let index, let before)? = pieces.last {
            pieces[pieces.count - 1] = .arguments(index: index, text: before + text)
        } else {
            pieces.append(.arguments(index: callCount - 1, text: text))
        }
    }

    /// The end: spaces behind plain text belong to it.
    mutating func finish() {
        if callCount == 0 { append(space[...]) }
        space = []
    }

    /// What came since the last time.
    mutating func take() -> [TurnPiece] {
        defer { pieces.removeAll(keepingCapacity: true) }
        return pieces
    }
}

extension UInt8 {
    /// Whether JSON takes it as space between values.
    var isSpace: Bool { self == 0x20 || self == 0x0A || self == 0x0D || self == 0x09 }
}
