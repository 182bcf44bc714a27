import MartinetModelFormats

/// What `martinet inspect` prints, as JSON or as text.
struct InspectReport: Encodable {
    struct TypeRow: Encodable {
        var type: String
        var tensors: Int
        var elements: Int
        var bytes: Int
    }
    struct TensorRow: Encodable {
        var name: String
        var type: String
        var shape: [Int]
        var bytes: Int
    }
    struct Memory: Encodable {
        var context: Int
        var concurrency: Int
        var weights: Int
        var keyValueBytesPerToken: Int
        var keyValueCache: Int
        var scratch: Int
        var total: Int
    }
    struct Pair: Encodable {
        var key: String
        var value: String
    }

    var path: String
    var format: String
    var name: String?
    var architecture: String?
    var parameters: Int
    var layers: Int?
    var hiddenSize: Int?
    var intermediateSize: Int?
    var heads: Int?
    var keyValueHeads: Int?
    var headSize: Int?
    var contextLength: Int?
    var vocabularySize: Int?
    var types: [TypeRow]
    var memory: Memory?
    var metadata: [Pair]
    var tensors: [TensorRow]?

    init(path: String, model: ModelFile, facts: ModelFacts, context: Int, concurrency: Int, listsTensors: Bool) {
        self.path = path
        switch model {
        case .gguf(let file):
            format = "GGUF version \(file.version)" + (file.files.count > 1 ? ", \(file.files.count) parts" : "")
            metadata = file.keys.compactMap { key in
                file.metadata[key].map { Pair(key: Self.clean(key), value: Self.text($0)) }
            }
        case .directory(let directory):
            format = "Hugging Face directory, \(directory.shards.count) safetensors"
            metadata = (directory.config.object ?? [:]).sorted { $0.key < $1.key }.map {
                Pair(key: Self.clean($0.key), value: Self.text($0.value))
            }
        }
        name = facts.name.map(Self.clean)
        architecture = facts.architecture.map(Self.clean)
        parameters = facts.parameters
        layers = facts.layers
        hiddenSize = facts.hiddenSize
        intermediateSize = facts.intermediateSize
        heads = facts.heads
        keyValueHeads = facts.keyValueHeads
        headSize = facts.headSize?.key
        contextLength = facts.contextLength
        vocabularySize = facts.vocabularySize
        types = facts.types.map {
            TypeRow(type: Self.clean($0.type), tensors: $0.tensors, elements: $0.elements, bytes: $0.bytes)
        }
        memory = facts.servingMemory(context: context, concurrency: concurrency).map {
            Memory(
                context: context, concurrency: concurrency, weights: $0.weights,
                keyValueBytesPerToken: $0.keyValueBytesPerToken, keyValueCache: $0.keyValueCache, scratch: $0.scratch,
                total: $0.total)
        }
        if listsTensors {
            tensors = facts.tensors.map {
                TensorRow(name: Self.clean($0.name), type: Self.clean($0.type), shape: $0.shape, bytes: $0.bytes)
            }
        }
    }

    /// The report for people.
    var text: String {
        func line(_ label: String, _ value: (some CustomStringConvertible)?) -> [String] {
            value.map { [ByteText.padded(label, 18) + $0.description] } ?? []
        }
        var lines =
            line("Model", name) + line("File", path) + line("Format", format) + line("Architecture", architecture)
        lines += line("Parameters", "\(parameters) (\(Self.short(parameters)))")
        lines += line("Layers", layers) + line("Hidden size", hiddenSize) + line("Feed forward", intermediateSize)
        lines += line("Heads", heads) + line("Key/value heads", keyValueHeads) + line("Head size", headSize)
        lines += line("Context", contextLength) + line("Vocabulary", vocabularySize)
        if !types.isEmpty {
            let rows = types.map { [$0.type, "\($0.tensors)", Self.short($0.elements), ByteText.size($0.bytes)] }
            lines += ["", ByteText.table([["TYPE", "TENSORS", "ELEMENTS", "SIZE"]] + rows)]
        }
        if let memory {
            lines += [
                "", "Memory to serve \(memory.concurrency) sequences of \(memory.context) tokens:",
                "  weights       \(ByteText.size(memory.weights))",
                "  KV cache      \(ByteText.size(memory.keyValueCache)) (\(memory.keyValueBytesPerToken) bytes a token, f16)",
                "  scratch       \(ByteText.size(memory.scratch)) (estimate)",
                "  total         \(ByteText.size(memory.total))",
            ]
        }
        lines += ["", ByteText.table([["METADATA", ""]] + metadata.map { [$0.key, $0.value] })]
        if let tensors {
            let rows = tensors.map {
                [$0.name, $0.type, $0.shape.map { "\($0)" }.joined(separator: "×"), ByteText.size($0.bytes)]
            }
            lines += ["", ByteText.table([["TENSOR", "TYPE", "SHAPE", "SIZE"]] + rows)]
        }
        return lines.joined(separator: "\n")
    }

    /// `134.5 M`.
    private static func short(_ count: Int) -> String {
        count >= 1_000_000_000
            ? "\((Double(count) / 1e8).rounded() / 10) B"
            : count >= 1_000_000 ? "\((Double(count) / 1e5).rounded() / 10) M" : "\(count)"
    }

    /// Text from a file, safe for a terminal: control characters escaped, long text cut.
    private static func clean(_ text: String) -> String { String(text.quotedForMessage.dropFirst().dropLast()) }

    private static func text(_ value: GGUFValue) -> String {
        switch value {
        case .string(let text): clean(text)
        case .bool(let value): "\(value)"
        case .float32(let value): "\(value)"
        case .array(let array): "[\(array.count) × \(array.elementType)]"
        default: value.int.map { "\($0)" } ?? value.double.map { "\($0)" } ?? ""
        }
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .string(let text): clean(text)
        case .array(let elements):
            elements.count <= 4
                ? "[" + elements.map(text).joined(separator: ", ") + "]" : "[\(elements.count) elements]"
        case .object(let members): "{\(members.count) members}"
        }
    }
}
