/// Reads `name(key=value, …)` and gives the arguments as JSON when it is complete.
struct PythonCallScanner: Sendable {
    private static let maximumNameLength = 256

    private let functions: Set<String>?
    private var name: [UInt8] = []
    private var body: [UInt8] = []
    private var depth = 0
    /// The quote of the string that is open.
    private var quote: UInt8?
    private var isEscaped = false

    init(functions: Set<String>?) {
        self.functions = functions
    }

    mutating func scan(_ bytes: [UInt8], _ index: inout Int, _ pieces: inout TurnPieces) -> CallScan {
        while index < bytes.count {
            let byte = bytes[index]
            if depth == 0 {
                if byte == UInt8(ascii: "(") {
                    guard functions?.contains(String(decoding: name, as: UTF8.self)) ?? true else { return .rejected }
                    depth = 1
                } else {
                    guard byte.isIdentifier, name.count < Self.maximumNameLength else { return .rejected }
                    name.append(byte)
                }
                index += 1
                continue
            }
            index += 1
            guard step(byte) else { continue }
            var literals = PythonArguments(body)
            guard let json = literals.object() else {
                index -= 1
                return .rejected
            }
            pieces.call(String(decoding: name, as: UTF8.self))
            pieces.arguments(json)
            return .done
        }
        return .more
    }

    /// Takes a byte of the arguments; true where it closes them.
    private mutating func step(_ byte: UInt8) -> Bool {
        if let open = quote {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == open {
                quote = nil
            }
        } else {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): quote = byte
            case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                depth -= 1
                if depth == 0 { return byte == UInt8(ascii: ")") }
            default: break
            }
        }
        body.append(byte)
        return false
    }
}
