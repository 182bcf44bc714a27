/// What became of a call when more of it was read.
enum CallScan {
    /// It goes on.
    case more
    /// It is complete.
    case done
    /// It is none; the byte at the index is the first that a call cannot have there.
    case rejected
}

/// Reads one call.
enum CallScanner: Sendable {
    case idle
    case json(JSONCallScanner)
    case python(PythonCallScanner)
    case named(NamedCallScanner)

    /// Whether the call was announced: from then on it cannot become text again.
    var isCommitted: Bool {
        switch self {
        case .idle, .python: false
        case .json(let scanner): scanner.isCommitted
        case .named(let scanner): scanner.isCommitted
        }
    }

    /// Reads on from `index`, which ends behind what was read.
    mutating func scan(_ bytes: [UInt8], _ index: inout Int, _ pieces: inout TurnPieces) -> CallScan {
        let current = self
        // Letting go of the scanner before it changes keeps what it holds from being copied.
        self = .idle
        switch consume current {
        case .idle: return .rejected
        case .json(var scanner):
            defer { self = .json(scanner) }
            return scanner.scan(bytes, &index, &pieces)
        case .python(var scanner):
            defer { self = .python(scanner) }
            return scanner.scan(bytes, &index, &pieces)
        case .named(var scanner):
            defer { self = .named(scanner) }
            return scanner.scan(bytes, &index, &pieces)
        }
    }
}
