import MartinetGrammars
import Testing

@Suite struct GrammarErrorTests {
    @Test func namesThePlace() {
        #expect(GrammarError("`minimum` must be a number", at: "/minimum").description.hasSuffix("(at /minimum)"))
    }
}
