import MartinetTensors
import Testing

@Suite struct KernelBenchmarkTests {
    @Test func measuresEveryType() throws {
        let benchmark = KernelBenchmark(threadCount: 2, workingSet: 1, tokens: 3, repetitions: 1)
        let results = try benchmark.run()
        #expect(results.map(\.type) == ElementType.allCases)
        for result in results {
            #expect(result.vectorGigabytesPerSecond > 0 && result.vectorGigabytesPerSecond < 10_000)
            #expect(result.matrixGigaoperationsPerSecond > 0 && result.matrixGigaoperationsPerSecond < 1e6)
            #expect(result.description.contains(result.type.name))
        }
        #expect(benchmark.dispatchLatency() > 0)
    }
}
