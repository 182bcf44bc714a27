import Foundation
import MartinetTokenizers

/// Reads the tokenizer's metadata of a GGUF file: just enough for these tests, independent of MartinetModelFormats.
struct GGUFVocabulary {
    enum Value {
        case integer(Int)
        case float(Float)
        case bool(Bool)
        case string(String)
        case integers([Int])
        case floats([Float])
        case strings([String])
    }

    private(set) var values: [String: Value] = [:]
    private let data: Data
    private var offset = 8

    init(_ url: URL) throws {
        data = try Data(contentsOf: url, options: .alwaysMapped)
        _ = read(UInt64.self)
        let count = Int(read(UInt64.self))
        for _ in 0..<count {
            let key = string()
            let value = self.value(type: read(UInt32.self))
            if key.hasPrefix("tokenizer.ggml.") { values[String(key.dropFirst(15))] = value }
        }
    }

    private mutating func read<T: BitwiseCopyable>(_: T.Type) -> T {
        defer { offset += MemoryLayout<T>.size }
        return data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }

    private mutating func string() -> String {
        let count = Int(read(UInt64.self))
        defer { offset += count }
        return data.withUnsafeBytes { String(decoding: $0[offset..<offset + count], as: UTF8.self) }
    }

    private mutating func value(type: UInt32) -> Value {
        switch type {
        case 0: .integer(Int(read(UInt8.self)))
        case 1: .integer(Int(read(Int8.self)))
        case 2: .integer(Int(read(UInt16.self)))
        case 3: .integer(Int(read(Int16.self)))
        case 4: .integer(Int(read(UInt32.self)))
        case 5: .integer(Int(read(Int32.self)))
        case 6: .float(read(Float.self))
        case 7: .bool(read(UInt8.self) != 0)
        case 8: .string(string())
        case 10, 11: .integer(Int(read(Int64.self)))
        case 12: .float(Float(read(Double.self)))
        default: array()
        }
    }

    private mutating func array() -> Value {
        let type = read(UInt32.self)
        let count = Int(read(UInt64.self))
        switch type {
        case 8: return .strings((0..<count).map { _ in string() })
        case 6: return .floats((0..<count).map { _ in read(Float.self) })
        default:
            return .integers(
                (0..<count).map { _ in
                    if case .integer(let value) = value(type: type) { value } else { 0 }
                })
        }
    }

    private func integer(_ key: String) -> Int? { if case .integer(let value)? = values[key] { value } else { nil } }
    private func bool(_ key: String) -> Bool? { if case .bool(let value)? = values[key] { value } else { nil } }
    private func string(_ key: String) -> String? { if case .string(let value)? = values[key] { value } else { nil } }
    private func strings(_ key: String) -> [String] { if case .strings(let value)? = values[key] { value } else { [] } }

    func definition() throws -> TokenizerDefinition {
        var scores: [Float] = []
        var types: [Int] = []
        if case .floats(let value)? = values["scores"] { scores = value }
        if case .integers(let value)? = values["token_type"] { types = value }
        return try TokenizerDefinition(
            ggufModel: string("model") ?? "", pre: string("pre"), tokens: strings("tokens"), tokenTypes: types,
            scores: scores, merges: strings("merges"), bosToken: integer("bos_token_id"),
            endTokens: [integer("eos_token_id"), integer("eot_token_id")].compactMap { $0 },
            unknownToken: integer("unknown_token_id"), addsBos: bool("add_bos_token"),
            addsSpacePrefix: bool("add_space_prefix"))
    }
}
