/// A metadata value of a GGUF file.
public enum GGUFValue: Sendable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case uint64(UInt64)
    case int64(Int64)
    case float32(Float)
    case float64(Double)
    case bool(Bool)
    case string(String)
    case array(GGUFArray)

    /// An integer of any width that fits `Int`, else `nil`.
    public var int: Int? {
        switch self {
        case .uint8(let value): Int(value)
        case .int8(let value): Int(value)
        case .uint16(let value): Int(value)
        case .int16(let value): Int(value)
        case .uint32(let value): Int(exactly: value)
        case .int32(let value): Int(value)
        case .uint64(let value): Int(exactly: value)
        case .int64(let value): Int(exactly: value)
        case .float32, .float64, .bool, .string, .array: nil
        }
    }

    /// A number of any type, else `nil`. It may be infinite or NaN: the file said so.
    public var double: Double? {
        switch self {
        case .float32(let value): Double(value)
        case .float64(let value): value
        case .uint64(let value): Double(value)
        default: int.map(Double.init)
        }
    }

    /// A string, else `nil`.
    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// A truth value, else `nil`.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// An array of any element type, else `nil`.
    public var array: GGUFArray? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The strings of an array of strings, else `nil`. Each call decodes them anew.
    public var strings: [String]? { array?.strings }
    /// The integers of an array of integers of any width that all fit `Int`, else `nil`.
    public var ints: [Int]? { array?.ints }
    /// The numbers of an array of floats (or of integers), else `nil`.
    public var floats: [Float]? { array?.floats }
    /// The truth values of an array of them, else `nil`.
    public var bools: [Bool]? { array?.bools }

    /// The type it has in the file.
    public var type: GGUFValueType {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .uint64: .uint64
        case .int64: .int64
        case .float32: .float32
        case .float64: .float64
        case .bool: .bool
        case .string: .string
        case .array: .array
        }
    }
}
