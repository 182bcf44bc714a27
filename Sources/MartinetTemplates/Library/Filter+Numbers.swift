#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension Renderer {
    func applyNumeric(_ filter: Filter, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let name = filter.rawValue
        switch filter {
        case .abs:
            try arguments.checkNone(name)
            switch try number(value) {
            case .int(let integer):
                guard integer != .min else { throw .runtime("an integer does not fit in 64 bits") }
                return .int(Swift.abs(integer))
            case .float(let float): return .float(Swift.abs(float))
            }
        case .int:
            let bound = try arguments.bound(name, "default", "base")
            return try toInteger(value, bound[0] ?? .int(0), integer(bound[1], name, default: 10))
        case .float:
            let fallback = try arguments.bound(name, "default")[0] ?? .float(0)
            if let number = value.number { return .float(number.double) }
            if case .undefined(let missing) = value { throw .runtime(missing.message) }
            guard case .string(let text) = value else { return fallback }
            return Self.float(text).map { .float($0) } ?? fallback
        case .round: return try round(value, arguments)
        case .sum:
            let bound = try arguments.bound(name, "attribute", "start")
            var sum = bound[1] ?? .int(0)
            if case .string = sum { throw .runtime("sum() cannot add strings: use join") }
            for item in try members(of: value) {
                let item = try subject(bound[0], item)
                sum = try binary(.add, sum, item)
            }
            return sum
        default:
            let bound = try arguments.bound(name, "case_sensitive", "attribute")
            let fold = !(bound[0]?.isTrue ?? false)
            var best: (key: Value, item: Value)?
            for item in try members(of: value) {
                var key = try subject(bound[1], item)
                if fold { key = key.caseFolded }
                guard let current = best else {
                    best = (key, item)
                    continue
                }
                let order = try filter == .min ? order(key, current.key) : order(current.key, key)
                if order ?? 0 < 0 { best = (key, item) }
            }
            return best?.item ?? .undefined(.nothing)
        }
    }

    /// A float as Python reads one: white space around it, single underscores between digits.
    private static func float(_ text: Text) -> Double? {
        let bytes = text.stripped().bytes
        guard let plain = withoutUnderscores(bytes) else { return nil }
        let string = String(decoding: plain, as: UTF8.self).lowercased()
        switch string.drop(while: { $0 == "-" || $0 == "+" }) {
        case "inf", "infinity", "nan": break
        default:
            guard plain.allSatisfy({ (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }) else { return nil }
        }
        if let value = Double(string) { return value }
        // Python takes "1." and ".5" too.
        if string.hasSuffix(".") { return Double(string + "0") }
        if let point = string.firstIndex(of: ".") {
            var padded = string
            padded.insert("0", at: padded.index(after: point))
            padded.insert("0", at: point)
            return string.count > 1 ? Double(padded) : nil
        }
        return nil
    }

    /// The digits without single underscores between them; `nil` when an underscore stands elsewhere.
    private static func withoutUnderscores(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.contains(UInt8(ascii: "_")) else { return bytes }
        var plain: [UInt8] = []
        for (position, byte) in bytes.enumerated() {
            guard byte == UInt8(ascii: "_") else {
                plain.append(byte)
                continue
            }
            guard position > 0, position + 1 < bytes.count, bytes[position - 1] != byte, bytes[position + 1] != byte,
                Character(UnicodeScalar(bytes[position - 1])).isHexDigit,
                Character(UnicodeScalar(bytes[position + 1])).isHexDigit
            else { return nil }
        }
        return plain
    }

    private func toInteger(_ value: Value, _ fallback: Value, _ base: Int) throws(TemplateError) -> Value {
        switch value {
        case .undefined(let missing): throw .runtime(missing.message)
        case .int, .bool: return .int(try integer(value, "int"))
        case .float(let float):
            guard float.isFinite else { return fallback }
            guard let whole = Int(exactly: float.rounded(.towardZero)) else {
                throw .runtime("an integer does not fit in 64 bits")
            }
            return .int(whole)
        case .string(let text):
            guard base == 0 || (2...36).contains(base) else { return fallback }
            guard let plain = Self.withoutUnderscores(text.stripped().bytes) else { return fallback }
            var digits = String(decoding: plain, as: UTF8.self).lowercased()[...]
            var sign = ""
            if digits.hasPrefix("-") || digits.hasPrefix("+") { sign = String(digits.removeFirst()) }
            var radix = base
            for (prefix, known) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
                if base == known || base == 0 {
                    digits = digits.dropFirst(2)
                    radix = known
                }
            }
            if radix == 0 { radix = 10 }
            if !digits.hasPrefix("-"), !digits.hasPrefix("+"), let whole = Int(sign + digits, radix: radix) {
                return .int(whole)
            }
            if let float = Self.float(text) { return try toInteger(.float(float), fallback, 10) }
            return fallback
        default: return fallback
        }
    }

    private func round(_ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let bound = try arguments.bound("round", "precision", "method")
        let precision = try integer(bound[0], "round", default: 0)
        let method = bound[1] == nil ? Text("common") : try string(bound[1], "round")
        guard method == "common" || method == "ceil" || method == "floor" else {
            throw .runtime("round takes the methods common, ceil and floor")
        }
        let number = try self.number(value)
        guard method == "common" else {
            let scale = pow(10.0, Double(precision))
            let scaled = number.double * scale
            return .float((method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)) / scale)
        }
        if case .int(let integer) = number {
            guard precision < 0 else { return .int(integer) }
            guard precision > -19, case .int(let unit) = try binary(.power, Value.int(10), Value.int(-precision)) else {
                return .int(0)
            }
            // Halves go to the even neighbour.
            let remainder = ((integer % unit) + unit) % unit
            let floor = integer - remainder
            let isUp = remainder > unit - remainder || (remainder == unit - remainder && (floor / unit) % 2 != 0)
            return try binary(.add, Value.int(floor), Value.int(isUp ? unit : 0))
        }
        let float = number.double
        guard float.isFinite, precision < 320 else { return .float(float) }
        if precision < -320 { return .float(float * 0.0) }
        if precision <= 0 {
            let scale = pow(10.0, Double(-precision))
            return .float((float / scale).rounded(.toNearestOrEven) * scale)
        }
        return .float(Double(formatDouble(float, "f", precision, alternate: false)) ?? float)
    }

    /// C's `printf` of a double with a precision, which rounds the exact binary value.
    func formatDouble(_ value: Double, _ conversion: Character, _ precision: Int, alternate: Bool) -> String {
        let format = "%\(alternate ? "#" : "").*\(conversion)"
        var buffer = [CChar](repeating: 0, count: 800 + max(0, precision))
        let written = withVaList([Int32(clamping: precision), value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        let length = min(max(0, Int(written)), buffer.count - 1)
        return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
