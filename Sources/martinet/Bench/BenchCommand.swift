import ArgumentParser
import Foundation
import MartinetBenchmarks

/// `martinet bench`: how fast an engine or a server is.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the engine on this machine, or any OpenAI-compatible server.",
        discussion: "`martinet bench MODEL` is `martinet bench engine MODEL`. On a shared machine compare by ratio.",
        subcommands: [
            EngineBenchCommand.self, ServeBenchCommand.self, KernelBenchCommand.self, WorkerBenchCommand.self,
            FrontendBenchCommand.self,
        ],
        defaultSubcommand: EngineBenchCommand.self)
}

/// Where a report goes.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Print JSON instead of a table.")
    var json = false

    @Option(help: ArgumentHelp("Write the JSON to a file too.", valueName: "file"))
    var output: String?

    /// Prints the table or the JSON, and writes the file.
    func write(_ report: [String: ReportValue], table: @autoclosure () -> String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(report)
        if let output {
            do { try data.write(to: URL(fileURLWithPath: output)) } catch {
                throw CommandFailure("\(output) cannot be written: \(error.localizedDescription)")
            }
        }
        Console.output(json ? String(decoding: data, as: UTF8.self) : table())
    }
}
