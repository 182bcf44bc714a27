/// Flags, width and precision of one placeholder.
private struct Placeholder {
    var isLeft = false, isZero = false, isAlternate = false
    var sign: Character?
    var fill: Text?
    var alignment: Character?
    var groups: String?
    var width = 0
    var precision: Int?
}

extension Renderer {
    private static let widest = 10_000

    /// Python's `format % values`.
    func percentFormat(_ format: Text, _ values: Value) throws(TemplateError) -> Text {
        var positional = [values]
        var isTuple = false
        if case .tuple(let items) = values {
            positional = items.items
            isTuple = true
        }
        var used = 0
        var usesNames = false
        func take() throws(TemplateError) -> Value {
            guard used < positional.count else { throw .runtime("not enough values for the format") }
            used += 1
            return positional[used - 1]
        }
        var result = Text()
        let scalars = Array(format.scalars)
        var index = 0
        func peek() throws(TemplateError) -> Unicode.Scalar {
            guard index < scalars.count else { throw .runtime("the format is incomplete") }
            return scalars[index]
        }
        while index < scalars.count {
            guard scalars[index] == "%" else {
                result.append(scalars[index])
                index += 1
                continue
            }
            index += 1
            var named: Value?
            if try peek() == "(" {
                guard let end = scalars[index...].firstIndex(of: ")"), case .dict(let dict) = values else {
                    throw .runtime("the format requires a mapping")
                }
                named = dict.member(Text(scalars[(index + 1)..<end]))
                guard named != nil else { throw .runtime("a name of the format is not in the mapping") }
                usesNames = true
                index = end + 1
            }
            var place = Placeholder()
            flags: while true {
                switch try peek() {
                case "-": place.isLeft = true
                case "0": place.isZero = true
                case "#": place.isAlternate = true
                case "+": place.sign = "+"
                case " ": place.sign = place.sign ?? " "
                default: break flags
                }
                index += 1
            }
            func digits() throws(TemplateError) -> Int {
                if try peek() == "*" {
                    index += 1
                    return try integer(take(), "a width")
                }
                var value = 0
                while case let digit = try peek().value, (0x30...0x39).contains(digit) {
                    value = value * 10 + Int(digit - 0x30)
                    guard value <= Self.widest else { throw .runtime("a width in the format is too large") }
                    index += 1
                }
                return value
            }
            place.width = try digits()
            if place.width < 0 {
                place.isLeft = true
                place.width = place.width == .min ? .max : -place.width
            }
            if try peek() == "." {
                index += 1
                place.precision = max(0, try digits())
            }
            guard place.width <= Self.widest, place.precision ?? 0 <= Self.widest else {
                throw .runtime("a width in the format is too large")
            }
            while "hlL".unicodeScalars.contains(try peek()) { index += 1 }
            let conversion = try peek()
            index += 1
            if conversion == "%" {
                result.append("%")
                continue
            }
            let value = if let named { named } else { try take() }
            result.append(try convert(value, conversion, place))
            try reserve(bytes: result.bytes.count)
        }
        if !usesNames, used < positional.count {
            // One value that is a mapping need not be used.
            if case .dict = values, !isTuple { return result }
            throw .runtime("not all values were used by the format")
        }
        return result
    }

    private func convert(
        _ value: Value, _ conversion: Unicode.Scalar, _ place: Placeholder
    ) throws(TemplateError) -> Text {
        var body: Text
        var sign = Text()
        switch conversion {
        case "s", "r", "a":
            body = conversion == "s" ? try text(value) : try representation(value)
            if let precision = place.precision { body = Text(body.scalars.prefix(precision)) }
            return padded(body, Text(), place, isNumber: false)
        case "c":
            if case .string(let text) = value, text.count == 1 {
                body = text
            } else {
                guard let scalar = UInt32(exactly: try integer(value, "%c")).flatMap(Unicode.Scalar.init) else {
                    throw .runtime("%c takes a character")
                }
                body = Text([scalar])
            }
            return padded(body, Text(), place, isNumber: false)
        case "d", "i", "u", "x", "X", "o":
            var whole: Int
            switch try number(value) {
            case .int(let integer): whole = integer
            case .float(let float):
                guard "diu".unicodeScalars.contains(conversion), let integer = Int(exactly: float.rounded(.towardZero))
                else { throw .runtime("%\(conversion) takes an integer") }
                whole = integer
            }
            let radix = conversion == "x" || conversion == "X" ? 16 : conversion == "o" ? 8 : 10
            var digits = String(whole.magnitude, radix: radix, uppercase: conversion == "X")
            digits = String(repeating: "0", count: max(0, (place.precision ?? 0) - digits.count)) + digits
            if place.isAlternate, radix != 10 { sign = Text(radix == 8 ? "0o" : "0\(conversion)") }
            body = Text(digits)
            sign = Text((whole < 0 ? "-" : place.sign.map(String.init) ?? "") + sign.string)
            whole = 0
        case "f", "F", "e", "E", "g", "G":
            let float = try number(value).double
            let text = formatDouble(
                float.magnitude, Character(conversion), place.precision ?? 6, alternate: place.isAlternate)
            body = Text(text)
            sign = Text(float.sign == .minus && !float.isNaN ? "-" : place.sign.map(String.init) ?? "")
        default: throw .runtime("unsupported format character '\(conversion)'")
        }
        return padded(body, sign, place, isNumber: true)
    }

    private func representation(_ value: Value) throws(TemplateError) -> Text {
        try paid(value)
        return value.repr
    }

    private func padded(_ body: Text, _ sign: Text, _ place: Placeholder, isNumber: Bool) -> Text {
        var missing = max(0, place.width - body.count - sign.count)
        var result = Text()
        var before = 0
        switch place.alignment ?? (place.isLeft ? "<" : place.isZero && isNumber ? "=" : ">") {
        case "<": break
        case "^": before = missing / 2
        case "=":
            result.append(sign)
            let fill = place.fill ?? Text("0")
            for _ in 0..<missing { result.append(fill) }
            result.append(body)
            return result
        default: before = missing
        }
        let fill = place.fill ?? Text(" ")
        missing -= before
        for _ in 0..<before { result.append(fill) }
        result.append(sign)
        result.append(body)
        for _ in 0..<missing { result.append(fill) }
        return result
    }

    // MARK: - str.format

    /// Python's `str.format`, with nested access but without nested placeholders.
    func braceFormat(_ format: Text, _ arguments: CallArguments) throws(TemplateError) -> Text {
        var result = Text()
        let scalars = Array(format.scalars)
        var index = 0
        var automatic = 0
        var usesNumbers = false
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            guard scalar == "{" || scalar == "}" else {
                result.append(scalar)
                continue
            }
            if index < scalars.count, scalars[index] == scalar {
                result.append(scalar)
                index += 1
                continue
            }
            guard scalar == "{", let end = scalars[index...].firstIndex(of: "}") else {
                throw .runtime("a single brace in the format string")
            }
            var field = scalars[index..<end]
            index = end + 1
            guard !field.contains("{") else {
                throw .runtime("nested placeholders in a format string are not supported")
            }
            var specification = ArraySlice<Unicode.Scalar>()
            if let colon = field.firstIndex(of: ":") {
                specification = field[(colon + 1)...]
                field = field[..<colon]
            }
            var conversion: Unicode.Scalar?
            if let mark = field.firstIndex(of: "!") {
                guard field.count - field.distance(from: field.startIndex, to: mark) == 2 else {
                    throw .runtime("a malformed conversion in the format string")
                }
                conversion = field.last
                field = field[..<mark]
            }
            let head = field.prefix { $0 != "." && $0 != "[" }
            let name = Text(head)
            var value: Value
            if name.isEmpty || Int(name.string) != nil {
                let isNumbered = !name.isEmpty
                guard automatic == 0 || !isNumbered, !usesNumbers || isNumbered else {
                    throw .runtime("the format string mixes numbered and unnumbered fields")
                }
                usesNumbers = usesNumbers || isNumbered
                let position = Int(name.string) ?? automatic
                if !isNumbered { automatic += 1 }
                guard arguments.positional.indices.contains(position) else {
                    throw .runtime("the format string asks for more values than given")
                }
                value = arguments.positional[position]
            } else {
                guard let given = arguments.keywords.first(where: { $0.name == name })?.value else {
                    throw .runtime("the format string asks for '\(name.string)', which is not given")
                }
                value = given
            }
            value = try follow(field.dropFirst(head.count), value)
            switch conversion {
            case nil: break
            case "s": value = .string(try text(value))
            case "r", "a": value = .string(try representation(value))
            default: throw .runtime("an unknown conversion in the format string")
            }
            result.append(try convert(value, specification: specification))
            try reserve(bytes: result.bytes.count)
        }
        return result
    }

    /// Follows `.name` and `[key]` of a format field.
    private func follow(_ path: ArraySlice<Unicode.Scalar>, _ start: Value) throws(TemplateError) -> Value {
        var path = path
        var value = start
        while let first = path.popFirst() {
            if first == "." {
                let name = Text(path.prefix { $0 != "." && $0 != "[" })
                path = path.dropFirst(name.count)
                // Python's format knows attributes only, which plain values have none of but methods.
                if case .namespace = value {
                    value = try attribute(name, nil, of: value)
                } else {
                    value = .undefined(.attribute(name))
                }
            } else {
                guard first == "[", let end = path.firstIndex(of: "]") else {
                    throw .runtime("a malformed field in the format string")
                }
                let key = Text(path[..<end])
                path = path[(end + 1)...]
                value = try item(Int(key.string).map { .int($0) } ?? .string(key), of: value)
            }
            if case .undefined(let missing) = value { throw .runtime(missing.message) }
        }
        return value
    }

    private func convert(
        _ value: Value, specification: ArraySlice<Unicode.Scalar>
    ) throws(TemplateError) -> Text {
        if specification.isEmpty { return try text(value) }
        var rest = specification
        var place = Placeholder()
        let alignments = "<>^=".unicodeScalars
        if rest.count > 1, let second = rest.dropFirst().first, alignments.contains(second), let fill = rest.first {
            place.fill = Text([fill])
            place.alignment = Character(second)
            rest = rest.dropFirst(2)
        } else if let first = rest.first, alignments.contains(first) {
            place.alignment = Character(first)
            place.fill = Text(" ")
            rest = rest.dropFirst()
        }
        if let first = rest.first, "+- ".unicodeScalars.contains(first) {
            place.sign = first == "-" ? nil : Character(first)
            rest = rest.dropFirst()
        }
        if rest.first == "#" {
            place.isAlternate = true
            rest = rest.dropFirst()
        }
        if rest.first == "0" {
            place.isZero = true
            rest = rest.dropFirst()
        }
        func digits() throws(TemplateError) -> Int? {
            let run = rest.prefix { (0x30...0x39).contains($0.value) }
            rest = rest.dropFirst(run.count)
            guard !run.isEmpty else { return nil }
            guard let value = Int(Text(run).string), value <= Self.widest else {
                throw .runtime("a width in the format is too large")
            }
            return value
        }
        place.width = try digits() ?? 0
        if let first = rest.first, first == "," || first == "_" {
            place.groups = String(first)
            rest = rest.dropFirst()
        }
        if rest.first == "." {
            rest = rest.dropFirst()
            guard let precision = try digits() else { throw .runtime("a precision is missing in the format") }
            place.precision = precision
        }
        guard rest.count <= 1 else { throw .runtime("an invalid format specification") }
        return try convert(value, kind: rest.first, &place)
    }

    private func convert(
        _ value: Value, kind: Unicode.Scalar?, _ place: inout Placeholder
    ) throws(TemplateError) -> Text {
        if case .string(let text) = value {
            guard kind == nil || kind == "s", place.sign == nil, place.alignment != "=" else {
                throw .runtime("this format does not fit a string")
            }
            let body = place.precision.map { Text(text.scalars.prefix($0)) } ?? text
            place.alignment = place.alignment ?? "<"
            if place.isZero, place.fill == nil { place.fill = Text("0") }
            return padded(body, Text(), place, isNumber: false)
        }
        guard let number = value.number else {
            throw .runtime("this format does not fit a value of type \(value.typeName)")
        }
        var body: String
        var isNegative = false
        var prefix = ""
        switch (number, kind) {
        case (.int(let whole), nil), (.int(let whole), "d"), (.int(let whole), "x"), (.int(let whole), "X"),
            (.int(let whole), "o"), (.int(let whole), "b"):
            guard place.precision == nil else { throw .runtime("an integer's format has no precision") }
            let radix = kind == "x" || kind == "X" ? 16 : kind == "o" ? 8 : kind == "b" ? 2 : 10
            body = String(whole.magnitude, radix: radix, uppercase: kind == "X")
            isNegative = whole < 0
            if place.isAlternate, radix != 10, let kind { prefix = "0\(kind)" }
        case (_, "f"), (_, "F"), (_, "e"), (_, "E"), (_, "g"), (_, "G"), (_, "%"):
            let float = number.double * (kind == "%" ? 100 : 1)
            let conversion = kind == "%" ? "f" : kind ?? "f"
            body = formatDouble(
                float.magnitude, Character(conversion), place.precision ?? 6, alternate: place.isAlternate)
            if kind == "%" { body += "%" }
            isNegative = float.sign == .minus && !float.isNaN
        case (.float(let float), nil) where place.precision == nil:
            body = float.magnitude.pythonDescription
            isNegative = float.sign == .minus
        default: throw .runtime("this format is not supported for a number")
        }
        if let separator = place.groups {
            let whole = body.prefix { $0.isNumber }
            var grouped = ""
            for (position, digit) in whole.enumerated() {
                if position > 0, (whole.count - position) % 3 == 0 { grouped += separator }
                grouped.append(digit)
            }
            body = grouped + body.dropFirst(whole.count)
        }
        let sign = isNegative ? "-" : place.sign.map(String.init) ?? ""
        return padded(Text(body), Text(sign + prefix), place, isNumber: true)
    }
}
