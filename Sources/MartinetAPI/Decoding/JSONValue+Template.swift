internal import MartinetJSON
internal import MartinetTemplates

extension JSONValue {
    /// The same value as chat templates see it.
    var templateValue: TemplateValue {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .array(let values): .array(values.map(\.templateValue))
        case .object(let members): .object(members.map { (key: $0.key, value: $0.value.templateValue) })
        }
    }

    /// What chat templates see, as JSON.
    init(_ value: TemplateValue) {
        self =
            switch value {
            case .null: .null
            case .bool(let value): .bool(value)
            case .integer(let value): .integer(value)
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let values): .array(values.map { JSONValue($0) })
            case .object(let members): .object(members.map { (key: $0.key, value: JSONValue($0.value)) })
            }
    }

    /// The value's text.
    var text: String {
        var writer = JSONWriter()
        writer.value(self)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
