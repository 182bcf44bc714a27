import MartinetJSON

/// A validator of JSON Schema written straight from the specification, for the keywords that random schemas use.
enum PlainValidator {
    static func isValid(_ value: JSONValue, _ schema: JSONValue) -> Bool {
        if case .bool(let flag) = schema { return flag }
        guard case .object(let keywords) = schema else { return false }
        return keywords.allSatisfy { meets(value, $0.key, $0.value, schema) }
    }

    private static func meets(_ value: JSONValue, _ keyword: String, _ argument: JSONValue, _ schema: JSONValue) -> Bool
    {
        switch keyword {
        case "type":
            if case .array(let names) = argument { return names.contains { has(value, type: $0.string ?? "") } }
            return has(value, type: argument.string ?? "")
        case "enum": return items(argument).contains { areEqual($0, value) }
        case "const": return areEqual(argument, value)
        case "minimum": return number(value).map { $0 >= number(argument) ?? 0 } ?? true
        case "exclusiveMaximum": return number(value).map { $0 < number(argument) ?? 0 } ?? true
        case "multipleOf":
            guard let number = number(value), let divisor = self.number(argument) else { return true }
            return (number / divisor).rounded() * divisor == number
        case "minLength": return value.string.map { $0.unicodeScalars.count >= argument.integer ?? 0 } ?? true
        case "maxLength": return value.string.map { $0.unicodeScalars.count <= argument.integer ?? 0 } ?? true
        case "pattern": return value.string.map { finds(argument.string ?? "", in: $0) } ?? true
        case "allOf": return items(argument).allSatisfy { isValid(value, $0) }
        case "anyOf": return items(argument).contains { isValid(value, $0) }
        case "oneOf": return items(argument).count { isValid(value, $0) } == 1
        case "not": return !isValid(value, argument)
        case "if":
            let branch = isValid(value, argument) ? schema["then"] : schema["else"]
            return branch.map { isValid(value, $0) } ?? true
        case "then", "else": return true
        default: break
        }
        if case .array(let values) = value { return meets(values, keyword, argument, schema) }
        if case .object(let members) = value { return meets(members, keyword, argument, schema) }
        return true
    }

    private static func meets(
        _ values: [JSONValue], _ keyword: String, _ argument: JSONValue, _ schema: JSONValue
    ) -> Bool {
        switch keyword {
        case "prefixItems": return zip(values, items(argument)).allSatisfy { isValid($0, $1) }
        case "items":
            let first = schema["prefixItems"].map { items($0).count } ?? 0
            return values.dropFirst(first).allSatisfy { isValid($0, argument) }
        case "minItems": return values.count >= argument.integer ?? 0
        case "maxItems": return values.count <= argument.integer ?? 0
        case "contains":
            let count = values.count { isValid($0, argument) }
            return count >= schema["minContains"]?.integer ?? 1 && count <= schema["maxContains"]?.integer ?? .max
        default: return true
        }
    }

    private static func meets(
        _ members: [(key: String, value: JSONValue)], _ keyword: String, _ argument: JSONValue, _ schema: JSONValue
    ) -> Bool {
        let names = Set(members.map(\.key))
        switch keyword {
        case "properties":
            return members.allSatisfy { member in argument[member.key].map { isValid(member.value, $0) } ?? true }
        case "required": return items(argument).allSatisfy { names.contains($0.string ?? "") }
        case "additionalProperties":
            return members.allSatisfy { schema["properties"]?[$0.key] != nil || isValid($0.value, argument) }
        case "propertyNames": return names.allSatisfy { isValid(.string($0), argument) }
        case "minProperties": return members.count >= argument.integer ?? 0
        case "maxProperties": return members.count <= argument.integer ?? 0
        case "dependentRequired":
            return members.allSatisfy { member in
                argument[member.key].map { items($0).allSatisfy { names.contains($0.string ?? "") } } ?? true
            }
        default: return true
        }
    }

    private static func has(_ value: JSONValue, type: String) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("number", .integer), ("number", .double), ("integer", .integer),
            ("string", .string), ("array", .array), ("object", .object):
            true
        case ("integer", .double(let number)): number == number.rounded()
        default: false
        }
    }

    /// The patterns of random schemas, by hand.
    private static func finds(_ pattern: String, in text: String) -> Bool {
        switch pattern {
        case "a": text.contains("a")
        case "^a": text.hasPrefix("a")
        case "b$": text.hasSuffix("b")
        default: text == "a" || text == "b"
        }
    }

    private static func items(_ value: JSONValue) -> [JSONValue] {
        if case .array(let items) = value { items } else { [] }
    }

    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    static func areEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.array(let left), .array(let right)): left.count == right.count && zip(left, right).allSatisfy(areEqual)
        case (.object(let left), .object(let right)):
            left.count == right.count
                && left.allSatisfy { member in
                    right.first { $0.key == member.key }.map { areEqual(member.value, $0.value) } ?? false
                }
        default: number(left).map { $0 == number(right) } ?? false
        }
    }
}
