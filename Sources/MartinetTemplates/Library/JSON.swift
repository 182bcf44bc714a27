extension Renderer {
    /// The `tojson` filter: Python's `json.dumps` with `ensure_ascii` off, and without HTML escapes.
    func json(_ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let bound = try arguments.bound("tojson", "ensure_ascii", "indent", "separators", "sort_keys")
        try paid(value)
        var writer = JSONWriter(limit: limits.stringBytes)
        writer.escapesNonASCII = bound[0]?.isTrue ?? false
        writer.sortsKeys = bound[3]?.isTrue ?? false
        switch bound[1] {
        case nil, .some(.none): break
        case .string(let text)?: writer.indent = text
        case let width?:
            let width = max(0, try integer(width, "tojson"))
            guard width <= 1000 else { throw .runtime("tojson: the indent is too large") }
            writer.indent = Text(valid: Array(repeating: UInt8(ascii: " "), count: width))
        }
        if writer.indent != nil { writer.itemSeparator = Text(",") }
        if let separators = bound[2], !separators.isNone {
            let pair = try members(of: separators)
            guard pair.count == 2 else { throw .runtime("tojson: separators are a pair of strings") }
            writer.itemSeparator = try string(pair[0], "tojson")
            writer.keySeparator = try string(pair[1], "tojson")
        }
        try writer.write(value, level: 0)
        return .string(Text(valid: writer.bytes))
    }
}

/// Writes JSON as Python's `json.dumps` does.
private struct JSONWriter {
    var bytes: [UInt8] = []
    var escapesNonASCII = false
    var sortsKeys = false
    var indent: Text?
    var itemSeparator = Text(", ")
    var keySeparator = Text(": ")
    let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func write(_ value: Value, level: Int) throws(TemplateError) {
        switch value {
        case .none: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .int(let value): append(String(value))
        case .float(let value): append(Self.number(value))
        case .string(let text): append(quoting: text)
        case .list(let items), .tuple(let items):
            try writeMembers("[", "]", items.items.count, level) { writer, position throws(TemplateError) in
                try writer.write(items.items[position], level: level + 1)
            }
        case .dict(let dict):
            var order = Array(dict.keys.indices)
            let keys = dict.keys
            if sortsKeys {
                var failure: TemplateError?
                order.sort { a, b in
                    do throws(TemplateError) { return try Value.order(keys[a], keys[b]) ?? 0 < 0 } catch {
                        failure = error
                        return false
                    }
                }
                if let failure { throw failure }
            }
            try writeMembers("{", "}", order.count, level) { writer, position throws(TemplateError) in
                try writer.append(quoting: Self.key(keys[order[position]]))
                writer.bytes.append(contentsOf: writer.keySeparator.bytes)
                try writer.write(dict.values[order[position]], level: level + 1)
            }
        default: throw .runtime("a value of type \(value.typeName) has no JSON form")
        }
        if bytes.count > limit { throw TemplateError.limit("stringBytes", limit) }
    }

    private mutating func writeMembers(
        _ open: String, _ close: String, _ count: Int, _ level: Int,
        _ member: (inout JSONWriter, Int) throws(TemplateError) -> Void
    ) throws(TemplateError) {
        append(open)
        for position in 0..<count {
            if position > 0 { bytes.append(contentsOf: itemSeparator.bytes) }
            appendLine(level + 1)
            try member(&self, position)
        }
        if count > 0 { appendLine(level) }
        append(close)
    }

    private mutating func appendLine(_ level: Int) {
        guard let indent else { return }
        append("\n")
        for _ in 0..<level { bytes.append(contentsOf: indent.bytes) }
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private static func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? value < 0 ? "-Infinity" : "Infinity" : value.pythonDescription
    }

    private static func key(_ value: Value) throws(TemplateError) -> Text {
        switch value {
        case .string(let text): return text
        case .none: return Text("null")
        case .bool(let value): return Text(value ? "true" : "false")
        case .int(let value): return Text(String(value))
        case .float(let value): return Text(number(value))
        default: throw .runtime("keys of JSON objects cannot be of type \(value.typeName)")
        }
    }

    private mutating func append(quoting text: Text) {
        bytes.append(UInt8(ascii: "\""))
        if escapesNonASCII, !text.isASCII {
            for unit in text.string.utf16 {
                if unit < 0x80 {
                    append(escaping: UInt8(truncatingIfNeeded: unit))
                } else {
                    append("\\u" + hexadecimal(UInt32(unit), 4))
                }
            }
        } else {
            for byte in text.bytes { append(escaping: byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(escaping byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0x08: append("\\b")
        case 0x0C: append("\\f")
        case 0..<0x20: append("\\u" + hexadecimal(UInt32(byte), 4))
        default: bytes.append(byte)
        }
    }
}
