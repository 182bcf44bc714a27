import FoundationEssentials
import MartinetModelFormats
import MartinetTokenizers

/// Makes a model's tokenizer from what its files say.
enum TokenizerLoading {
    /// The tokenizer of a GGUF file's metadata or of a directory's `tokenizer.json`.
    ///
    /// - Throws: ``ModelError`` that names the file and the offence.
    static func tokenizer(of file: ModelFile) throws -> any Tokenizer {
        switch file {
        case .gguf(let gguf):
            try named(gguf.path) { () throws(TokenizerError) in try definition(gguf).makeTokenizer() }
        case .directory(let directory):
            try tokenizer(of: directory)
        }
    }

    private static func tokenizer(of directory: HuggingFaceDirectory) throws -> any Tokenizer {
        let definition = try definition(of: directory)
        return try named(directory.path + "/tokenizer.json") { () throws(TokenizerError) in
            try definition.makeTokenizer()
        }
    }

    /// What a directory's `tokenizer.json` and `tokenizer_config.json` say.
    ///
    /// - Throws: ``ModelError`` that names the file and the offence.
    static func definition(of directory: HuggingFaceDirectory) throws -> TokenizerDefinition {
        guard let json = try directory.tokenizerJSON() else {
            throw ModelError(
                .invalidModel,
                "\(directory.path) has no tokenizer.json; save the model's tokenizer with transformers to get one")
        }
        let config = try directory.contents(of: "tokenizer_config.json")
        return try named(directory.path + "/tokenizer.json") { () throws(TokenizerError) in
            try TokenizerDefinition(tokenizerJSON: json, tokenizerConfigJSON: config)
        }
    }

    private static func definition(_ file: GGUFFile) throws(TokenizerError) -> TokenizerDefinition {
        func value(_ key: String) -> GGUFValue? { file.metadata["tokenizer.ggml.\(key)"] }
        guard let model = value("model")?.string, let tokens = value("tokens")?.strings, !tokens.isEmpty else {
            throw TokenizerError(
                .invalidDefinition, "has no tokenizer (tokenizer.ggml.model and tokenizer.ggml.tokens)")
        }
        return try TokenizerDefinition(
            ggufModel: model, pre: value("pre")?.string, tokens: tokens, tokenTypes: value("token_type")?.ints ?? [],
            scores: value("scores")?.floats ?? [], merges: value("merges")?.strings ?? [],
            bosToken: value("bos_token_id")?.int,
            endTokens: ["eos_token_id", "eot_token_id", "eom_token_id"].compactMap { value($0)?.int },
            unknownToken: value("unknown_token_id")?.int, addsBos: value("add_bos_token")?.bool,
            addsSpacePrefix: value("add_space_prefix")?.bool)
    }

    private static func named<Value>(
        _ file: String, _ make: () throws(TokenizerError) -> Value
    ) throws(ModelError) -> Value {
        do {
            return try make()
        } catch {
            throw ModelError(.invalidModel, "\(file): \(error.message)")
        }
    }

    /// Bytes of the files that hold the weights.
    static func fileSize(of file: ModelFile) -> Int {
        switch file {
        case .gguf(let gguf): gguf.files.reduce(0) { $0 + $1.count }
        case .directory(let directory):
            directory.shards.reduce(0) { total, shard in
                let attributes = try? FileManager.default.attributesOfItem(atPath: shard.path)
                return total + (attributes?[.size] as? Int ?? 0)
            }
        }
    }
}
