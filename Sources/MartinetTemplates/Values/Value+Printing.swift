extension Value {
    /// Python's `str()`.
    var text: Text {
        switch self {
        case .string(let text): return text
        case .undefined: return Text()
        default:
            var printer = Printer()
            printer.append(self)
            return Text(valid: printer.bytes)
        }
    }

    /// Python's `repr()`.
    var repr: Text {
        var printer = Printer()
        printer.append(self)
        return Text(valid: printer.bytes)
    }
}

/// Writes values as Python's `repr` does. Recursion is bounded by the values' depth.
private struct Printer {
    var bytes: [UInt8] = []

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func append(_ value: Value, inNamespace depth: Int = 0) {
        switch value {
        case .undefined: append("Undefined")
        case .none: append("None")
        case .bool(let value): append(value ? "True" : "False")
        case .int(let value): append(String(value))
        case .float(let value): append(value.pythonDescription)
        case .string(let text): append(quoting: text)
        case .list(let items):
            append("[")
            append(members: items.items, depth)
            append("]")
        case .tuple(let items):
            append("(")
            append(members: items.items, depth)
            append(items.items.count == 1 ? ",)" : ")")
        case .range(let range):
            let stop = range.start &+ range.count &* range.step
            append("range(\(range.start), \(stop)\(range.step == 1 ? "" : ", \(range.step)"))")
        case .dict(let dict): append(dict, depth)
        case .iterator(let iterator): append("<\(iterator.kind) object>")
        case .namespace(let namespace):
            // Namespaces can contain themselves.
            guard depth < 1 else { return append("<Namespace ...>") }
            append("<Namespace ")
            append(namespace.attributes, depth + 1)
            append(">")
        case .loop(let loop): append("<LoopContext \(loop.index + 1)/\(loop.items.count)>")
        case .function(let function): append("<\(function.name.string)>")
        }
    }

    private mutating func append(_ dict: Dict, _ depth: Int) {
        append("{")
        for position in dict.keys.indices {
            if position > 0 { append(", ") }
            append(dict.keys[position], inNamespace: depth)
            append(": ")
            append(dict.values[position], inNamespace: depth)
        }
        append("}")
    }

    private mutating func append(members: [Value], _ depth: Int) {
        for (position, member) in members.enumerated() {
            if position > 0 { append(", ") }
            append(member, inNamespace: depth)
        }
    }

    private mutating func append(quoting text: Text) {
        let single = UInt8(ascii: "'")
        let quote =
            text.bytes.contains(single) && !text.bytes.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : single
        bytes.append(quote)
        for scalar in text.scalars {
            switch scalar {
            case "\n": append("\\n")
            case "\r": append("\\r")
            case "\t": append("\\t")
            case "\\": append("\\\\")
            default:
                if scalar.value == UInt32(quote) {
                    append("\\")
                    bytes.append(quote)
                } else if scalar.isPythonPrintable {
                    bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                } else if scalar.value < 0x100 {
                    append("\\x" + hexadecimal(scalar.value, 2))
                } else if scalar.value < 0x10000 {
                    append("\\u" + hexadecimal(scalar.value, 4))
                } else {
                    append("\\U" + hexadecimal(scalar.value, 8))
                }
            }
        }
        bytes.append(quote)
    }
}

/// Lower-case hexadecimal digits, at least `width` of them.
func hexadecimal(_ value: UInt32, _ width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

extension Unicode.Scalar {
    /// Python's `str.isprintable` for one code point.
    var isPythonPrintable: Bool {
        if value < 0x7F { return value >= 0x20 }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }
}

extension Double {
    /// Python's `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16.
    var pythonDescription: String {
        if isNaN { return "nan" }
        if isInfinite { return self < 0 ? "-inf" : "inf" }
        if self == 0 { return sign == .minus ? "-0.0" : "0.0" }
        // Swift prints the same shortest digits, but changes to exponents elsewhere: take them apart.
        var mantissa = magnitude.description
        var exponent = 0
        if let mark = mantissa.firstIndex(of: "e") {
            exponent = Int(mantissa[mantissa.index(after: mark)...]) ?? 0
            mantissa = String(mantissa[..<mark])
        }
        let parts = mantissa.split(separator: ".", omittingEmptySubsequences: false)
        let whole = parts.first.map(String.init) ?? ""
        let fraction = parts.count > 1 ? String(parts[1]) : ""
        var digits = Array((whole + fraction).utf8)
        var point = whole.utf8.count + exponent
        let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(leading)
        point -= leading
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        let text = String(decoding: digits, as: UTF8.self)
        let prefix = self < 0 ? "-" : ""
        let scientific = point - 1
        if scientific < -4 || scientific >= 16 {
            let rest = text.dropFirst()
            let power = abs(scientific) < 10 ? "0\(abs(scientific))" : "\(abs(scientific))"
            return prefix + text.prefix(1) + (rest.isEmpty ? "" : ".") + rest + "e" + (scientific < 0 ? "-" : "+")
                + power
        }
        if point <= 0 { return prefix + "0." + String(repeating: "0", count: -point) + text }
        if point >= text.count { return prefix + text + String(repeating: "0", count: point - text.count) + ".0" }
        return prefix + text.prefix(point) + "." + text.dropFirst(point)
    }
}
