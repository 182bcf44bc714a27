import MartinetModelFormats
import MartinetTensors

/// The metadata and tensors of a model as a GGUF file names and orders them, in the types that it has.
struct QuantizationSource {
    /// A tensor to write.
    struct Tensor {
        var name: String
        var view: TensorView
        /// The order of its rows, where the file has another.
        var order: HeadOrder?
    }

    /// All keys but `general.file_type` and `general.quantization_version`.
    var metadata: [(key: String, value: GGUFEncodedValue)]
    var tensors: [Tensor]

    /// Reads an open model.
    ///
    /// - Throws: ``ModelError`` or ``ModelFileError`` that names what cannot be written.
    init(_ file: ModelFile) throws {
        switch file {
        case .gguf(let gguf):
            self.init(gguf)
            guard !tensors.isEmpty else {
                throw ModelError(.invalidModel, "\(gguf.path) has no tensors; it is a vocabulary alone")
            }
        case .directory(let directory):
            try self.init(directory)
        }
    }

    private init(_ file: GGUFFile) {
        // How the file was split, aligned and quantised does not hold for the new one.
        let dropped = ["general.alignment", "general.file_type", "general.quantization_version"]
        metadata = file.keys.compactMap { key in
            guard !dropped.contains(key), !key.hasPrefix("split."), !key.hasPrefix("quantize.") else { return nil }
            return file.metadata[key].map { (key, GGUFEncodedValue($0)) }
        }
        tensors = file.tensors.map { Tensor(name: $0.name, view: $0.view) }
    }

    private init(_ directory: HuggingFaceDirectory) throws {
        // Reading it as a model checks that all tensors are there and fit the configuration.
        let network = try ModelNetwork(.directory(directory))
        let configuration = network.configuration
        let architecture = try Architecture.named(configuration.architecture)
        let order = HeadOrder(headSize: configuration.headSize, rotarySize: configuration.rope.rotarySize)
        tensors = []
        for specification in architecture.style(configuration).weights(of: configuration) {
            guard let view = network.weights.tensors[specification.name] else { continue }
            var tensor = Tensor(name: specification.name, view: view)
            let part = specification.name.split(separator: ".").dropFirst(2).first
            if architecture.interleavedInGGUF, part == "attn_q" || part == "attn_k" {
                if view.rows > 1 { tensor.order = order } else { tensor.view = try view.reordered(order) }
            }
            tensors.append(tensor)
        }
        if let divisors = try configuration.rope.divisors(for: architecture, file: directory.path) {
            tensors.append(Tensor(name: "rope_freqs.weight", view: divisors))
        }
        metadata = try GGUFMetadata.entries(of: directory, configuration, architecture)
    }
}

/// The order of query and key rows in GGUF files of architectures that rotate neighbours: row 2i of a head is row i of
/// the Hugging Face file, row 2i + 1 is row i plus half of those that rotate.
struct HeadOrder {
    var headSize: Int
    var rotarySize: Int

    /// The row of the Hugging Face file that a row of the GGUF file is.
    func source(of row: Int) -> Int {
        let within = row % headSize
        guard within < rotarySize else { return row }
        return row - within + within / 2 + within % 2 * (rotarySize / 2)
    }
}

extension TensorView {
    /// A vector in another order, in memory of its own.
    fileprivate func reordered(_ order: HeadOrder) throws(ModelError) -> TensorView {
        let plain = try adding(0)
        return try Self.vector(columns) { index in
            plain.bytes.load(fromByteOffset: 4 * order.source(of: index), as: Float.self)
        }
    }

    /// A vector in memory of its own.
    fileprivate static func vector(_ count: Int, _ element: (Int) -> Float) throws(ModelError) -> TensorView {
        let buffer = try AlignedBuffer<Float>.reserve(count)
        for index in 0..<count { buffer.pointer[index] = element(index) }
        guard
            let view = TensorView(
                type: .float32, shape: [count], bytes: UnsafeRawPointer(buffer.pointer), owner: buffer)
        else { throw ModelError(.invalidModel, "a vector of \(count) elements cannot be held") }
        return view
    }
}

extension RopeConfiguration {
    /// What frequencies are divided by, as GGUF files of llama store Llama 3.1's scaling; `nil` for other scalings.
    fileprivate func divisors(for architecture: Architecture, file: String) throws(ModelError) -> TensorView? {
        guard case .llama3 = scaling else { return nil }
        guard architecture.interleavedInGGUF else {
            throw ModelError(
                .unsupportedArchitecture,
                "\(file): a GGUF file of \(architecture.name) cannot hold the rope scaling \"llama3\"")
        }
        var plain = self
        plain.scaling = .none
        let (scaled, base) = (RotaryFrequencies(self).values, RotaryFrequencies(plain).values)
        return try TensorView.vector(base.count) { Float(base[$0] / scaled[$0]) }
    }
}
