import MartinetEngine
import Testing

@Suite struct StepPaceTests {
    private func learned(stretch: Double = 1.75, decode: Double = 0.004, token: Double = 0.0001) -> StepPace {
        var pace = StepPace(stretch: stretch)
        for _ in 0..<50 {
            pace.observe(decodes: 1, promptTokens: 0, seconds: decode)
            pace.observe(decodes: 1, promptTokens: 100, seconds: decode + 100 * token)
        }
        return pace
    }

    @Test func promptsAloneAreNotBounded() {
        #expect(learned().promptTokens(besides: 0) == .max)
        #expect(learned(stretch: .infinity).promptTokens(besides: 5) == .max)
    }

    @Test func theStepGrowsByNoMoreThanTheStretch() {
        let tokens = learned().promptTokens(besides: 1)
        #expect((29...30).contains(tokens))
        // Nothing seen of so many rows: as if they were fewer, which bounds more.
        #expect(learned().promptTokens(besides: 40) == tokens)
    }

    @Test func fewTokensAlwaysPass() {
        #expect(StepPace(stretch: 1.75).promptTokens(besides: 3) == StepPace.least)
        #expect(learned(token: 0.1).promptTokens(besides: 1) == StepPace.least)
        #expect(learned(stretch: 1).promptTokens(besides: 1) == StepPace.least)
    }

    @Test func aCrowdOfPromptsIsNotHeldUpByOneStream() {
        let one = learned().promptTokens(besides: 1, for: 1)
        #expect((29...30).contains(one))
        #expect((10 * one...10 * one + 10).contains(learned().promptTokens(besides: 1, for: 10)))
        #expect(learned().promptTokens(besides: 10, for: 10) == learned().promptTokens(besides: 10))
    }

    @Test func rowsAreToldApart() {
        var pace = learned()
        for _ in 0..<50 { pace.observe(decodes: 16, promptTokens: 0, seconds: 0.016) }
        #expect((119...120).contains(pace.promptTokens(besides: 16)))
        #expect((119...120).contains(pace.promptTokens(besides: 31)))
        #expect((29...30).contains(pace.promptTokens(besides: 15)))
    }

    @Test func oneSlowStepHardlyCounts() {
        var pace = learned()
        pace.observe(decodes: 1, promptTokens: 0, seconds: 10)
        #expect(pace.promptTokens(besides: 1) <= 40)
        for figure in [0, -1, .nan, .infinity] as [Double] {
            pace.observe(decodes: 1, promptTokens: 0, seconds: figure)
            pace.observe(decodes: 1, promptTokens: 100, seconds: figure)
        }
        #expect(pace.promptTokens(besides: 1) <= 40)
        pace.observe(decodes: .max, promptTokens: 0, seconds: 1)
        #expect(pace.promptTokens(besides: .max) > 0)
    }
}
