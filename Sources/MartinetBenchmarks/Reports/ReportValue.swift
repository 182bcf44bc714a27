/// A value of a report, as JSON has them.
public indirect enum ReportValue: Encodable, Sendable, Hashable {
    /// A whole number.
    case int(Int)
    /// A number; one that is not finite becomes `null`.
    case double(Double)
    /// A text.
    case string(String)
    /// A truth value.
    case bool(Bool)
    /// Nothing.
    case null
    /// Values in a row.
    case array([ReportValue])
    /// Values by name.
    case object([String: ReportValue])

    /// Encodes the value as JSON has it.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .int(let value): try container.encode(value)
        case .double(let value) where value.isFinite: try container.encode(value)
        case .double, .null: try container.encodeNil()
        case .string(let value): try container.encode(value)
        case .bool(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let members): try container.encode(members)
        }
    }
}
