import MartinetModelFormats
public import MartinetTemplates
public import MartinetTensors
public import MartinetTokenizers

/// A model that has been opened: its weights mapped, its tokenizer and chat template read. Runners are made of it.
///
/// ```swift
/// let model = try LoadedModel.load(path: "SmolLM2-135M-Instruct.Q4_1.gguf")
/// let runner = try model.makeRunner(limits: limits, options: RunnerOptions())
/// ```
public struct LoadedModel: Sendable {
    /// The GGUF file or the directory.
    public let path: String
    /// The shape.
    public let configuration: ModelConfiguration
    /// Tokenizer, chat template and what else needs no weights.
    public let text: TextModel
    /// Sizes, for people.
    public let facts: ModelFacts
    private let network: ModelNetwork

    /// Opens a GGUF file or a Hugging Face directory. Weights are mapped, not read.
    ///
    /// - Parameters:
    ///   - path: the file or directory.
    ///   - name: the name to serve it under; `nil` takes it from the path.
    /// - Throws: ``ModelFileError``, ``ModelError`` or the tokenizer's error: each names the file and what is wrong in it.
    public static func load(path: String, name: String? = nil) throws -> LoadedModel {
        try LoadedModel(ModelFile.open(path: path), path: path, name: name)
    }

    private init(_ file: ModelFile, path: String, name: String?) throws {
        self.path = path
        let network = try ModelNetwork(file)
        self.network = network
        configuration = network.configuration
        text = try TextModel(file, name: name ?? Self.name(ofPath: path))
        facts = ModelFacts(
            fileSize: TokenizerLoading.fileSize(of: file), parameterCount: network.weights.parameterCount,
            weightBytes: network.weights.byteCount, quantization: network.weights.dominantType)
    }

    /// The name that it is served under: the one given, else the file's own without its extension.
    public var name: String { text.name }
    /// Text to tokens and back.
    public var tokenizer: any Tokenizer { text.tokenizer }
    /// The chat template as the model carries it.
    public var chatTemplateSource: String? { text.chatTemplateSource }
    /// The chat template, where the model has one that can be read.
    public var chatTemplate: ChatTemplate? { text.chatTemplate }
    /// Why the chat template cannot be read, where that is so; everything but chat works.
    public var chatTemplateError: String? { text.chatTemplateError }
    /// What the model's authors recommend for sampling.
    public var generationDefaults: GenerationDefaults { text.generationDefaults }
    /// Tokens that end a generation: the tokenizer's and those of the generation config.
    public var endTokens: Set<Int32> { text.endTokens }

    /// Makes a runner: reserves the KV pool and scratch memory and starts compute threads.
    ///
    /// - Throws: ``ModelError`` `invalid_setting` where limits or options are not possible on this machine.
    public func makeRunner(limits: RunnerLimits, options: RunnerOptions = RunnerOptions()) throws(ModelError)
        -> any ModelRunner
    {
        try network.makeRunner(limits: limits, options: options)
    }

    /// Bytes that one token takes in the KV cache, over all layers.
    public func keyValueBytesPerToken(_ type: KeyValueType) -> Int {
        // The configuration was bounded when it was read, so this cannot overflow.
        (try? configuration.keyValueBytesPerToken(type)) ?? .max
    }

    /// What a runner would take, without making it.
    ///
    /// - Throws: ``ModelError`` `invalid_setting` where the limits make no sense.
    public func planMemory(limits: RunnerLimits, options: RunnerOptions = RunnerOptions()) throws(ModelError)
        -> RunnerMemory
    {
        try network.planMemory(limits: limits, options: options)
    }

    static func name(ofPath path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        return last.hasSuffix(".gguf") ? String(last.dropLast(5)) : last
    }
}

/// Sizes of a model, for people.
public struct ModelFacts: Sendable, Hashable {
    /// Bytes of the files that hold the weights.
    public let fileSize: Int
    /// Elements in all weights.
    public let parameterCount: Int
    /// Bytes of all weights.
    public let weightBytes: Int
    /// The element type of most weights.
    public let quantization: ElementType
}
