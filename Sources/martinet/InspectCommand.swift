import ArgumentParser
import Foundation
import MartinetModelFormats

/// `martinet inspect`: what a model file says of itself, and the memory that serving it needs.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show a model's shape, tensor types, metadata and the memory that serving needs.")

    @Argument(help: "A model in the store, or the path of one.")
    var model: String

    @Flag(help: "List all tensors.")
    var tensors = false

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "Tokens of context to plan memory for; by default the model's own, at most 4096.")
    var context: Int?

    @Option(help: "Sequences at once to plan memory for.")
    var concurrency = 8

    func validate() throws {
        guard context ?? 1 > 0 else { throw ValidationError("--context must be at least 1") }
        guard concurrency > 0 else { throw ValidationError("--concurrency must be at least 1") }
    }

    func run() throws {
        let path = try ModelStore().resolve(model)
        let file = try ModelFile.open(path: path)
        let facts = ModelFacts(file)
        let context = context ?? min(facts.contextLength ?? 4096, 4096)
        let report = InspectReport(
            path: path, model: file, facts: facts, context: context, concurrency: concurrency, listsTensors: tensors)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            encoder.nonConformingFloatEncodingStrategy = .convertToString(
                positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
            print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            print(report.text)
        }
    }
}
