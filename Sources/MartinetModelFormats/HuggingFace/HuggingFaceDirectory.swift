import FoundationEssentials
public import MartinetTensors

/// A model as the Hugging Face hub keeps it: a folder with `config.json` and safetensors, whole or in shards.
///
/// Weights are mapped; the small JSON files are read at once. Symbolic links are followed, as the hub's own cache
/// consists of them, but no file in the folder can name one outside it.
public final class HuggingFaceDirectory: Sendable {
    /// The folder.
    public let path: String
    /// `config.json`.
    public let config: JSONValue
    /// `generation_config.json`, where there is one.
    public let generationConfig: JSONValue?
    /// `tokenizer_config.json`, where there is one.
    public let tokenizerConfig: JSONValue?
    /// `special_tokens_map.json`, where there is one.
    public let specialTokensMap: JSONValue?
    /// The chat templates by name; `default` is the usual one.
    public let chatTemplates: [String: String]
    /// The weights, in F32, F16 and BF16. ``tensor(_:)`` says why one of another type is not here.
    public let tensors: [String: TensorView]
    /// The safetensors files, in the order of their names.
    public let shards: [SafetensorsFile]
    private let shardOfTensor: [String: Int]

    /// Opens a folder.
    ///
    /// - Throws: ``ModelFileError`` naming the file, what is wrong in it, and where.
    public init(path: String) throws(ModelFileError) {
        self.path = path
        guard let config = try Self.json("config.json", in: path) else {
            throw ModelFileError(.notAModel, file: path, "has no config.json, so it is not a Hugging Face model")
        }
        guard config.object != nil else {
            throw ModelFileError(.invalid, file: path + "/config.json", "is not a JSON object")
        }
        self.config = config
        generationConfig = try Self.json("generation_config.json", in: path)
        let tokenizerConfig = try Self.json("tokenizer_config.json", in: path)
        self.tokenizerConfig = tokenizerConfig
        specialTokensMap = try Self.json("special_tokens_map.json", in: path)
        chatTemplates = try Self.chatTemplates(in: path, tokenizerConfig: tokenizerConfig)

        let (shards, shardOfTensor) = try SafetensorsShards.open(in: path)
        var tensors: [String: TensorView] = [:]
        for (name, shard) in shardOfTensor {
            do {
                tensors[name] = try shards[shard].tensor(name)
            } catch {
                // Refused when it is asked for: models carry buffers of other types that no one needs.
                guard error.code == .unsupported else { throw error }
            }
        }
        self.tensors = tensors
        self.shards = shards
        self.shardOfTensor = shardOfTensor
    }

    /// The tensor of that name, or `nil` where there is none.
    ///
    /// - Throws: ``ModelFileError`` where there is one that cannot be used, and why.
    public func tensor(_ name: String) throws(ModelFileError) -> TensorView? {
        guard let shard = shardOfTensor[name] else { return nil }
        return try shards[shard].tensor(name)
    }

    /// The usual chat template, where the model has one.
    public var chatTemplate: String? { chatTemplates["default"] }

    /// The bytes of `tokenizer.json`, or `nil` where there is none.
    public func tokenizerJSON() throws(ModelFileError) -> [UInt8]? {
        try contents(of: "tokenizer.json")
    }

    /// The bytes of a file in the folder, or `nil` where there is none.
    ///
    /// - Parameter name: a plain file name, without slashes.
    public func contents(of name: String) throws(ModelFileError) -> [UInt8]? {
        guard Self.isPlainName(name) else {
            throw ModelFileError(
                .invalid, file: path, "\(name.quotedForMessage) is not the name of a file in the folder")
        }
        return try Self.read(name, in: path).map { [UInt8]($0.bytes) }
    }

    /// Whether a name stays inside its folder: no slash, not `.` or `..`, no zero byte.
    static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
    }

    /// The largest file that is read whole; the largest `tokenizer.json` in use has some 40 MB.
    static let maxFileSize = 512 << 20

    static func read(_ name: String, in path: String) throws(ModelFileError) -> MappedFile? {
        let full = path + "/" + name
        guard FileManager.default.fileExists(atPath: full) else { return nil }
        let file = try MappedFile(path: full)
        guard file.count <= maxFileSize else {
            throw ModelFileError(.invalid, file: full, "has \(file.count) bytes; at most \(maxFileSize) are read")
        }
        return file
    }

    static func json(_ name: String, in path: String) throws(ModelFileError) -> JSONValue? {
        guard let file = try read(name, in: path) else { return nil }
        do {
            return try JSONValue(parsing: file.bytes)
        } catch {
            throw ModelFileError(.invalid, file: file.path, "is not valid JSON: \(error)")
        }
    }

    private static func chatTemplates(
        in path: String, tokenizerConfig: JSONValue?
    ) throws(ModelFileError) -> [String: String] {
        var templates: [String: String] = [:]
        if let template = tokenizerConfig?["chat_template"] {
            if let text = template.string {
                templates["default"] = text
            } else {
                for named in template.array ?? [] {
                    if let name = named["name"]?.string, let text = named["template"]?.string { templates[name] = text }
                }
            }
        }
        if let text = try json("chat_template.json", in: path)?["chat_template"]?.string { templates["default"] = text }
        // The newest convention, and what transformers reads first.
        if let file = try read("chat_template.jinja", in: path) {
            templates["default"] = String(decoding: file.bytes, as: UTF8.self)
        }
        return templates
    }
}
