import FoundationEssentials
public import MartinetModelFormats

/// What `martinet pull` is asked for.
public enum PullReference: Sendable, Hashable {
    /// A model of the catalogue.
    case catalogue(Catalogue.Entry)
    /// A model of the Hugging Face hub.
    case hub(repository: String, revision: String, file: String?)
    /// A file at an address.
    case url(String)
    /// A file or folder on this machine.
    case path(String)

    /// Reads `NAME`, `hf:OWNER/REPO[@REVISION][:FILE]`, an address, or a path.
    public init(parsing text: String) throws(DownloadError) {
        if let entry = Catalogue.entry(named: text) {
            self = .catalogue(entry)
        } else if text.hasPrefix("hf:") {
            self = try Self.hub(String(text.dropFirst(3)))
        } else if text.contains("://") {
            guard ModelDownloader.isAllowed(text) else {
                throw DownloadError(
                    .invalidReference,
                    "'\(text)' cannot be fetched: https is needed (http only from this machine itself)")
            }
            self = .url(text)
        } else if FileManager.default.fileExists(atPath: text) {
            self = .path(text)
        } else {
            let names = Catalogue.entries.map(\.name).joined(separator: ", ")
            throw DownloadError(
                .invalidReference,
                "'\(text)' is neither in the catalogue (\(names)) nor a file here; other forms are hf:OWNER/REPO[:FILE] "
                    + "and an https address")
        }
    }

    private static func hub(_ text: String) throws(DownloadError) -> PullReference {
        let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let place = halves[0].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let owner = place[0].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let revision = place.count == 2 ? place[1] : "main"
        let file = halves.count == 2 ? halves[1] : nil
        guard owner.count == 2, owner.allSatisfy(ModelStore.isValidName), ModelStore.isValidName(revision),
            file.map({ !$0.isEmpty && !$0.hasPrefix("/") && !$0.split(separator: "/").contains("..") }) ?? true
        else {
            throw DownloadError(
                .invalidReference,
                "'hf:\(text)' is not of the form hf:OWNER/REPO, hf:OWNER/REPO:FILE or "
                    + "hf:OWNER/REPO@REVISION:FILE")
        }
        return .hub(repository: place[0], revision: revision, file: file)
    }

    /// The name that the model gets where none is given.
    public var defaultName: String {
        switch self {
        case .catalogue(let entry): entry.name
        case .hub(let repository, _, let file): Self.name(from: file ?? repository)
        case .url(let url): Self.name(from: URL(string: url)?.path ?? url)
        case .path(let path): Self.name(from: path)
        }
    }

    /// The argument that this was read from, as the manifest keeps it.
    public var description: String {
        switch self {
        case .catalogue(let entry): entry.name
        case .hub(let repository, let revision, let file):
            "hf:\(repository)" + (revision == "main" ? "" : "@\(revision)") + (file.map { ":\($0)" } ?? "")
        case .url(let url): url
        case .path(let path): path
        }
    }

    private static func name(from path: String) -> String {
        var trimmed = path
        while trimmed.hasSuffix("/") { trimmed.removeLast() }
        var name = trimmed.lastComponent
        if name.hasSuffix(".gguf") { name.removeLast(5) }
        let allowed = name.map { ModelStore.isValidName("x\($0)") ? $0 : "-" }
        let result = String(String(allowed).drop { $0 == "." }.prefix(128))
        return result.isEmpty ? "model" : result
    }
}
