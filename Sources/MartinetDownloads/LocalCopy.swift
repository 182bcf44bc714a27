import FoundationEssentials
import MartinetModelFormats

/// Takes models that lie on this machine into the store.
enum LocalCopy {
    /// The size of a regular file, or `nil` where there is none.
    static func size(of path: String) -> Int? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            attributes[.type] as? FileAttributeType == .typeRegular
        else { return nil }
        return attributes[.size] as? Int
    }

    /// Links a file, or the model files of a folder, into `folder`; copies where linking is impossible.
    static func copy(_ path: String, into folder: String, sha256: String?) throws -> [PullManifest.File] {
        let sources: [String]
        do {
            switch try ModelFile.open(path: path) {
            case .gguf(let file):
                sources = file.files.map(\.path)
            case .directory:
                let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
                sources = names.filter { name in
                    !name.hasPrefix(".")
                        && [".json", ".safetensors", ".jinja", ".model", ".txt"].contains(where: name.hasSuffix)
                }.map { path + "/" + $0 }
            }
        } catch let error as ModelFileError {
            throw DownloadError(.invalidReference, error.description)
        }
        if let sha256 {
            guard sources.count == 1 else {
                throw DownloadError(.invalidReference, "--sha256 is for a single file; this model has \(sources.count)")
            }
            let digest = try FileDigest.sha256(of: sources[0])
            guard digest == sha256.lowercased() else {
                throw DownloadError(.checksumMismatch, "\(path) has SHA-256 \(digest), expected \(sha256.lowercased())")
            }
        }
        return try sources.map { source in
            let name = source.lastComponent
            let target = folder + "/" + name
            try? FileManager.default.removeItem(atPath: target)
            let resolved = URL(filePath: source).resolvingSymlinksInPath().path
            do {
                do {
                    try FileManager.default.linkItem(atPath: resolved, toPath: target)
                } catch {
                    try FileManager.default.copyItem(atPath: resolved, toPath: target)
                }
            } catch {
                throw DownloadError(.storage, "\(target) cannot be written: \(error)")
            }
            return PullManifest.File(name: name, byteCount: size(of: target) ?? 0, sha256: sha256?.lowercased())
        }
    }
}
