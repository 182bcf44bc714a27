import MartinetEngine
import MartinetServer
import Testing

@Suite struct SpeculativeConfigurationTests {
    @Test(arguments: [
        (#"{}"#, Speculation.promptLookup()),
        (#"{"method": "ngram"}"#, .promptLookup()),
        (#"{"method": "off"}"#, .off),
        (#"{"method": "ngram", "num_speculative_tokens": 5}"#, .promptLookup(maxDraftTokens: 5)),
        (
            #"{"num_speculative_tokens": 3, "prompt_lookup_min": 3, "prompt_lookup_max": 4}"#,
            .promptLookup(maxDraftTokens: 3, matching: 3...4)
        ),
        (#"{"prompt_lookup_max": 1}"#, .promptLookup(matching: 1...1)),
        (#"{"prompt_lookup_min": 12}"#, .promptLookup(matching: 12...12)),
    ])
    func readsWhatVLLMTakes(json: String, expected: Speculation) throws {
        #expect(try SpeculativeConfiguration.speculation(json: json) == expected)
    }

    @Test(arguments: [
        ("", "JSON object"), ("[]", "JSON object"), (#"{"method": "eagle"}"#, "eagle"),
        (#"{"model": "x"}"#, "model"), (#"{"num_speculative_tokens": "five"}"#, "integers"),
        (#"{"num_speculative_tokens": 1e99}"#, "integers"),
        (#"{"prompt_lookup_min": 5, "prompt_lookup_max": 4}"#, "prompt_lookup_min"),
    ])
    func namesWhatItCannotUse(json: String, part: String) {
        let error = #expect(throws: EngineError.self) { try SpeculativeConfiguration.speculation(json: json) }
        #expect(error?.message.contains(part) == true)
    }
}
