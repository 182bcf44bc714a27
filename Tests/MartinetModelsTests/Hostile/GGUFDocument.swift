import Foundation
import MartinetTestKit

/// A GGUF file taken apart, to be changed and put together again; it only reads files that are good.
struct GGUFDocument {
    struct Value {
        var key: String
        var type: UInt32
        var payload: [UInt8]
    }
    struct Tensor {
        var name: String
        /// Innermost first, as in the file.
        var dimensions: [UInt64]
        var type: UInt32
        var offset: UInt64
    }
    var values: [Value] = []
    var tensors: [Tensor] = []
    var data: [UInt8] = []

    init(tiny name: String) throws {
        var reader = Reader(bytes: try Array(Data(contentsOf: URL(filePath: TestModels.tiny(name)))), offset: 8)
        let tensorCount = reader.integer(UInt64.self)
        for _ in 0..<reader.integer(UInt64.self) {
            let key = reader.string()
            let type = reader.integer(UInt32.self)
            let start = reader.offset
            reader.skip(type)
            values.append(Value(key: key, type: type, payload: Array(reader.bytes[start..<reader.offset])))
        }
        for _ in 0..<tensorCount {
            let name = reader.string()
            let rank = reader.integer(UInt32.self)
            let dimensions = (0..<rank).map { _ in reader.integer(UInt64.self) }
            tensors.append(
                Tensor(
                    name: name, dimensions: dimensions, type: reader.integer(UInt32.self),
                    offset: reader.integer(UInt64.self)))
        }
        data = Array(reader.bytes[((reader.offset + 31) / 32 * 32)...])
    }

    private struct Reader {
        var bytes: [UInt8]
        var offset: Int

        mutating func integer<Value: FixedWidthInteger>(_: Value.Type) -> Value {
            defer { offset += MemoryLayout<Value>.size }
            return Value(
                littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Value.self) })
        }

        mutating func string() -> String {
            let count = Int(integer(UInt64.self))
            defer { offset += count }
            return String(decoding: bytes[offset..<offset + count], as: UTF8.self)
        }

        mutating func skip(_ type: UInt32) {
            switch type {
            case 8: _ = string()
            case 9:
                let element = integer(UInt32.self)
                for _ in 0..<integer(UInt64.self) { skip(element) }
            default: offset += [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][Int(type)]
            }
        }
    }

    /// A value's type and bytes.
    enum Content: Sendable {
        case uint32(UInt32)
        case int32(Int32)
        case uint64(UInt64)
        case float32(Float)
        case bool(UInt8)
        case string(String)
        case int32s([Int32])
        case strings([String])

        var encoded: (type: UInt32, payload: [UInt8]) {
            switch self {
            case .uint32(let value): (4, little(value))
            case .int32(let value): (5, little(value))
            case .uint64(let value): (10, little(value))
            case .float32(let value): (6, little(value.bitPattern))
            case .bool(let value): (7, [value])
            case .string(let value): (8, text(value))
            case .int32s(let values): (9, little(UInt32(5)) + little(UInt64(values.count)) + values.flatMap(little))
            case .strings(let values): (9, little(UInt32(8)) + little(UInt64(values.count)) + values.flatMap(text))
            }
        }
    }

    /// Sets a value, or removes it.
    mutating func set(_ key: String, _ content: Content?) {
        values.removeAll { $0.key == key }
        guard let (type, payload) = content?.encoded else { return }
        values.append(Value(key: key, type: type, payload: payload))
    }

    /// Everything before the tensor data and its padding.
    var header: [UInt8] {
        var result = Array("GGUF".utf8) + little(UInt32(3))
        result += little(UInt64(tensors.count)) + little(UInt64(values.count))
        for value in values { result += text(value.key) + little(value.type) + value.payload }
        for tensor in tensors {
            result += text(tensor.name) + little(UInt32(tensor.dimensions.count)) + tensor.dimensions.flatMap(little)
            result += little(tensor.type) + little(tensor.offset)
        }
        return result
    }

    var bytes: [UInt8] { Self.file(header: header, data: data) }

    /// A file of a header and tensor data, with the padding between.
    static func file(header: [UInt8], data: [UInt8]) -> [UInt8] {
        header + [UInt8](repeating: 0, count: (32 - header.count % 32) % 32) + data
    }
}

private func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
}

private func text(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count)) + Array(text.utf8) }
