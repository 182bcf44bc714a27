import ArgumentParser
import Foundation
import MartinetModelFormats
import MartinetModels

/// `martinet quantize`: writes a model as a GGUF file with its weights in another type.
struct QuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Write a model as a GGUF file with smaller weights.",
        discussion: """
            TYPE is one of \(QuantizationType.allCases.map(\.rawValue).joined(separator: ", ")). The output projection \
            (or the embedding that serves as one) gets Q6_K where TYPE has blocks, vectors F32, and a matrix whose rows \
            are not a multiple of 256 the type of 32 that is nearest in size. Start from the largest type there is: each \
            quantisation adds its error to the one before.
            """)

    @Argument(help: "A GGUF file, a Hugging Face directory, or a model in the store.")
    var model: String

    @Argument(help: "The file to write.", completion: .file(extensions: ["gguf"]))
    var output: String

    @Option(help: "What weights are written as.", transform: named)
    var type: QuantizationType

    @Option(help: "The type of the output projection; by default Q6_K.", transform: named)
    var outputType: QuantizationType?

    @Option(help: "The type of the token embedding; by default that of the weights.", transform: named)
    var embeddingType: QuantizationType?

    @Option(help: "Threads; by default one for each processor.")
    var threads: Int?

    @Flag(help: "Replace the file if it is there.")
    var force = false

    @Flag(name: .shortAndLong, help: "Print nothing but errors.")
    var quiet = false

    func validate() throws {
        guard (1...1024).contains(threads ?? 1) else { throw ValidationError("--threads must be 1 to 1024") }
        for part in [outputType, embeddingType] where part?.isMixture == true {
            throw ValidationError("a single tensor cannot be a mixture; give Q4_K, Q5_K or Q6_K")
        }
    }

    func run() throws {
        let file = try ModelFile.open(path: ModelStore().resolve(model))
        let options = QuantizationOptions(
            type: type, outputType: outputType, embeddingType: embeddingType, threads: threads, replaces: force)
        let showsProgress = !quiet && isatty(STDERR_FILENO) == 1
        let start = ContinuousClock.now
        defer { if showsProgress { Console.note("\r\u{1B}[K", terminator: "") } }
        let report = try ModelQuantizer.quantize(file, to: output, options: options) { tensor, count in
            if showsProgress { Console.note("\r\u{1B}[Ktensor \(tensor) of \(count)", terminator: "") }
        }
        if !quiet { print(Self.text(report, output: output, elapsed: ContinuousClock.now - start)) }
    }

    private static func text(_ report: QuantizationReport, output: String, elapsed: Duration) -> String {
        let rows = report.types.map {
            [
                $0.type, "\($0.tensors)", "\($0.elements)", ByteText.size($0.bytes),
                String(format: "%.3g", $0.rootMeanSquareError),
            ]
        }
        var lines = [ByteText.table([["TYPE", "TENSORS", "ELEMENTS", "SIZE", "RMS ERROR"]] + rows), ""]
        for fallback in report.fallbacks {
            lines.append(
                "\(fallback.taken) instead of \(fallback.wanted), as rows are no multiple of its block: tensors "
                    + "\(fallback.tensors).")
        }
        if report.isRequantized {
            lines.append("The source was quantised already; its own error comes on top of the one given here.")
        }
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
        lines.append(
            String(
                format: "%@: %@, %.2f bits per weight, RMS error %.3g (%.2g %% of the weights' own), in %.1f s", output,
                ByteText.size(report.fileSize), report.bitsPerWeight, report.rootMeanSquareError,
                100 * report.relativeError, seconds))
        return lines.joined(separator: "\n")
    }
}

/// A type by its name, for options.
private func named(_ name: String) throws -> QuantizationType {
    guard let type = QuantizationType(name: name) else {
        let known = QuantizationType.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("the type \(name.quotedForMessage) is not known; there are \(known)")
    }
    return type
}
