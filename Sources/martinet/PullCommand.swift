import ArgumentParser
import Foundation
import MartinetDownloads
import MartinetModelFormats

/// `martinet pull`: brings a model into the store.
struct PullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Fetch a model into the store.",
        discussion: """
            MODEL is a name of the catalogue (\(Catalogue.entries.map(\.name).joined(separator: ", "))), \
            hf:OWNER/REPO[@REVISION][:FILE] for the Hugging Face hub, an https address of a GGUF file, or a file or \
            folder on this machine. An interrupted pull resumes; a second pull of the same model does nothing.

            Environment: MARTINET_HOME (the store), HF_TOKEN and HF_ENDPOINT (the hub), SSL_CERT_FILE, HTTPS_PROXY.
            """)

    @Argument(help: "What to fetch.")
    var model: String

    @Option(help: "The name in the store; without it, that of the model.")
    var name: String?

    @Option(help: "The SHA-256 that the file must have.")
    var sha256: String?

    @Flag(help: "Fetch again, and replace what has the name.")
    var force = false

    @Flag(name: .shortAndLong, help: "Print nothing but errors.")
    var quiet = false

    func run() async throws {
        let reference = try PullReference(parsing: model)
        let line = ProgressLine(isQuiet: quiet)
        if !quiet, case .catalogue(let entry) = reference {
            FileHandle.standardError.write(Data("\(entry.summary). Terms: \(entry.licence).\n".utf8))
        }
        let options = ModelPuller.Options(name: name, sha256: sha256, force: force)
        let outcome = try await ModelDownloader.withClient { downloader in
            try await ModelPuller(store: ModelStore(), downloader: downloader)
                .pull(reference, options: options) { line.show($0) }
        }
        line.end()
        guard !quiet else { return }
        print(
            outcome.wasPresent
                ? "\(outcome.name) is already there: \(outcome.path)" : "\(outcome.name) is ready: \(outcome.path)")
    }
}
