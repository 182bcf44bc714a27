import MartinetModelFormats

/// Writes GGUF files byte by byte, wrong ones too.
struct GGUFWriter {
    struct Tensor {
        var name: String
        var dimensions: [UInt64]
        var type: UInt32
        var offset: UInt64
    }
    var magic = "GGUF"
    var version: UInt32 = 3
    var tensorCount: UInt64?
    var keyCount: UInt64?
    var values: [(key: [UInt8], type: UInt32, payload: [UInt8])] = []
    var tensors: [Tensor] = []
    var alignment = 32
    var data: [UInt8] = []

    static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }

    static func string(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count)) + Array(text.utf8) }

    static func array(_ type: UInt32, _ count: UInt64, _ payload: [UInt8]) -> [UInt8] {
        little(type) + little(count) + payload
    }

    mutating func add(_ key: String, _ type: GGUFValueType, _ payload: [UInt8]) {
        values.append((Array(key.utf8), type.rawValue, payload))
    }

    var bytes: [UInt8] {
        var result = Array(magic.utf8) + Self.little(version)
        result += Self.little(tensorCount ?? UInt64(tensors.count)) + Self.little(keyCount ?? UInt64(values.count))
        for (key, type, payload) in values {
            result += Self.little(UInt64(key.count)) + key + Self.little(type) + payload
        }
        for tensor in tensors {
            result += Self.string(tensor.name) + Self.little(UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { result += Self.little(dimension) }
            result += Self.little(tensor.type) + Self.little(tensor.offset)
        }
        if !tensors.isEmpty {
            result += [UInt8](repeating: 0, count: (alignment - result.count % alignment) % alignment)
        }
        return result + data
    }

    /// A good file with every kind of value, and three tensors.
    static var sample: GGUFWriter {
        var writer = GGUFWriter()
        writer.add("general.architecture", .string, string("llama"))
        writer.add("a.u8", .uint8, [200])
        writer.add("a.i8", .int8, [0xFF])
        writer.add("a.u16", .uint16, little(UInt16(40_000)))
        writer.add("a.i16", .int16, little(Int16(-2)))
        writer.add("a.u32", .uint32, little(UInt32(4_000_000_000)))
        writer.add("a.i32", .int32, little(Int32(-3)))
        writer.add("a.u64", .uint64, little(UInt64.max))
        writer.add("a.i64", .int64, little(Int64.min))
        writer.add("a.f32", .float32, little(Float(1.5).bitPattern))
        writer.add("a.f64", .float64, little(Double(2.5).bitPattern))
        writer.add("a.bool", .bool, [1])
        writer.add("a.strings", .array, array(8, 3, string("a") + string("") + string("naïve")))
        writer.add("a.floats", .array, array(6, 2, little(Float(0.25).bitPattern) + little(Float(-8).bitPattern)))
        writer.add("a.ints", .array, array(5, 3, little(Int32(1)) + little(Int32(-2)) + little(Int32(3))))
        writer.add("a.bools", .array, array(7, 2, [0, 1]))
        writer.add(
            "a.nested", .array, array(9, 2, array(0, 2, [1, 2]) + array(8, 1, string("x"))))
        writer.tensors = [
            Tensor(name: "plain", dimensions: [4, 3], type: 0, offset: 0),
            Tensor(name: "quantised", dimensions: [32, 2], type: 2, offset: 64),
            Tensor(name: "half", dimensions: [2, 1, 2, 2], type: 1, offset: 128),
        ]
        writer.data = (0..<144).map { UInt8($0) }
        return writer
    }
}
