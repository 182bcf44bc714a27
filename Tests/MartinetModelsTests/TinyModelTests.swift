import MartinetModelFormats
import MartinetModels
import MartinetTensors
import MartinetTestKit
import Testing

/// Models of random weights against transformers in float32: every way that a model file can be laid out.
struct TinyModelTests {
    let references: [String: TinyReference]

    init() throws {
        references = try Fixtures.json("tiny/reference.json")
    }

    private func rows(_ name: String, _ options: RunnerOptions) throws -> (rows: [[Float]], reference: TinyReference) {
        let reference = try #require(references[name])
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny(name)))
        let runner = try network.makeRunner(limits: .forTests(tokens: 64), options: options)
        return (try runner.allLogits(reference.tokens), reference)
    }

    /// The largest error, relative to the root mean square of each row.
    private func error(_ rows: [[Float]], _ reference: TinyReference) -> Float {
        zip(rows, reference.logits).map { row, expected in
            let rms = (expected.reduce(0) { $0 + $1 * $1 } / Float(expected.count)).squareRoot()
            let some = stride(from: 0, to: row.count, by: reference.every).map { row[$0] }
            guard some.count == expected.count, row.allSatisfy(\.isFinite) else { return .infinity }
            return (zip(some, expected).map { abs($0 - $1) }.max() ?? .infinity) / rms
        }.max() ?? .infinity
    }

    @Test(arguments: TestModels.tinyNames) func exactLogitsAreTheReferences(_ name: String) throws {
        let (rows, reference) = try rows(name, RunnerOptions(precision: .exact))
        let error = error(rows, reference)
        print("\(name): largest relative error \(error)")
        #expect(rows.count == reference.tokens.count)
        #expect(error <= 1e-3)
    }

    @Test(arguments: TestModels.tinyNames, KeyValueType.allCases)
    func fastLogitsAreNear(_ name: String, _ type: KeyValueType) throws {
        let (rows, reference) = try rows(name, RunnerOptions(keyValueType: type))
        let error = error(rows, reference)
        // What keys and values lose: bfloat16 has 8 bits, float16 has 11, int8 has 7 below a head's largest.
        #expect(error <= (type == .int8 ? 0.1 : type == .bfloat16 ? 0.05 : 0.01), "\(error)")
    }
}
