import Foundation
import MartinetModelFormats

/// The files that a model's text side is read from, without weights: what a frontend on another machine needs.
public struct TextModelFiles: Sendable {
    /// A file.
    public struct File: Sendable, Hashable {
        /// A plain name, without slashes.
        public var name: String
        /// What it holds.
        public var bytes: [UInt8]

        /// Describes a file.
        public init(name: String, bytes: [UInt8]) {
            self.name = name
            self.bytes = bytes
        }
    }

    /// The files.
    public let files: [File]

    /// Most bytes of all files together; the largest tokenizers in use have some 40 MB.
    public static let maxBytes = 512 << 20

    /// Everything of a Hugging Face folder that tokenizer, chat template and defaults are read from.
    private static let names = [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "chat_template.jinja", "chat_template.json",
    ]

    /// Takes files that came from elsewhere.
    ///
    /// - Throws: ``ModelError`` where a name is not one of those that ``load(path:)`` gives, or comes twice, or the
    ///   files are too large.
    public init(files: [File]) throws(ModelError) {
        var seen: Set<String> = []
        for file in files {
            guard Self.names.contains(file.name) || file.name == Self.ggufName, seen.insert(file.name).inserted else {
                throw ModelError(
                    .invalidModel, "\(file.name.quotedForMessage) is no file of a model's text side, or comes twice")
            }
        }
        let size = files.reduce(0) { $0 + $1.bytes.count }
        guard size <= Self.maxBytes else {
            throw ModelError(.invalidModel, "the text side has \(size) bytes; at most \(Self.maxBytes) are taken")
        }
        self.files = files
    }

    /// Reads the text side of a GGUF file or a Hugging Face directory. Weights are not looked at.
    ///
    /// - Throws: ``ModelFileError`` or ``ModelError`` that names the file and what is wrong in it.
    public static func load(path: String) throws -> TextModelFiles {
        switch try ModelFile.open(path: path) {
        case .gguf(let file):
            try TextModelFiles(files: [File(name: ggufName, bytes: metadata(of: file))])
        case .directory(let directory):
            try TextModelFiles(
                files: names.compactMap { name in
                    try directory.contents(of: name).map { File(name: name, bytes: $0) }
                })
        }
    }

    /// Reads tokenizer and chat template.
    ///
    /// - Parameter name: the name to serve the model under.
    /// - Throws: ``ModelFileError`` or ``ModelError`` as ``TextModel/load(path:name:)`` does.
    public func makeTextModel(name: String) throws -> TextModel {
        try Self.withTemporaryFolder { folder in
            for file in files {
                try Data(file.bytes).write(to: folder.appendingPathComponent(file.name))
            }
            if !files.contains(where: { $0.name == Self.ggufName }) {
                // A folder without weights would be none of a model's: these are weights of no tensors.
                let header = Data("{}      ".utf8)
                try (Data([UInt8(header.count), 0, 0, 0, 0, 0, 0, 0]) + header).write(
                    to: folder.appendingPathComponent("model.safetensors"))
            }
            return try TextModel.load(path: folder.path, name: name)
        }
    }

    private static let ggufName = "model.gguf"

    /// A GGUF file with the same metadata and no tensors.
    private static func metadata(of file: GGUFFile) throws -> [UInt8] {
        // It is one part, whatever the original was split into, and has nothing to align.
        let keys = file.keys.filter { $0 != "general.alignment" && !$0.hasPrefix("split.") }
        return try withTemporaryFolder { folder in
            let path = folder.appendingPathComponent(ggufName).path
            let writer = try GGUFFileWriter(
                path: path, metadata: keys.compactMap { key in file.metadata[key].map { (key, .init($0)) } },
                tensors: [])
            try writer.finish()
            return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        }
    }

    private static func withTemporaryFolder<Value>(_ body: (URL) throws -> Value) throws -> Value {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
    }
}
