import ArgumentParser
import Foundation
import Logging
import MartinetAPI
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import MartinetServer
import MartinetTokenizers

/// `martinet bench frontend`: a server whose engine answers at once, for load generators to measure.
struct FrontendBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frontend",
        abstract: "Serve a model's text side with an engine that computes nothing, to measure the server alone.",
        discussion: """
            Requests are decoded, tokenised and answered as always, but every token is the same and comes at once. \
            `make frontend-bench` measures it.
            """)

    @Argument(help: "A model in the store, or the path of one.")
    var model: String

    @Option(help: "The port; 0 takes a free one.")
    var port = 0

    @Option(help: "Milliseconds between the engine's steps; 0 for none, so that tokens gather and share an event.")
    var stepInterval = 0.0

    func validate() throws {
        guard stepInterval >= 0, stepInterval <= 1000 else {
            throw ValidationError("--step-interval must be 0 to 1000 milliseconds, got \(stepInterval).")
        }
    }

    func run() async throws {
        let text = try LoadedModel.load(path: try ModelStore().resolve(model)).text
        let length = 8192
        let token = text.tokenizer.encode(" token", specials: .asText).first ?? 0
        let engine = InferenceEngine(
            model: text,
            engine: InstantEngine(
                limits: SequenceLimits(
                    maxModelLength: length, maxWaiting: 1 << 20, vocabularySize: text.tokenizer.vocabularySize),
                token: token, interval: stepInterval > 0 ? .milliseconds(stepInterval) : nil))
        let served = ServedModel(
            names: [model], root: model, created: Int(Date().timeIntervalSince1970), maxModelLength: length,
            tokenizer: text.tokenizer)
        var configuration = ServerConfiguration()
        configuration.port = port
        var logger = Logger(label: "martinet")
        logger.logLevel = .error
        let server = MartinetServer(
            directory: ModelDirectory([Deployment(model: served, service: EngineService(engine), capacity: 1 << 20)]),
            configuration: configuration, logger: logger)
        try await server.run { port in Console.output("http://127.0.0.1:\(port)") }
    }
}
