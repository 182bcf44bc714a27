public import MartinetTensors

/// A tensor of a GGUF file.
public struct GGUFTensor: Sendable {
    /// Its name, such as `blk.0.attn_q.weight`.
    public let name: String
    /// Its type, shape (outermost first: GGUF's dimensions reversed) and bytes in the mapped file.
    public let view: TensorView
    /// Where its bytes start, counted from the beginning of its file's tensor data.
    public let offset: Int
}

/// A GGUF model: versions 2 and 3, little-endian, in one file or split into several.
///
/// The file is mapped, not read: opening touches the metadata and tensor descriptions only. Every count, length, type,
/// shape and offset is checked against the file's size before anything is allocated for it, so a truncated or hostile
/// file gives an error that names the offence.
///
/// ```swift
/// let file = try GGUFFile(path: "model.gguf")
/// let layers = file.metadata["llama.block_count"]?.int
/// let embedding = file.tensor("token_embd.weight")
/// ```
public final class GGUFFile: Sendable {
    /// The path it was opened by.
    public let path: String
    /// The format's version, 2 or 3.
    public let version: Int
    /// Metadata; for a split model, that of the first file.
    public let metadata: [String: GGUFValue]
    /// The metadata's keys in the file's order.
    public let keys: [String]
    /// All tensors in the file's order; a split model's files one after the other.
    public let tensors: [GGUFTensor]
    /// The files that make up the model, in order.
    public let files: [MappedFile]
    private let indices: [String: Int]

    /// Opens a file, and the other parts of a split model (`NAME-00001-of-0000N.gguf`) when given the first.
    ///
    /// - Throws: ``ModelFileError`` naming the file, what is wrong in it, and where.
    public init(path: String) throws(ModelFileError) {
        let first = try GGUFPart(file: MappedFile(path: path))
        var parts = [first]
        for partPath in try GGUFSplit.otherPaths(of: first) {
            let part = try GGUFPart(file: MappedFile(path: partPath))
            try GGUFSplit.check(part, number: parts.count, of: first)
            parts.append(part)
        }
        self.path = path
        version = first.version
        metadata = first.metadata
        keys = first.keys
        files = parts.map(\.file)
        var tensors: [GGUFTensor] = []
        var indices: [String: Int] = [:]
        for part in parts {
            for tensor in part.tensors {
                guard indices.updateValue(tensors.count, forKey: tensor.name) == nil else {
                    throw ModelFileError(
                        .invalid, file: part.file.path,
                        "tensor \(tensor.name.quotedForMessage) is in an earlier part of the model too")
                }
                tensors.append(tensor)
            }
        }
        try GGUFSplit.checkTotal(tensors.count, of: first)
        self.tensors = tensors
        self.indices = indices
    }

    /// The tensor of that name, or `nil` where there is none.
    public func tensor(_ name: String) -> TensorView? {
        indices[name].map { tensors[$0].view }
    }

    /// Lets the system take back what was read so far; everything stays readable.
    public func releasePages() {
        for file in files { file.releasePages(file.bytes) }
    }

    /// `general.architecture`, such as `llama`; `nil` where the file does not say.
    public var architecture: String? { metadata["general.architecture"]?.string }
}
