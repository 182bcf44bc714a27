import MartinetModels
import MartinetTemplates
import MartinetTensors
import MartinetTestKit
import MartinetTokenizers
import Testing

/// A model as a whole: weights, tokenizer, template.
struct LoadedModelTests {
    @Test func theDefaultModel() throws {
        let model = try LoadedModel.load(path: TestModels.smollm2())
        #expect(model.name == "SmolLM2-135M-Instruct.Q4_1")
        #expect(model.configuration.architecture == "llama")
        #expect(model.configuration.layerCount == 30)
        #expect(model.configuration.contextLength == 8192)
        #expect(model.configuration.tiedEmbeddings)
        #expect(model.configuration.rope == RopeConfiguration(theta: 100_000, rotarySize: 64, interleaved: true))
        #expect(model.facts.parameterCount == 134_515_008)
        #expect(model.facts.fileSize == 98_362_432)
        #expect(model.facts.quantization == .q4_1)
        #expect(model.keyValueBytesPerToken(.float16) == 23_040)
        #expect(model.endTokens.contains(2))
        #expect(model.chatTemplateError == nil)

        // The reference's tokens come from Python.
        let reference: ReferenceLogits = try Fixtures.json("reference/smollm2.json")
        for prompt in reference.prompts {
            #expect(model.tokenizer.encode(prompt.text, specials: .parse) == prompt.tokens, "\(prompt.name)")
        }
        let template = try #require(model.chatTemplate)
        let text = try template.render([
            "messages": .array([
                .object([("role", .string("system")), ("content", .string("Be brief."))]),
                .object([("role", .string("user")), ("content", .string("Hello"))]),
            ]),
            "add_generation_prompt": .bool(true),
        ])
        #expect(
            text
                == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        )
    }

    @Test func theDefaultModelSpeaks() throws {
        let model = try LoadedModel.load(path: TestModels.smollm2())
        let runner = try model.makeRunner(limits: .forTests(tokens: 128))
        let prompt = model.tokenizer.encode(
            "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n", specials: .parse)
        let tokens = try runner.greedy(prompt, count: 16)
        let text = model.tokenizer.decode(tokens.prefix { !model.endTokens.contains($0) })
        #expect(text.contains("Paris"), "\(text)")
    }

    @Test func directoriesCarryDefaults() throws {
        let model = try LoadedModel.load(path: TestModels.tiny("qwen2"), name: "mine")
        #expect(model.name == "mine")
        #expect(model.configuration.attentionBias)
        #expect(model.facts.quantization == .bfloat16)
        #expect(model.generationDefaults.temperature == 0.6)
        #expect(model.generationDefaults.topP == 0.9)
        #expect(model.generationDefaults.topK == 40)
        #expect(model.generationDefaults.minP == nil)
        #expect(model.generationDefaults.endTokens == [0, 2])
        #expect(model.endTokens == [0, 2])
        #expect(model.chatTemplate != nil)
    }

    @Test(arguments: TestModels.tinyNames) func everyTinyModelLoads(_ name: String) throws {
        let model = try LoadedModel.load(path: TestModels.tiny(name))
        #expect(model.tokenizer.vocabularySize == 320)
        #expect(model.configuration.contextLength == 512)
        let text = "Alice was beginning to get very tired"
        #expect(model.tokenizer.decode(model.tokenizer.encode(text, specials: .asText)) == text)
    }

    @Test(arguments: [RunnerOptions(), RunnerOptions(precision: .exact), RunnerOptions(keyValueType: .float32)])
    func planIsWhatARunnerTakes(_ options: RunnerOptions) throws {
        let model = try LoadedModel.load(path: TestModels.smollm2())
        let limits = RunnerLimits(
            maxBatchedTokens: 256, maxLogitRows: 16, maxModelLength: 2048, blockSize: 16, blockCount: 512)
        let plan = try model.planMemory(limits: limits, options: options)
        let memory = try model.makeRunner(limits: limits, options: options).memory
        #expect(plan.keyValueCache == memory.keyValueCache)
        #expect(
            memory.keyValueCache == 512 * 16
                * model.keyValueBytesPerToken(options.precision == .exact ? .float32 : options.keyValueType))
        #expect(abs(plan.weights - memory.weights) < memory.weights / 100)
        #expect(abs(plan.scratch - memory.scratch) < memory.scratch / 3, "\(plan.scratch) \(memory.scratch)")
    }
}
