/// A metadata value as its bytes in a GGUF file, to be written.
public struct GGUFEncodedValue: Sendable {
    /// Its type.
    public let type: GGUFValueType
    let payload: [UInt8]

    private init(_ type: GGUFValueType, _ payload: [UInt8]) {
        self.type = type
        self.payload = payload
    }

    private init(_ elements: GGUFValueType, count: Int, _ payload: [UInt8]) {
        self.init(.array, Self.bytes(elements.rawValue) + Self.bytes(UInt64(count)) + payload)
    }

    /// A number of 32 bits, as counts and sizes are written.
    public static func uint32(_ value: UInt32) -> Self { Self(.uint32, bytes(value)) }
    /// A number in float32.
    public static func float32(_ value: Float) -> Self { Self(.float32, bytes(value.bitPattern)) }
    /// A truth value.
    public static func bool(_ value: Bool) -> Self { Self(.bool, [value ? 1 : 0]) }
    /// Text.
    public static func string(_ text: String) -> Self { Self(.string, bytes(of: text)) }
    /// An array of strings.
    public static func strings(_ texts: [String]) -> Self {
        var payload: [UInt8] = []
        for text in texts { payload += bytes(of: text) }
        return Self(.string, count: texts.count, payload)
    }
    /// An array of signed numbers of 32 bits.
    public static func int32s(_ values: [Int32]) -> Self { Self(.int32, count: values.count, values.flatMap(bytes)) }
    /// An array of numbers in float32.
    public static func float32s(_ values: [Float]) -> Self {
        Self(.float32, count: values.count, values.flatMap { bytes($0.bitPattern) })
    }
    /// An array of truth values.
    public static func bools(_ values: [Bool]) -> Self { Self(.bool, count: values.count, values.map { $0 ? 1 : 0 }) }

    /// A value that was read from a file; arrays are copied byte for byte.
    public init(_ value: GGUFValue) {
        switch value {
        case .uint8(let value): self.init(.uint8, Self.bytes(value))
        case .int8(let value): self.init(.int8, Self.bytes(value))
        case .uint16(let value): self.init(.uint16, Self.bytes(value))
        case .int16(let value): self.init(.int16, Self.bytes(value))
        case .uint32(let value): self.init(.uint32, Self.bytes(value))
        case .int32(let value): self.init(.int32, Self.bytes(value))
        case .uint64(let value): self.init(.uint64, Self.bytes(value))
        case .int64(let value): self.init(.int64, Self.bytes(value))
        case .float32(let value): self.init(.float32, Self.bytes(value.bitPattern))
        case .float64(let value): self.init(.float64, Self.bytes(value.bitPattern))
        case .bool(let value): self.init(.bool, [value ? 1 : 0])
        case .string(let text): self.init(.string, Self.bytes(of: text))
        case .array(let array): self.init(array.elementType, count: array.count, [UInt8](array.elementBytes))
        }
    }

    static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }

    static func bytes(of text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }
}
