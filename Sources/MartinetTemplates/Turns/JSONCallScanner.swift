internal import MartinetJSON

/// Reads `{"name": …, "arguments": {…}}`: also with `parameters`, in any order, inside `{"type": "function", "function": …}`
/// and with arguments that are JSON in a string. The call is announced when its name is known and its arguments begin.
struct JSONCallScanner: Sendable {
    private enum State {
        case open, keyOrEnd, key, inKey, colon, value, inValue, inArguments, afterValue
    }
    private enum Field { case name, arguments, other }

    private static let maximumKeyLength = 256

    private let functions: Set<String>?
    private let isMarked: Bool
    private var state = State.open
    /// Objects that are open around the call's members.
    private var depth = 0
    private var key: [UInt8] = []
    private var field = Field.other
    private var extent = JSONExtent()
    private var name: String?
    /// The value being read, where it does not stream: a name, or arguments whose name is not known or that are no object.
    private var held: [UInt8] = []
    private var arguments: [UInt8]?
    private var streams = false
    private(set) var isCommitted = false

    /// - Parameters:
    ///   - functions: the names that a call may have; `nil` for any.
    ///   - isMarked: whether a marker says that this is a call; without, members that no call has reject it at once.
    init(functions: Set<String>?, isMarked: Bool) {
        self.functions = functions
        self.isMarked = isMarked
    }

    mutating func scan(_ bytes: [UInt8], _ index: inout Int, _ pieces: inout TurnPieces) -> CallScan {
        while index < bytes.count {
            if state == .inArguments || state == .inValue {
                guard scanValue(bytes, &index, &pieces) else { return .rejected }
                continue
            }
            switch step(bytes[index]) {
            case .rejected?:
                // What was announced stays a call; what does not fit into it comes as text.
                return isCommitted ? .done : .rejected
            case .done?:
                index += 1
                return close(&pieces) ? .done : .rejected
            case .more?: index += 1
            case nil: continue
            }
        }
        return .more
    }

    /// Takes one byte of what stands around values; `nil` where a value begins with it.
    private mutating func step(_ byte: UInt8) -> CallScan? {
        if state == .inKey {
            if byte == UInt8(ascii: "\"") { return endKey() ? .more : .rejected }
            key.append(byte)
            return key.count > Self.maximumKeyLength || byte == UInt8(ascii: "\\") ? .rejected : .more
        }
        if byte.isSpace { return .more }
        switch (state, byte) {
        case (.open, UInt8(ascii: "{")):
            depth += 1
            state = .keyOrEnd
        case (.keyOrEnd, UInt8(ascii: "\"")), (.key, UInt8(ascii: "\"")):
            key = []
            state = .inKey
        case (.keyOrEnd, UInt8(ascii: "}")), (.afterValue, UInt8(ascii: "}")):
            depth -= 1
            state = .afterValue
            return depth == 0 ? .done : .more
        case (.afterValue, UInt8(ascii: ",")): state = .key
        case (.colon, UInt8(ascii: ":")): state = .value
        case (.value, UInt8(ascii: "{")) where key.elementsEqual("function".utf8) && depth == 1:
            depth += 1
            state = .keyOrEnd
        case (.value, _): return beginValue(byte) ? nil : .rejected
        default: return .rejected
        }
        return .more
    }

    private mutating func endKey() -> Bool {
        state = .colon
        switch String(decoding: key, as: UTF8.self) {
        case "name": field = .name
        case "arguments", "parameters": field = .arguments
        case "type", "id", "function": field = .other
        default:
            field = .other
            return isMarked
        }
        // A second one would not be part of what was announced.
        return !(field == .name && name != nil) && !(field == .arguments && arguments != nil)
    }

    private mutating func beginValue(_ byte: UInt8) -> Bool {
        guard !",}]:<".utf8.contains(byte) else { return false }
        extent = JSONExtent()
        held = []
        state = .inValue
        switch field {
        case .name: return byte == UInt8(ascii: "\"")
        case .arguments:
            state = .inArguments
            arguments = []
            streams = name != nil && byte == UInt8(ascii: "{")
            return true
        case .other: return true
        }
    }

    /// Takes as much of a value as there is; false where the call is none.
    private mutating func scanValue(_ bytes: [UInt8], _ index: inout Int, _ pieces: inout TurnPieces) -> Bool {
        let begin = index
        if state == .inArguments, streams { commit(&pieces) }
        var isOver = false
        scan: while index < bytes.count {
            switch extent.step(bytes[index]) {
            case .inside: index += 1
            case .last:
                index += 1
                isOver = true
                break scan
            case .beyond:
                isOver = true
                break scan
            }
        }
        let part = bytes[begin..<index]
        if state == .inArguments, streams {
            pieces.arguments(part)
        } else if field != .other {
            held += part
        }
        guard isOver else { return true }
        state = .afterValue
        switch field {
        case .other: return true
        case .name:
            guard let text = Self.text(held), !text.isEmpty, functions?.contains(text) ?? true else { return false }
            name = text
        case .arguments: if !streams { arguments = held }
        }
        // Arguments that came before the name, or that are no object.
        if name != nil, let arguments, !streams {
            commit(&pieces)
            pieces.arguments(Self.object(arguments))
            streams = true
        }
        return true
    }

    private mutating func commit(_ pieces: inout TurnPieces) {
        guard !isCommitted, let name else { return }
        pieces.call(name)
        isCommitted = true
    }

    /// The object ended.
    private mutating func close(_ pieces: inout TurnPieces) -> Bool {
        guard name != nil else { return false }
        if !isCommitted {
            commit(&pieces)
            pieces.arguments("{}".utf8)
        }
        return true
    }

    /// Arguments as an object's text where they can be read as one; else as they are.
    private static func object(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.elementsEqual("null".utf8) { return Array("{}".utf8) }
        return text(bytes).map { Array($0.utf8) } ?? bytes
    }

    /// The text of a JSON string.
    private static func text(_ bytes: [UInt8]) -> String? {
        (try? JSONParser.parse(bytes))?.string
    }
}
