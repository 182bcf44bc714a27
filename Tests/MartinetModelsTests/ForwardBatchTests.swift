import MartinetModelFormats
import MartinetModels
import MartinetTensors
import MartinetTestKit
import Testing

/// Steps that no runner may execute.
struct ForwardBatchTests {
    static let limits = RunnerLimits(
        maxBatchedTokens: 8, maxLogitRows: 2, maxModelLength: 32, blockSize: 4, blockCount: 8)

    struct Case: CustomTestStringConvertible {
        var testDescription: String
        var batch: ForwardBatch
    }

    private static func slice(_ tokens: Range<Int>, _ start: Int, _ blocks: [Int32]) -> SequenceSlice {
        SequenceSlice(tokens: tokens, start: start, blocks: blocks)
    }

    static let wrong: [Case] = [
        Case(
            testDescription: "more tokens than",
            batch: ForwardBatch(tokens: .init(repeating: 1, count: 9), slices: [slice(0..<9, 0, [0, 1, 2])])),
        Case(
            testDescription: "rows of logits",
            batch: ForwardBatch(tokens: [1, 1, 1], slices: [slice(0..<3, 0, [0])], logitTokens: [0, 1, 2])),
        Case(testDescription: "token -1", batch: ForwardBatch(tokens: [-1], slices: [slice(0..<1, 0, [0])])),
        Case(testDescription: "token 320", batch: ForwardBatch(tokens: [320], slices: [slice(0..<1, 0, [0])])),
        Case(testDescription: "no slice", batch: ForwardBatch(tokens: [1], slices: [])),
        Case(testDescription: "empty slice", batch: ForwardBatch(tokens: [1], slices: [slice(0..<0, 0, [0])])),
        Case(testDescription: "gap", batch: ForwardBatch(tokens: [1, 1], slices: [slice(1..<2, 0, [0])])),
        Case(testDescription: "past the tokens", batch: ForwardBatch(tokens: [1], slices: [slice(0..<2, 0, [0])])),
        Case(testDescription: "negative start", batch: ForwardBatch(tokens: [1], slices: [slice(0..<1, -1, [0])])),
        Case(testDescription: "huge start", batch: ForwardBatch(tokens: [1], slices: [slice(0..<1, .max, [0])])),
        Case(
            testDescription: "past the context",
            batch: ForwardBatch(tokens: [1], slices: [slice(0..<1, 32, .init(repeating: 0, count: 9))])),
        Case(testDescription: "too few blocks", batch: ForwardBatch(tokens: [1], slices: [slice(0..<1, 4, [0])])),
        Case(testDescription: "block 8", batch: ForwardBatch(tokens: [1], slices: [slice(0..<1, 0, [8])])),
        Case(testDescription: "block -1", batch: ForwardBatch(tokens: [1], slices: [slice(0..<1, 0, [-1])])),
        Case(
            testDescription: "logits of no token",
            batch: ForwardBatch(tokens: [1], slices: [slice(0..<1, 0, [0])], logitTokens: [1])),
        Case(
            testDescription: "logits twice",
            batch: ForwardBatch(tokens: [1, 1], slices: [slice(0..<2, 0, [0])], logitTokens: [1, 1])),
    ]

    @Test(arguments: wrong) func refuses(_ wrong: Case) throws {
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny("llama")))
        let runner = try network.makeRunner(limits: Self.limits, options: RunnerOptions())
        let error = #expect(throws: ModelError.self) { _ = try runner.forward(wrong.batch) }
        #expect(error?.code == .invalidBatch)
        // And goes on.
        let good = ForwardBatch(tokens: [1], slices: [Self.slice(0..<1, 0, [0])], logitTokens: [0])
        #expect(try runner.forward(good).count == 320)
    }

    @Test func anEmptyStepDoesNothing() throws {
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny("llama")))
        let runner = try network.makeRunner(limits: Self.limits, options: RunnerOptions())
        #expect(try runner.forward(ForwardBatch()).isEmpty)
    }

    @Test(arguments: [
        RunnerLimits(maxBatchedTokens: 0, maxLogitRows: 1, maxModelLength: 1, blockSize: 1, blockCount: 1),
        RunnerLimits(maxBatchedTokens: 1, maxLogitRows: 1, maxModelLength: 1, blockSize: -4, blockCount: 1),
        RunnerLimits(maxBatchedTokens: 1, maxLogitRows: 1, maxModelLength: .max, blockSize: 1, blockCount: 1),
        RunnerLimits(maxBatchedTokens: 1, maxLogitRows: 1, maxModelLength: 1, blockSize: 1, blockCount: .max),
    ]) func refusesLimits(_ limits: RunnerLimits) throws {
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny("llama")))
        let error = #expect(throws: ModelError.self) {
            _ = try network.makeRunner(limits: limits, options: RunnerOptions())
        }
        #expect(error?.code == .invalidSetting)
    }

    @Test(arguments: [
        RunnerOptions(threads: 0), RunnerOptions(threads: 1 << 20),
        RunnerOptions(instructionSet: 99),
    ]) func refusesOptions(_ options: RunnerOptions) throws {
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny("llama")))
        let error = #expect(throws: ModelError.self) {
            _ = try network.makeRunner(limits: Self.limits, options: options)
        }
        #expect(error?.code == .invalidSetting)
    }
}
