import MartinetBenchmarks
import Testing

@Suite struct SampleSummaryTests {
    /// The expected values are those of `numpy.percentile` and `numpy.std`.
    @Test func percentilesInterpolate() {
        let summary = SampleSummary([30, 10, 20, 50, 40, .nan, .infinity])
        #expect(summary.count == 5)
        #expect(summary.minimum == 10 && summary.maximum == 50)
        #expect(summary.mean == 30)
        #expect(abs(summary.standardDeviation - 14.142135623730951) < 1e-12)
        for (share, value) in [(0.0, 10.0), (25, 20), (50, 30), (90, 46), (95, 48), (99, 49.6), (100, 50)] {
            #expect(abs(summary.percentile(share) - value) < 1e-9, "p\(share)")
        }
        #expect(SampleSummary([1, 2, 3, 4]).median == 2.5)
    }

    @Test func oneSampleAndNone() {
        #expect(SampleSummary([3]).percentile(99) == 3)
        let none = SampleSummary([])
        #expect(none.median.isNaN && none.mean.isNaN && none.percentile(99).isNaN && none.maximum.isNaN)
    }

    @Test(arguments: [(0.1234, "0.12"), (12.34, "12.3"), (1234.5, "1234"), (.nan, "-"), (.infinity, "-")])
    func figuresForPeople(value: Double, text: String) {
        #expect(Figure.text(value) == text)
    }

    @Test func seedsFixTheGenerator() {
        var first = SeededGenerator(seed: 5)
        var same = SeededGenerator(seed: 5)
        var other = SeededGenerator(seed: 5, stream: 1)
        let values = (0..<4).map { _ in first.next() }
        #expect(values == (0..<4).map { _ in same.next() })
        #expect(values != (0..<4).map { _ in other.next() })
    }
}
