extension Renderer {
    func string(_ value: Value?, _ function: String) throws(TemplateError) -> Text {
        guard case .string(let text)? = value else {
            throw .runtime("\(function) takes a string, not a value of type \(value?.typeName ?? "nothing")")
        }
        return text
    }

    func integer(_ value: Value?, _ function: String, default fallback: Int? = nil) throws(TemplateError) -> Int {
        if value == nil, let fallback { return fallback }
        guard case .int(let integer)? = value?.number else {
            throw .runtime("\(function) takes an integer, not a value of type \(value?.typeName ?? "nothing")")
        }
        return integer
    }

    /// `nil` for an argument that is absent or `None`.
    func optionalString(_ value: Value?, _ function: String) throws(TemplateError) -> Text? {
        guard let value, !value.isNone else { return nil }
        return try string(value, function)
    }

    func call(_ method: Method, on text: Text, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let name = method.rawValue
        switch method {
        case .strip, .lstrip, .rstrip:
            let set = try optionalString(try arguments.bound(name, "chars")[0], name)
            return .string(text.stripped(set, start: method != .rstrip, end: method != .lstrip))
        case .split, .rsplit:
            let bound = try arguments.bound(name, "sep", "maxsplit")
            let separator = try optionalString(bound[0], name)
            let most = try integer(bound[1], name, default: -1)
            return .list(try split(text, separator, most: most, fromEnd: method == .rsplit))
        case .splitlines:
            return .list(splitLines(text, keepEnds: try arguments.bound(name, "keepends")[0]?.isTrue ?? false))
        case .startswith, .endswith:
            let bound = try arguments.bound(name, "affix", "start", "end")
            let part = try window(text, bound[1], bound[2], name)
            var affixes = [bound[0] ?? .none]
            if case .tuple(let items)? = bound[0] { affixes = items.items }
            for affix in affixes {
                let affix = try string(affix, name)
                guard let part else { continue }
                let candidate =
                    part.lowerBound == 0 && part.upperBound == text.bytes.count ? text : Text(valid: text.bytes[part])
                if method == .startswith ? candidate.hasPrefix(affix) : candidate.hasSuffix(affix) {
                    return .bool(true)
                }
            }
            return .bool(false)
        case .replace:
            let bound = try arguments.bound(name, "old", "new", "count")
            return .string(
                try replace(
                    text, string(bound[0], name), string(bound[1], name), most: integer(bound[2], name, default: -1)))
        case .find, .rfind, .index, .rindex, .count: return try search(method, text, arguments)
        case .join:
            let parts = try members(of: try arguments.bound(name, "iterable")[0] ?? .none)
            return .string(try join(parts, separator: text, strict: true))
        case .format: return .string(try braceFormat(text, arguments))
        case .removeprefix, .removesuffix:
            let affix = try string(try arguments.bound(name, "affix")[0], name)
            if method == .removeprefix {
                return .string(text.hasPrefix(affix) ? Text(valid: text.bytes.dropFirst(affix.bytes.count)) : text)
            }
            return .string(text.hasSuffix(affix) ? Text(valid: text.bytes.dropLast(affix.bytes.count)) : text)
        case .center, .ljust, .rjust, .zfill: return try pad(method, text, arguments)
        case .partition, .rpartition:
            let separator = try string(try arguments.bound(name, "sep")[0], name)
            guard !separator.isEmpty else { throw .runtime("the separator is empty") }
            let pieces = try split(text, separator, most: 1, fromEnd: method == .rpartition)
            if pieces.count == 2 { return .tuple([pieces[0], .string(separator), pieces[1]]) }
            let empty = Value.string(Text())
            return method == .partition
                ? .tuple([.string(text), empty, empty]) : .tuple([empty, empty, .string(text)])
        case .expandtabs:
            let size = try integer(try arguments.bound(name, "tabsize")[0], name, default: 8)
            guard size <= 1000 else { throw .runtime("expandtabs: the tab size is too large") }
            return .string(try expandTabs(text, max(0, size)))
        default:
            try arguments.checkNone(name)
            return try classify(method, text)
        }
    }

    private func classify(_ method: Method, _ text: Text) throws(TemplateError) -> Value {
        switch method {
        case .upper: return .string(text.uppercased())
        case .lower: return .string(text.lowercased())
        case .casefold: return .string(text.lowercased())
        case .title: return .string(text.titlecased())
        case .capitalize: return .string(text.capitalized())
        case .swapcase: return .string(text.swappedCase())
        case .isascii: return .bool(text.isASCII)
        case .isupper: return .bool(text.isUppercase)
        case .islower: return .bool(text.isLowercase)
        case .istitle: return .bool(text.isTitlecase)
        case .isidentifier:
            let scalars = text.scalars
            guard let first = scalars.first, first == "_" || first.properties.isXIDStart else { return .bool(false) }
            return .bool(scalars.allSatisfy { $0 == "_" || $0.properties.isXIDContinue })
        default:
            guard !text.isEmpty else { return .bool(false) }
            return .bool(
                text.scalars.allSatisfy { scalar in
                    let type = scalar.properties.numericType
                    switch method {
                    case .isspace: return scalar.isPythonSpace
                    case .isalpha: return scalar.isLetter
                    case .isdigit: return type == .digit || type == .decimal
                    case .isdecimal: return type == .decimal
                    case .isnumeric: return type != nil
                    default: return scalar.isLetter || type != nil
                    }
                })
        }
    }

    /// The byte range that `start` and `end` (in code points) leave; `nil` when start lies behind the end.
    private func window(_ text: Text, _ start: Value?, _ end: Value?, _ name: String) throws(TemplateError) -> Range<
        Int
    >? {
        if start == nil, end == nil { return 0..<text.bytes.count }
        let offsets = text.offsets
        let count = offsets.count - 1
        func bound(_ value: Value?, _ fallback: Int) throws(TemplateError) -> Int {
            guard let value, !value.isNone else { return fallback }
            let index = try integer(value, name)
            return index < 0 ? max(0, index + count) : index
        }
        let from = try bound(start, 0)
        let to = min(try bound(end, count), count)
        guard from <= count, from <= to else { return nil }
        return offsets[from]..<offsets[to]
    }

    private func search(_ method: Method, _ text: Text, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let bound = try arguments.bound(method.rawValue, "sub", "start", "end")
        let part = try string(bound[0], method.rawValue)
        let window = try window(text, bound[1], bound[2], method.rawValue)
        var matches = 0
        var last: Int?
        if let window {
            if method == .count, part.isEmpty {
                return .int(Text(valid: text.bytes[window]).count + 1)
            }
            var from = window.lowerBound
            while let found = try find(part, in: text, from: from, to: window.upperBound) {
                last = found
                matches += 1
                if method == .find || method == .index { break }
                if part.isEmpty {
                    last = window.upperBound
                    break
                }
                from = method == .count ? found + part.bytes.count : found + 1
                try pay(steps: 1)
            }
        }
        if method == .count { return .int(matches) }
        guard let last else {
            if method == .find || method == .rfind { return .int(-1) }
            throw .runtime("the substring is not found")
        }
        return .int(Text(valid: text.bytes[0..<last]).count)
    }

    func split(_ text: Text, _ separator: Text?, most: Int, fromEnd: Bool) throws(TemplateError) -> [Value] {
        guard let separator else { return try splitSpace(text, most: most, fromEnd: fromEnd) }
        guard !separator.isEmpty else { throw .runtime("the separator is empty") }
        var cuts: [Int] = []
        var from = 0
        while let found = try find(separator, in: text, from: from) {
            if !fromEnd, most >= 0, cuts.count >= most { break }
            cuts.append(found)
            from = found + separator.bytes.count
            if cuts.count > limits.listMembers { throw TemplateError.limit("listMembers", limits.listMembers) }
        }
        if fromEnd, most >= 0, cuts.count > most { cuts.removeFirst(cuts.count - most) }
        var pieces: [Value] = []
        var start = 0
        for cut in cuts {
            pieces.append(.string(Text(valid: text.bytes[start..<cut])))
            start = cut + separator.bytes.count
        }
        pieces.append(.string(Text(valid: text.bytes[start...])))
        return pieces
    }

    private func splitSpace(_ text: Text, most: Int, fromEnd: Bool) throws(TemplateError) -> [Value] {
        var pieces: [Value] = []
        let bytes = text.bytes
        var start = 0
        var end = bytes.count
        while true {
            start = Text.skip(bytes, start..<end, while: \.isPythonSpace)
            end = Text.skipBack(bytes, start..<end, while: \.isPythonSpace)
            guard start < end else { break }
            if most >= 0, pieces.count >= most {
                // The rest keeps the white space on its far side.
                pieces.append(
                    .string(Text(valid: fromEnd ? bytes[0..<end] : bytes[start...])))
                break
            }
            if pieces.count > limits.listMembers { throw TemplateError.limit("listMembers", limits.listMembers) }
            if fromEnd {
                let cut = Text.skipBack(bytes, start..<end) { !$0.isPythonSpace }
                pieces.append(.string(Text(valid: bytes[cut..<end])))
                end = cut
            } else {
                let cut = Text.skip(bytes, start..<end) { !$0.isPythonSpace }
                pieces.append(.string(Text(valid: bytes[start..<cut])))
                start = cut
            }
        }
        return fromEnd ? pieces.reversed() : pieces
    }

    private func splitLines(_ text: Text, keepEnds: Bool) -> [Value] {
        var lines: [Value] = []
        let bytes = text.bytes
        var start = 0
        var offset = 0
        while offset < bytes.count {
            let (scalar, length) = Text.scalar(bytes, at: offset)
            switch scalar.value {
            case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029:
                var next = offset + length
                if scalar == "\r", next < bytes.count, bytes[next] == 0x0A { next += 1 }
                lines.append(.string(Text(valid: bytes[start..<(keepEnds ? next : offset)])))
                start = next
                offset = next
            default: offset += length
            }
        }
        if start < bytes.count { lines.append(.string(Text(valid: bytes[start...]))) }
        return lines
    }

    func replace(_ text: Text, _ old: Text, _ new: Text, most: Int) throws(TemplateError) -> Text {
        var result: [UInt8] = []
        var count = 0
        func add(_ bytes: some Collection<UInt8>) throws(TemplateError) {
            if result.count + bytes.count > limits.stringBytes {
                throw TemplateError.limit("stringBytes", limits.stringBytes)
            }
            result.append(contentsOf: bytes)
        }
        if old.isEmpty {
            for character in text.characters + [Text()] {
                if most < 0 || count < most { try add(new.bytes) }
                try add(character.bytes)
                count += 1
            }
            return Text(valid: result)
        }
        var from = 0
        while most < 0 || count < most, let found = try find(old, in: text, from: from) {
            try add(text.bytes[from..<found])
            try add(new.bytes)
            from = found + old.bytes.count
            count += 1
        }
        if from == 0 { return text }
        try add(text.bytes[from...])
        return Text(valid: result)
    }

    func join(_ parts: [Value], separator: Text, strict: Bool = false) throws(TemplateError) -> Text {
        var result = Text()
        for (position, part) in parts.enumerated() {
            let piece = strict ? try string(part, "join") : try text(part)
            if result.bytes.count + piece.bytes.count + separator.bytes.count > limits.stringBytes {
                throw TemplateError.limit("stringBytes", limits.stringBytes)
            }
            if position > 0 { result.append(separator) }
            result.append(piece)
        }
        try pay(bytes: result.bytes.count)
        return result
    }

    private func pad(_ method: Method, _ text: Text, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let bound = try arguments.bound(method.rawValue, "width", "fillchar")
        let width = try integer(bound[0], method.rawValue)
        let fill = method == .zfill ? Text("0") : bound[1] == nil ? Text(" ") : try string(bound[1], method.rawValue)
        guard fill.count == 1 else { throw .runtime("the fill must be one character") }
        return .string(try pad(text, width, fill, method))
    }

    /// Pads a string to a width in code points.
    func pad(_ text: Text, _ width: Int, _ fill: Text, _ method: Method) throws(TemplateError) -> Text {
        let missing = width - min(width, text.count)
        guard missing > 0 else { return text }
        guard missing <= limits.stringBytes / 4 else { throw TemplateError.limit("stringBytes", limits.stringBytes) }
        try reserve(bytes: missing * 4)
        func filling(_ count: Int) -> Text {
            Text(valid: Array([[UInt8]](repeating: fill.bytes, count: count).joined()))
        }
        var result = Text()
        switch method {
        case .ljust:
            result = text
            result.append(filling(missing))
        case .center:
            // Python puts the odd one to the left when the width is odd.
            let left = missing / 2 + (missing & width & 1)
            result = filling(left)
            result.append(text)
            result.append(filling(missing - left))
        case .zfill where text.bytes.first == UInt8(ascii: "-") || text.bytes.first == UInt8(ascii: "+"):
            result = Text(valid: text.bytes.prefix(1))
            result.append(filling(missing))
            result.append(Text(valid: text.bytes.dropFirst()))
        default:
            result = filling(missing)
            result.append(text)
        }
        return result
    }

    private func expandTabs(_ text: Text, _ size: Int) throws(TemplateError) -> Text {
        var result = Text()
        var column = 0
        for scalar in text.scalars {
            if scalar == "\t" {
                let spaces = size == 0 ? 0 : size - column % size
                try reserve(bytes: result.bytes.count + spaces > limits.stringBytes ? .max / 4 : 0)
                for _ in 0..<spaces { result.append(" ") }
                column += spaces
            } else {
                result.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return result
    }
}
