/// Reads `name[ARGS]{…}`, with or without `[CALL_ID]…` and `[ARGS]` between.
struct NamedCallScanner: Sendable {
    private static let maximumNameLength = 512

    private var head: [UInt8] = []
    private var extent = JSONExtent()
    private(set) var isCommitted = false

    mutating func scan(_ bytes: [UInt8], _ index: inout Int, _ pieces: inout TurnPieces) -> CallScan {
        while !isCommitted {
            guard index < bytes.count else { return .more }
            let byte = bytes[index]
            if byte == UInt8(ascii: "{") {
                guard let name else { return .rejected }
                pieces.call(name)
                isCommitted = true
            } else {
                guard byte.isIdentifier || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]"),
                    head.count < Self.maximumNameLength
                else { return .rejected }
                head.append(byte)
                index += 1
            }
        }
        let begin = index
        while index < bytes.count {
            switch extent.step(bytes[index]) {
            case .inside: index += 1
            case .last:
                index += 1
                pieces.arguments(bytes[begin..<index])
                return .done
            case .beyond:
                pieces.arguments(bytes[begin..<index])
                return .done
            }
        }
        pieces.arguments(bytes[begin..<index])
        return .more
    }

    private var name: String? {
        let parts = head.split(separator: UInt8(ascii: "["), omittingEmptySubsequences: false)
        let rest = parts.dropFirst().map { String(decoding: $0, as: UTF8.self) }
        guard rest.allSatisfy({ $0.hasPrefix("CALL_ID]") || $0 == "ARGS]" }), let name = parts.first,
            name.allSatisfy(\.isIdentifier)
        else { return nil }
        return String(decoding: name, as: UTF8.self)
    }
}
