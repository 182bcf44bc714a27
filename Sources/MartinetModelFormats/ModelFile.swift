import FoundationEssentials

/// A model on disk, in either of the forms that are read.
public enum ModelFile: Sendable {
    /// A GGUF file, or the parts of a split one.
    case gguf(GGUFFile)
    /// A folder with `config.json` and safetensors.
    case directory(HuggingFaceDirectory)

    /// Opens a GGUF file, a Hugging Face folder, or a folder that holds exactly one GGUF model.
    ///
    /// - Throws: ``ModelFileError`` naming the file, what is wrong in it, and where.
    public static func open(path: String) throws(ModelFileError) -> ModelFile {
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw ModelFileError(.notFound, file: path, "no such file or folder")
        }
        guard isDirectory else {
            guard !path.hasSuffix(".safetensors") else {
                throw ModelFileError(
                    .notAModel, file: path, "is only the weights; give the folder that has config.json beside it")
            }
            return .gguf(try GGUFFile(path: path))
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw ModelFileError(.unreadable, file: path, "cannot be listed")
        }
        let models = names.filter { $0.hasSuffix(".gguf") && !$0.hasPrefix(".") && !GGUFSplit.isLaterPart($0) }.sorted()
        if names.contains("config.json"), models.isEmpty || names.contains(where: { $0.hasPrefix("model.safetensors") })
        {
            return .directory(try HuggingFaceDirectory(path: path))
        }
        switch models.count {
        case 0:
            throw ModelFileError(.notAModel, file: path, "holds no GGUF file and no config.json")
        case 1:
            return .gguf(try GGUFFile(path: path + "/" + models[0]))
        default:
            let list = models.prefix(8).map(\.quotedForMessage).joined(separator: ", ")
            throw ModelFileError(.ambiguous, file: path, "holds \(models.count) GGUF models: name one of \(list)")
        }
    }
}
