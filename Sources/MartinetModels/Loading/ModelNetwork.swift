package import MartinetModelFormats
import MartinetTensors

/// A model's shape and weights, without its text side: what runners are made of.
package struct ModelNetwork: Sendable {
    /// The shape.
    package let configuration: ModelConfiguration
    /// The tensors, mapped.
    package let weights: ModelWeights
    private let style: DecoderStyle

    /// Reads the shape and checks that every tensor is there.
    ///
    /// - Throws: ``ModelError``, or ``ModelFileError`` where a tensor cannot be used.
    package init(_ file: ModelFile) throws {
        switch file {
        case .gguf(let file):
            configuration = try ModelConfiguration(file)
            style = try Architecture.named(configuration.architecture).style(configuration)
            weights = try ModelWeights(style.weights(of: configuration), file: file.path) { file.tensor($0) }
        case .directory(let directory):
            configuration = try ModelConfiguration(directory)
            let architecture = try Architecture.named(configuration.architecture)
            style = architecture.style(configuration)
            let names = HuggingFaceNames(architecture.huggingFaceTensors)
            weights = try ModelWeights(
                style.weights(of: configuration), file: directory.path, spelling: names.spelling
            ) { name in
                let tensor = try directory.tensor(names.spelling(of: name))
                guard architecture.huggingFaceNormOffset != 0, name.hasSuffix("norm.weight") else { return tensor }
                return try tensor?.adding(architecture.huggingFaceNormOffset)
            }
        }
    }

    /// Makes a runner on the CPU.
    ///
    /// - Throws: ``ModelError`` `invalid_setting` where limits or options are not possible on this machine.
    package func makeRunner(limits: RunnerLimits, options: RunnerOptions) throws(ModelError) -> any ModelRunner {
        let matrices = weights.tensors.filter { name, tensor in
            tensor.shape.count > 1 && (name != "token_embd.weight" || configuration.tiedEmbeddings)
        }
        let backend = try CPUBackend(
            configuration: configuration, ropes: ropes, matrices: Array(matrices.values), limits: limits,
            options: options)
        let decoder = try Decoder(
            configuration: configuration, style: style, weights: weights.tensors, limits: limits, backend: backend)
        // Reading a tensor brings pages of the one before back, so they are all given up once more.
        for tensor in weights.tensors.values { tensor.releasePages() }
        return decoder
    }

    /// What a runner would take, without making it.
    ///
    /// - Throws: ``ModelError`` `invalid_setting` where the limits make no sense.
    package func planMemory(limits: RunnerLimits, options: RunnerOptions) throws(ModelError) -> RunnerMemory {
        try limits.validate()
        let pool = try configuration.keyValueBytes(options.storedKeyValueType, limits: limits)
        let heads = configuration.headCount * configuration.headSize
        let keys = configuration.keyValueHeadCount * configuration.headSize
        // As Decoder reserves them; the packed input is at most the widest one.
        let widest = max(configuration.intermediateSize, configuration.hiddenSize, heads)
        let floats =
            2 * configuration.hiddenSize + max(2 * heads + 2 * keys, 2 * configuration.intermediateSize) + widest
        let rows = configuration.hiddenSize + configuration.vocabularySize
        return RunnerMemory(
            weights: weights.byteCount, keyValueCache: pool,
            scratch: 4
                * (limits.maxBatchedTokens * (floats + ropes.count * configuration.headSize)
                    + limits.maxLogitRows * rows))
    }

    private var ropes: [RopeConfiguration] { [configuration.rope] + (configuration.windowedRope.map { [$0] } ?? []) }
}
