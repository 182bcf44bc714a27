import MartinetBenchmarks
import Testing

@Suite struct ArrivalPatternTests {
    @Test(arguments: [
        ("inf", [ArrivalPattern.immediate]),
        ("constant:2.5", [.constant(perSecond: 2.5)]),
        ("poisson:4", [.poisson(perSecond: 4)]),
        ("4", [.poisson(perSecond: 4)]),
        ("sweep:1..3..1", [.poisson(perSecond: 1), .poisson(perSecond: 2), .poisson(perSecond: 3)]),
        ("sweep:2..2..5", [.poisson(perSecond: 2)]),
    ])
    func reads(text: String, patterns: [ArrivalPattern]) throws {
        #expect(try ArrivalPattern.parse(text) == patterns)
    }

    @Test func sweepsReachTheirEndDespiteRounding() throws {
        let rates = try ArrivalPattern.parse("sweep:0.1..0.7..0.1").map(\.perSecond)
        #expect(rates.count == 7)
        #expect(abs(try #require(rates.last) - 0.7) < 1e-9)
    }

    @Test(arguments: [
        "", "fast", "constant", "constant:", "constant:0", "constant:-1", "poisson:nan", "poisson:inf", "poisson:1:2",
        "sweep:1..2", "sweep:3..1..1", "sweep:1..1000..0.5", "sweep:1..2..0", "burst:3", "1e9",
    ])
    func refuses(text: String) {
        #expect(throws: BenchmarkError.self) { try ArrivalPattern.parse(text) }
    }

    @Test func constantTimesAreEven() {
        let times = Array(ArrivalPattern.constant(perSecond: 4).times(seed: 1).prefix(5))
        #expect(times == [0, 0.25, 0.5, 0.75, 1])
        #expect(Array(ArrivalPattern.immediate.times(seed: 1).prefix(3)) == [0, 0, 0])
    }

    @Test func poissonTimesHaveTheGapsOfAPoissonProcess() {
        let pattern = ArrivalPattern.poisson(perSecond: 8)
        let times = Array(pattern.times(seed: 7).prefix(20_001))
        #expect(times == Array(pattern.times(seed: 7).prefix(20_001)))
        #expect(times != Array(pattern.times(seed: 8).prefix(20_001)))
        let gaps = SampleSummary(zip(times.dropFirst(), times).map { $0 - $1 })
        #expect(gaps.minimum > 0)
        // An exponential distribution's mean and deviation are equal; its median is that by the logarithm of 2.
        #expect(abs(gaps.mean - 0.125) < 0.004)
        #expect(abs(gaps.standardDeviation - 0.125) < 0.004)
        #expect(abs(gaps.median - 0.125 * 0.6931) < 0.004)
    }
}
