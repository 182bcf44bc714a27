import ArgumentParser
import Foundation
import MartinetBenchmarks
import MartinetTensors

/// `martinet bench kernels`: how fast the machine multiplies each type of weights.
struct KernelBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "Measure the products of each weight type.",
        discussion: """
            The matrices have 1536 columns. With one token, 96 MiB of weights are read through: bytes of weights a \
            second. With 512 tokens, 1536 rows are multiplied: operations a second, two for each weight and token. The \
            fastest of the repetitions counts.
            """)

    @Option(help: "Repetitions of each measurement.")
    var repetitions = 5

    @Option(help: "Threads.")
    var threads = 1

    @OptionGroup(title: "Report") var report: ReportOptions

    func validate() throws {
        for (name, value, most) in [("repetitions", repetitions, 1000), ("threads", threads, 1024)]
        where !(1...most).contains(value) {
            throw ValidationError("--\(name) must be from 1 to \(most), but is \(value).")
        }
    }

    func run() throws {
        let rows = try KernelBenchmark(threadCount: threads, repetitions: repetitions).run()
        let values = rows.map { row in
            ReportValue.object([
                "type": .string(row.type.name), "one_token_gb_per_s": .double(row.vectorGigabytesPerSecond),
                "many_tokens_gops": .double(row.matrixGigaoperationsPerSecond),
            ])
        }
        try report.write(
            ["threads": .int(threads), "types": .array(values)],
            table: rows.map(\.description).joined(separator: "\n"))
    }
}
