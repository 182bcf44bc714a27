import MartinetModelFormats
import MartinetTensors
import Testing

/// Damaged files give a model or an error, in bounded time; a trap would end the test process.
@Suite struct GGUFFuzzTests {
    /// Opens a file and reads everything in it.
    private func exercise(_ path: String) throws(ModelFileError) {
        let file = try GGUFFile(path: path)
        var sum = 0
        for value in file.metadata.values {
            sum &+= value.int ?? value.strings?.count ?? value.floats?.count ?? value.ints?.count ?? 0
            sum &+= value.array?.arrays?.count ?? 0
        }
        for tensor in file.tensors {
            sum &+= Int(
                tensor.view.row(tensor.view.rows - 1).load(fromByteOffset: tensor.view.rowBytes - 1, as: UInt8.self))
        }
        let facts = ModelFacts(.gguf(file))
        _ = facts.servingMemory(context: 1 << 20, concurrency: 1 << 20)
    }

    @Test func everyPrefixIsAnError() throws {
        let folder = try TemporaryFolder()
        let bytes = GGUFWriter.sample.bytes
        for count in 0..<bytes.count {
            let path = try folder.write(bytes.prefix(count), as: "prefix.gguf")
            #expect(throws: ModelFileError.self, "the first \(count) bytes") { try GGUFFile(path: path) }
        }
        #expect(throws: Never.self) { try exercise(folder.write(bytes, as: "whole.gguf")) }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func mutations(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let folder = try TemporaryFolder()
        let bytes = GGUFWriter.sample.bytes
        let start = ContinuousClock.now
        var (opened, refused) = (0, 0)
        for _ in 0..<2500 {
            let path = try folder.write(bytes.mutated(&generator), as: "mutated.gguf")
            do throws(ModelFileError) {
                try exercise(path)
                opened += 1
            } catch {
                #expect(!error.message.isEmpty)
                refused += 1
            }
        }
        #expect(opened > 0 && refused > 1000)
        #expect(ContinuousClock.now - start < .seconds(30))
    }
}
