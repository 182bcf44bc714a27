import MartinetModels
import MartinetTestKit
import MartinetTokenizers
import Testing

/// The tokenizer that a Gemma 3 GGUF file holds, as the server loads it.
struct GemmaFileTests {
    @Test func promptsHaveTheReferencesTokens() throws {
        let reference: ReferenceLogits = try Fixtures.json("reference/gemma3-270m.json")
        let tokenizer = try LoadedModel.load(path: TestModels.gemma3()).tokenizer
        let start = tokenizer.addsBos ? [tokenizer.bosToken].compactMap { $0 } : []
        // The fixture keeps only the beginning of the long prompt's text.
        for prompt in reference.prompts where prompt.name != "long" {
            #expect(start + tokenizer.encode(prompt.text, specials: .asText) == prompt.tokens, "\(prompt.name)")
        }
        let long = try #require(reference.prompts.first { $0.name == "long" })
        let text = start + tokenizer.encode(try Fixtures.text("text/alice.txt"), specials: .asText)
        #expect(Array(text.prefix(long.tokens.count)) == long.tokens)
    }
}
