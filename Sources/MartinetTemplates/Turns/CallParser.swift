/// Finds calls in a turn's text.
struct CallParser: Sendable {
    private enum State {
        /// Nothing but spaces came, and a call may begin without a marker.
        case start
        case text
        /// Behind a marker or the bracket of a list: a call must follow.
        case open
        case call
        /// Behind a call: another one, the group's end, or text.
        case tail
    }

    /// More than this is not held back for a call whose name and arguments are not known yet.
    private static let maximumHeld = 1 << 20

    private let syntax: CallSyntax
    private let functions: Set<String>?
    private var state: State
    /// Reads the call that is open.
    private var scanner = CallScanner.idle
    /// What cannot be decided without more text: a part of a marker.
    private var buffer: [UInt8] = []
    /// What becomes text again if it turns out to be no call.
    private var candidate: [UInt8] = []
    private var isMarked = false
    private var isList = false

    init(_ format: ToolCallFormat, functions: Set<String>?) {
        syntax = CallSyntax(format)
        self.functions = functions
        state = syntax.isBare ? .start : .text
    }

    mutating func add(_ text: [UInt8], _ pieces: inout TurnPieces) {
        var bytes = buffer
        bytes += text
        buffer = []
        var index = 0
        while index < bytes.count {
            let next: Int?
            switch state {
            case .start: next = start(bytes, index, &pieces)
            case .text: next = scanText(bytes, index, &pieces)
            case .open: next = open(bytes, index, &pieces)
            case .call: next = call(bytes, index, &pieces)
            case .tail: next = tail(bytes, index, &pieces)
            }
            guard let next else {
                buffer = Array(bytes[index...])
                return
            }
            index = next
        }
    }

    /// Each of these gives where to go on; `nil` where the rest of the bytes may be a part of a marker.

    private mutating func start(_ bytes: [UInt8], _ index: Int, _ pieces: inout TurnPieces) -> Int? {
        let byte = bytes[index]
        if byte.isSpace {
            pieces.text(bytes[index...index])
            return index + 1
        }
        if byte == UInt8(ascii: "[") || (byte == UInt8(ascii: "{") && !syntax.isPythonic) {
            isMarked = false
            isList = false
            state = .open
            return index
        }
        if case .partial = syntax.openings.match(bytes, at: index) { return nil }
        state = .text
        return index
    }

    private mutating func scanText(_ bytes: [UInt8], _ index: Int, _ pieces: inout TurnPieces) -> Int? {
        switch syntax.openings.search(bytes, from: index) {
        case .found(let place, _, let end):
            pieces.text(bytes[index..<place])
            begin(bytes[place..<end])
            return end
        case .partial(let place):
            pieces.text(bytes[index..<place])
            return place > index ? place : nil
        case .none:
            pieces.text(bytes[index...])
            return bytes.count
        }
    }

    /// Begins a group behind its marker.
    private mutating func begin(_ marker: ArraySlice<UInt8>) {
        candidate = Array(marker)
        isMarked = true
        isList = false
        state = .open
    }

    private mutating func open(_ bytes: [UInt8], _ index: Int, _ pieces: inout TurnPieces) -> Int? {
        let byte = bytes[index]
        if byte.isSpace {
            candidate.append(byte)
            if candidate.count > Self.maximumHeld { giveBack(&pieces) }
            return index + 1
        }
        if byte == UInt8(ascii: "["), !isList {
            isList = true
            candidate.append(byte)
            return index + 1
        }
        if syntax.hasNamedCalls, !isList, byte.isIdentifier {
            scanner = .named(NamedCallScanner())
            state = .call
        } else if !beginsCall(byte) {
            giveBack(&pieces)
        }
        return index
    }

    /// Goes into a call where a byte can begin one.
    private mutating func beginsCall(_ byte: UInt8) -> Bool {
        let known = isMarked ? nil : functions
        if syntax.isPythonic {
            guard isList, byte.isIdentifier else { return false }
            scanner = .python(PythonCallScanner(functions: known))
        } else {
            guard byte == UInt8(ascii: "{") else { return false }
            scanner = .json(JSONCallScanner(functions: known, isMarked: isMarked))
        }
        state = .call
        return true
    }

    private mutating func call(_ bytes: [UInt8], _ index: Int, _ pieces: inout TurnPieces) -> Int {
        var end = index
        let result = scanner.scan(bytes, &end, &pieces)
        if scanner.isCommitted { candidate = [] } else { candidate += bytes[index..<end] }
        switch result {
        case .more where candidate.count > Self.maximumHeld: giveBack(&pieces)
        case .more: break
        case .done:
            candidate = []
            state = .tail
        case .rejected: giveBack(&pieces)
        }
        return end
    }

    private mutating func tail(_ bytes: [UInt8], _ index: Int, _ pieces: inout TurnPieces) -> Int? {
        let byte = bytes[index]
        switch byte {
        case _ where byte.isSpace: pieces.text(bytes[index...index])
        case UInt8(ascii: ","), UInt8(ascii: ";"): break
        // Some models close more than they opened.
        case UInt8(ascii: "}") where !syntax.isPythonic: break
        case UInt8(ascii: "]") where isList: isList = false
        default:
            for (markers, opens) in [(syntax.closing, false), (syntax.openings, true)] {
                switch markers?.match(bytes, at: index) {
                case .found(let place, _, let end)?:
                    if opens { begin(bytes[place..<end]) } else { state = .text }
                    return end
                case .partial?: return nil
                case .none?, nil: continue
                }
            }
            if !beginsCall(byte) { state = .text }
            return index
        }
        return index + 1
    }

    /// It was no call.
    private mutating func giveBack(_ pieces: inout TurnPieces) {
        pieces.text(candidate[...])
        candidate = []
        scanner = .idle
        state = .text
    }

    mutating func finish(_ pieces: inout TurnPieces) {
        switch state {
        // What was announced stays as it is; behind a call only separators and parts of markers are held.
        case .call where scanner.isCommitted, .tail: break
        default: pieces.text((candidate + buffer)[...])
        }
        candidate = []
        buffer = []
        scanner = .idle
        state = .text
    }
}

extension UInt8 {
    /// Whether a function's name may hold it.
    var isIdentifier: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }
}
