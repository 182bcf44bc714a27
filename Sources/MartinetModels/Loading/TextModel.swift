import MartinetModelFormats
public import MartinetTemplates
public import MartinetTokenizers

/// The side of a model that deals with text: tokenizer, chat template, what its authors recommend. It needs no weights,
/// so a frontend can have it whose workers compute elsewhere.
public struct TextModel: Sendable {
    /// The name that the model is served under.
    public let name: String
    /// Text to tokens and back.
    public let tokenizer: any Tokenizer
    /// The chat template as the model carries it.
    public let chatTemplateSource: String?
    /// The chat template, where the model has one that can be read.
    public let chatTemplate: ChatTemplate?
    /// Why the chat template cannot be read, where that is so; everything but chat works.
    public let chatTemplateError: String?
    /// What the model's authors recommend for sampling.
    public let generationDefaults: GenerationDefaults

    /// Reads the text side of a GGUF file or a Hugging Face directory. Weights are not looked at.
    ///
    /// - Parameters:
    ///   - path: the file or directory.
    ///   - name: the name to serve it under; `nil` takes it from the path.
    /// - Throws: ``ModelFileError`` or ``ModelError``: each names the file and what is wrong in it.
    public static func load(path: String, name: String? = nil) throws -> TextModel {
        try TextModel(ModelFile.open(path: path), name: name ?? LoadedModel.name(ofPath: path))
    }

    init(_ file: ModelFile, name: String) throws {
        self.name = name
        switch file {
        case .gguf(let gguf):
            chatTemplateSource = gguf.metadata["tokenizer.chat_template"]?.string
            generationDefaults = GenerationDefaults()
        case .directory(let directory):
            chatTemplateSource = directory.chatTemplate
            generationDefaults = GenerationDefaults(directory.generationConfig, modelConfig: directory.config)
        }
        tokenizer = try TokenizerLoading.tokenizer(of: file)
        var failure: String?
        if let source = chatTemplateSource {
            do {
                chatTemplate = try ChatTemplate(source)
            } catch {
                chatTemplate = nil
                failure = "\(error)"
            }
        } else {
            chatTemplate = nil
        }
        chatTemplateError = failure
        // Vocabulary and merges have been read from their pages.
        if case .gguf(let gguf) = file { gguf.releasePages() }
    }

    /// Tokens that end a generation: the tokenizer's and those of the generation config.
    public var endTokens: Set<Int32> { tokenizer.endTokens.union(generationDefaults.endTokens) }
}
