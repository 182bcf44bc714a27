public import MartinetTensors

/// A tensor that a GGUF file is going to hold.
public struct GGUFTensorDescription: Sendable, Hashable {
    /// Its name, 1 to 64 bytes.
    public let name: String
    /// How its elements are stored.
    public let type: ElementType
    /// Its dimensions, outermost first; one to four, none zero.
    public let shape: [Int]

    /// Describes a tensor.
    public init(name: String, type: ElementType, shape: [Int]) {
        self.name = name
        self.type = type
        self.shape = shape
    }

    /// Bytes of the tensor; `nil` where rows are not whole blocks, or the size overflows.
    public var byteCount: Int? {
        guard (1...4).contains(shape.count), shape.allSatisfy({ $0 > 0 }), let columns = shape.last else { return nil }
        return shape.dropLast().reduce(type.byteCount(elements: columns)) { size, dimension in
            size.flatMap {
                let (product, overflow) = $0.multipliedReportingOverflow(by: dimension)
                return overflow ? nil : product
            }
        }
    }
}

/// Writes a GGUF file of version 3: metadata and descriptions at once, then the tensors' bytes as they come.
///
/// The file appears under its name when ``finish()`` has put it on disk. A writer that goes before leaves nothing.
///
/// ```swift
/// let writer = try GGUFFileWriter(
///     path: "model.gguf", metadata: [("general.architecture", .string("llama"))],
///     tensors: [GGUFTensorDescription(name: "output_norm.weight", type: .float32, shape: [64])])
/// try writer.write(bytes)
/// try writer.finish()
/// ```
public final class GGUFFileWriter {
    private static let alignment = 32
    private let file: AtomicFile
    private let sizes: [Int]
    private var current = 0
    private var written = 0

    /// Writes what comes before the tensors.
    ///
    /// - Parameters:
    ///   - metadata: keys, each once, and their values, in the order of the file; without `general.alignment`.
    ///   - tensors: in the order in which their bytes will come.
    ///   - replaces: whether a file of the name may be there already.
    /// - Throws: ``ModelFileError``: `exists`, `unwritable`, or `invalid` for a tensor or key that a file cannot hold.
    public init(
        path: String, metadata: [(key: String, value: GGUFEncodedValue)], tensors: [GGUFTensorDescription],
        replaces: Bool = false
    ) throws(ModelFileError) {
        var header = Array("GGUF".utf8) + GGUFEncodedValue.bytes(UInt32(3))
        header += GGUFEncodedValue.bytes(UInt64(tensors.count)) + GGUFEncodedValue.bytes(UInt64(metadata.count))
        var names: Set<String> = []
        for (key, value) in metadata {
            guard (1...65_535).contains(key.utf8.count), key != "general.alignment", names.insert(key).inserted else {
                throw ModelFileError(.invalid, file: path, "cannot hold the metadata key \(key.quotedForMessage)")
            }
            header += GGUFEncodedValue.bytes(of: key) + GGUFEncodedValue.bytes(value.type.rawValue) + value.payload
        }
        names = []
        var (offset, sizes): (UInt64, [Int]) = (0, [])
        for tensor in tensors {
            guard (1...64).contains(tensor.name.utf8.count), names.insert(tensor.name).inserted else {
                throw ModelFileError(
                    .invalid, file: path,
                    "cannot hold the tensor \(tensor.name.quotedForMessage): a name is 1 to 64 bytes long and used once"
                )
            }
            guard let size = tensor.byteCount, size <= 1 << 56 else {
                throw ModelFileError(
                    .invalid, file: path,
                    "cannot hold the tensor \(tensor.name.quotedForMessage) of the shape \(tensor.shape) in "
                        + tensor.type.name)
            }
            header += GGUFEncodedValue.bytes(of: tensor.name) + GGUFEncodedValue.bytes(UInt32(tensor.shape.count))
            for dimension in tensor.shape.reversed() { header += GGUFEncodedValue.bytes(UInt64(dimension)) }
            header += GGUFEncodedValue.bytes(tensor.type.rawValue) + GGUFEncodedValue.bytes(offset)
            sizes.append(size)
            offset &+= UInt64(size + Self.padding(after: size))
        }
        self.sizes = sizes
        header += [UInt8](repeating: 0, count: Self.padding(after: header.count))
        file = try AtomicFile(path: path, replaces: replaces)
        try write(toFile: header)
    }

    /// Appends bytes of the next tensor: a whole one, or some of it.
    ///
    /// - Throws: ``ModelFileError`` where the system refuses, or `invalid` where they are more than the tensor has.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(ModelFileError) {
        guard !bytes.isEmpty else { return }
        guard current < sizes.count, bytes.count <= sizes[current] - written else {
            throw ModelFileError(.invalid, file: file.path, "was given more bytes than its tensors have")
        }
        try file.write(bytes)
        written += bytes.count
        guard written == sizes[current] else { return }
        try write(toFile: [UInt8](repeating: 0, count: Self.padding(after: written)))
        current += 1
        written = 0
    }

    /// Puts the file on disk under its name.
    ///
    /// - Returns: its bytes.
    /// - Throws: ``ModelFileError`` where the system refuses, or `invalid` where bytes of a tensor are missing.
    @discardableResult
    public func finish() throws(ModelFileError) -> Int {
        guard current == sizes.count else {
            throw ModelFileError(.invalid, file: file.path, "was given fewer bytes than its tensors have")
        }
        try file.commit()
        return file.count
    }

    private static func padding(after count: Int) -> Int { (alignment - count % alignment) % alignment }

    private func write(toFile bytes: [UInt8]) throws(ModelFileError) {
        // A closure of `withUnsafeBytes` cannot throw a typed error.
        let result = bytes.withUnsafeBytes { bytes -> Result<Void, ModelFileError> in
            do throws(ModelFileError) { return .success(try file.write(bytes)) } catch { return .failure(error) }
        }
        try result.get()
    }
}
