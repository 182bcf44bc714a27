import Foundation
import MartinetEngine
import MartinetGrammars
import MartinetModels
import MartinetTestKit
import MartinetTokenizers
import Testing

/// Grammars over the vocabularies of real models.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ModelConstraintTests {
    private static let texts = [
        #"{"name": "Ada Lovelace", "born": 1815, "tags": ["mathematics", "écriture"], "ok": true}"#,
        "    indented\n\n\ttext with  spaces ", "日本語と emoji 👩‍👩‍👧 and \u{0} control", " leading", "",
    ]

    private func compile(_ text: TextModel, _ grammar: GrammarSource) async throws -> CompiledGrammar {
        let compiler = ConstraintCompiler(
            tokenizer: text.tokenizer, vocabularySize: text.tokenizer.vocabularySize, endTokens: text.endTokens)
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let constraint = compiler.constraint(for: grammar, isWanted: { true }, whenDone: { continuation.finish() })
        for await _ in stream {}
        return try #require(constraint.result).get()
    }

    @Test(arguments: ["smollm2", "gemma3"]) func tokensSpellWhatClientsSee(_ name: String) async throws {
        let model = try TextModel.load(path: name == "gemma3" ? TestModels.gemma3() : TestModels.smollm2())
        for text in Self.texts {
            var matcher = GrammarMatcher(try await compile(model, .literal(text)))
            var tokens: [Int32] = []
            for token in model.tokenizer.encode(text, specials: .asText) {
                let mask = matcher.mask()
                #expect(mask.contains(token))
                for other in mask.tokens.prefix(40) {
                    // What decodes to half a character ends with a replacement character.
                    let seen = model.tokenizer.decode(tokens + [other]).utf8
                    #expect(text.utf8.starts(with: seen) || seen.contains(0xBF), "\(text) and \(other)")
                }
                let isAccepted = matcher.accept(token)
                #expect(isAccepted)
                tokens.append(token)
            }
            #expect(matcher.isComplete && matcher.mustEnd)
            #expect(Set(matcher.mask().tokens) == model.endTokens)
            #expect(model.tokenizer.decode(tokens) == text)
        }
    }

    private static let schema = """
        {"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,
        "maximum":150},"tags":{"type":"array","items":{"enum":["red","green"]},"maxItems":3}},
        "required":["name","age","tags"],"additionalProperties":false}
        """

    private func check(schema text: String) throws {
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let name = try #require(object?["name"] as? String)
        #expect(name.unicodeScalars.count <= 12)
        #expect((0...150).contains(try #require(object?["age"] as? Int)))
        let tags = try #require(object?["tags"] as? [String])
        #expect(tags.count <= 3 && tags.allSatisfy { ["red", "green"].contains($0) })
        #expect(object?.count == 3)
    }

    @Test(arguments: ["smollm2", "gemma3"]) func aModelWritesWhatItMust(_ name: String) async throws {
        var options = EngineOptions()
        (options.maxNumSeqs, options.maxModelLen, options.kvCacheBytes) = (16, 512, 256 << 20)
        let model = try LoadedModel.load(path: name == "gemma3" ? TestModels.gemma3() : TestModels.smollm2())
        let engine = try InferenceEngine(model: model, options: options)
        func request(_ grammar: GrammarSource, _ seed: UInt64, _ temperature: Double) -> InferenceRequest {
            var sampling = SamplingParameters()
            (sampling.grammar, sampling.seed, sampling.temperature) = (grammar, seed, temperature)
            sampling.maxTokens = 200
            let prompt = model.tokenizer.encode("A person, as JSON, with a code: ", specials: .asText)
            var request = InferenceRequest(id: "", prompt: prompt, sampling: sampling)
            request.sampleCount = 2
            return request
        }
        for temperature in [0, 1, 2.5] {
            for seed in 0..<3 as Range<UInt64> {
                async let person = engine.complete(request(.jsonSchema(Self.schema), seed, temperature))
                async let code = engine.complete(request(.regex("[A-Z]{2,4}-[0-9]{3}( \\(é+\\))?"), seed, temperature))
                for output in try await person.outputs where output.finishReason == .stop {
                    try check(schema: output.text)
                }
                for output in try await code.outputs where output.finishReason == .stop {
                    let pattern = "^[A-Z]{2,4}-[0-9]{3}( \\(é+\\))?$"
                    #expect(output.text.range(of: pattern, options: .regularExpression) != nil, "\(output.text)")
                }
            }
        }
        #expect(engine.statistics().finished[.stop] ?? 0 > 20)
        // A stop text cuts.
        var cut = request(.regex("abc def [a-z ]{50}"), 1, 1)
        cut.stop = [" def"]
        for output in try await engine.complete(cut).outputs {
            #expect(output.text == "abc")
            #expect(output.stopText == " def")
        }
        await engine.shutdown(deadline: .seconds(1))
    }
}
