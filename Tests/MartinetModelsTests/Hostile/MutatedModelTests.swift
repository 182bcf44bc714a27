import Foundation
import MartinetEngine
import MartinetModels
import MartinetTestKit
import MartinetTokenizers
import Testing

/// Thousands of damaged models: each gives a typed error, or a model that computes and ends. A trap would end the test
/// process, and an error of another type would fail the test.
@Suite(.serialized)
struct MutatedModelTests {
    private struct Tally {
        var ran = 0
        var refused: [String: Int] = [:]
        let start = ContinuousClock.now

        func check(_ name: String, atLeast: (ran: Int, refused: Int), within limit: Duration) {
            let elapsed = ContinuousClock.now - start
            print("\(name): \(ran) ran, refused \(refused.sorted { $0.key < $1.key }), \(elapsed)")
            #expect(ran >= atLeast.ran)
            #expect(refused.values.reduce(0, +) >= atLeast.refused)
            #expect(elapsed < limit)
        }
    }

    /// Loads a model, and where that works encodes a text and runs a few tokens, both ways of computing.
    private func exercise(_ path: String, _ tally: inout Tally) throws {
        let limits = RunnerLimits(
            maxBatchedTokens: 8, maxLogitRows: 2, maxModelLength: 32, blockSize: 4, blockCount: 8)
        let refusal = try refusal {
            let model = try LoadedModel.load(path: path)
            let vocabulary = model.configuration.vocabularySize
            let text = model.tokenizer.encode("Hello <|im_end|> wörld 12", specials: .parse)
            _ = model.tokenizer.bytes(of: Int32(vocabulary), includeSpecial: true)
            _ = try model.planMemory(limits: limits)
            let known = text.filter { Int($0) < vocabulary }
            let tokens = (known + [0, Int32(vocabulary - 1)]).suffix(8)
            for precision in [RunnerOptions.Precision.fast, .exact] {
                let runner = try model.makeRunner(
                    limits: limits, options: RunnerOptions(precision: precision, threads: 1))
                let rows = try runner.allLogits(Array(tokens), chunk: 2)
                #expect(rows.count == tokens.count && rows.allSatisfy { $0.count == vocabulary })
            }
        }
        if let refusal {
            #expect(!refusal.message.isEmpty)
            tally.refused[refusal.code, default: 0] += 1
        } else {
            tally.ran += 1
        }
    }

    @Test(arguments: ["llama.gguf", "qwen2.gguf"]) func headersOfGGUF(_ name: String) throws {
        let good = try GGUFDocument(tiny: name)
        let header = good.header
        // The vocabulary and the chat template fill most of the header; what lies around them gets half of the blows.
        let bulk = good.values.filter { $0.payload.count > 128 }.compactMap {
            Data(header).range(of: Data($0.payload))
        }
        let plain = header.indices.filter { index in !bulk.contains { $0.contains(index) } }
        let folder = try ModelCopy()
        var generator = SeededGenerator(state: 11)
        var tally = Tally()
        for round in 0..<1500 {
            var bytes = header
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let place = round % 2 == 0 ? plain.randomElement(using: &generator) : nil
                bytes.damage(at: place ?? Int.random(in: 0..<bytes.count, using: &generator), &generator)
            }
            try exercise(folder.write(GGUFDocument.file(header: bytes, data: good.data), as: "m.gguf"), &tally)
        }
        tally.check("\(name), header bytes", atLeast: (30, 500), within: .seconds(60))
    }

    @Test(arguments: ["llama.gguf", "qwen2.gguf"]) func valuesOfGGUF(_ name: String) throws {
        let good = try GGUFDocument(tiny: name)
        let folder = try ModelCopy()
        var generator = SeededGenerator(state: 12)
        var tally = Tally()
        let prefix = String(name.dropLast(5))
        let extra = [
            "attention.key_length", "attention.value_length", "rope.dimension_count", "rope.scaling.factor",
            "rope.scaling.type", "attention.sliding_window", "expert_count",
        ].map { "\(prefix).\($0)" }
        for _ in 0..<1500 {
            var document = good
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                switch Int.random(in: 0..<8, using: &generator) {
                case 0...4:
                    let key = (good.values.map(\.key) + extra).randomElement(using: &generator) ?? ""
                    document.set(key, .random(&generator))
                case 5:
                    document.tensors.swapAt(0, Int.random(in: 0..<document.tensors.count, using: &generator))
                case 6:
                    let index = Int.random(in: 0..<document.tensors.count, using: &generator)
                    let size = [1, 2, 8, 16, 32, 64, 128, 320].randomElement(using: &generator) ?? 1
                    document.tensors[index].dimensions[0] = UInt64(size)
                    document.tensors[index].type = UInt32.random(in: 0..<32, using: &generator)
                default:
                    // Weights of any bits: infinities, NaNs, scales that make everything overflow.
                    let place = Int.random(in: 0..<document.data.count, using: &generator)
                    for index in place..<min(place + 256, document.data.count) {
                        document.data[index] = [0, 0x7F, 0x7C, 0xFF].randomElement(using: &generator) ?? 0
                    }
                }
            }
            try exercise(folder.write(document.bytes, as: "m.gguf"), &tally)
        }
        tally.check("\(name), values", atLeast: (200, 500), within: .seconds(60))
    }

    @Test(arguments: [
        ("config.json", "mistral"), ("config.json", "llama-rope"), ("config.json", "qwen2"),
        ("tokenizer.json", "mistral"), ("tokenizer_config.json", "mistral"), ("generation_config.json", "mistral"),
        ("model.safetensors.index.json", "llama"),
    ])
    func filesOfDirectories(_ file: String, _ model: String) throws {
        let copy = try ModelCopy(of: model)
        let good = try copy.bytes(of: file)
        let object = try RawObject(good)
        let keys = object.members.keys.sorted()
        var generator = SeededGenerator(state: 13)
        var tally = Tally()
        for round in 0..<500 {
            if round % 2 == 0 {
                var bytes = good
                for _ in 0..<Int.random(in: 1...2, using: &generator) {
                    bytes.damage(at: Int.random(in: 0..<bytes.count, using: &generator), &generator)
                }
                try copy.write(bytes, as: file)
            } else {
                var changed = object
                let values = [
                    "0", "1", "2", "4", "8", "16", "-1", "1e308", "9223372036854775807", "-0.0", "NaN", "null", "true",
                    "\"\"", "[]", "{}", "[[[]]]", "\"\\ud800\"", "64", "128",
                ]
                for _ in 0..<Int.random(in: 1...2, using: &generator) {
                    changed.members[keys.randomElement(using: &generator) ?? ""] =
                        values.randomElement(using: &generator)
                }
                try copy.write(changed.bytes, as: file)
            }
            try exercise(copy.path, &tally)
        }
        tally.check("\(model), \(file)", atLeast: (10, 20), within: .seconds(60))
    }

    @Test func headersOfSafetensors() throws {
        let copy = try ModelCopy(of: "mistral")
        let good = try copy.bytes(of: "model.safetensors")
        let length = Int(good.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) })
        var generator = SeededGenerator(state: 15)
        var tally = Tally()
        for round in 0..<1500 {
            var header = Array(good[..<(8 + length)])
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                header.damage(at: Int.random(in: 0..<header.count, using: &generator), &generator)
            }
            if round % 2 == 0, header.count > 8 {
                for index in 0..<8 { header[index] = UInt8(truncatingIfNeeded: (header.count - 8) >> (8 * index)) }
            }
            try copy.write(header + good[(8 + length)...], as: "model.safetensors")
            try exercise(copy.path, &tally)
        }
        tally.check("safetensors header", atLeast: (3, 500), within: .seconds(60))
    }

    /// Plans for contexts, block sizes and memories far beyond any machine.
    @Test(arguments: [1, 2, 512, 1 << 20, 1 << 26] as [UInt32]) func plans(_ context: UInt32) throws {
        var document = try GGUFDocument(tiny: "llama.gguf")
        document.set("llama.context_length", .uint32(context))
        let folder = try ModelCopy()
        let model = try LoadedModel.load(path: folder.write(document.bytes, as: "m.gguf"))
        for blockSize in [1, 16, 256] {
            for available in [0, 1 << 20, 1 << 34, 1 << 60] {
                for cache in [nil, 1, 1 << 20, Int.max] {
                    var options = EngineOptions()
                    options.blockSize = blockSize
                    options.kvCacheBytes = cache
                    do throws(EngineError) {
                        let plan = try MemoryPlan(model: model, options: options, availableBytes: available)
                        #expect((1...Int(context)).contains(plan.limits.maxModelLength))
                        // The runner takes whatever was planned.
                        #expect(throws: Never.self) { try model.planMemory(limits: plan.limits) }
                    } catch {
                        #expect(error.parameter == "max_model_len")
                    }
                }
            }
        }
    }

    /// Whole engines on models that open in spite of their damage: planned, started, asked, stopped.
    @Test func enginesOnDamagedModels() async throws {
        let good = try GGUFDocument(tiny: "llama.gguf")
        let folder = try ModelCopy()
        var generator = SeededGenerator(state: 14)
        var (answered, refused) = (0, 0)
        for round in 0..<60 {
            var document = good
            let context: [UInt32] = [1, 2, 17, 512, 1 << 20, 1 << 26]
            document.set("llama.context_length", .uint32(context[round % context.count]))
            if round % 3 == 0 { document.set("tokenizer.ggml.add_bos_token", .bool(1)) }
            if round % 4 == 1 { document.set("tokenizer.chat_template", .string("{{ 1 // 0 }}{% if")) }
            if round % 2 == 1 {
                // All floats of some weights become NaN or infinite.
                let place = Int.random(in: 0..<document.data.count / 2, using: &generator)
                let byte: UInt8 = round % 4 == 1 ? 0xFF : 0x7C
                for index in place..<document.data.count { document.data[index] = byte }
                let divisors = try #require(good.tensors.first { $0.name == "rope_freqs.weight" })
                let start = Int(divisors.offset)
                document.data.replaceSubrange(start..<start + 32, with: good.data[start..<start + 32])
            }
            let path = try folder.write(document.bytes, as: "m.gguf")
            var options = EngineOptions()
            options.maxNumSeqs = 2
            options.maxNumBatchedTokens = 8
            options.kvCacheBytes = 1 << 20
            options.threads = 1
            let model = try LoadedModel.load(path: path)
            let engine: InferenceEngine
            do {
                engine = try InferenceEngine(model: model, options: options)
            } catch let error as EngineError {
                #expect(!error.message.isEmpty)
                refused += 1
                continue
            }
            var sampling = SamplingParameters()
            sampling.maxTokens = 4
            sampling.temperature = round % 2 == 0 ? 0 : 1
            sampling.topP = 0.9
            sampling.logprobs = 2
            do {
                let answer = try await engine.complete(
                    InferenceRequest(id: "\(round)", prompt: [1, 2, 3], sampling: sampling))
                #expect((1...4).contains(answer.outputs[0].tokens.count))
                answered += 1
            } catch let error as EngineError {
                #expect(error.code == .contextLengthExceeded)
                refused += 1
            }
            await engine.shutdown(deadline: .seconds(5))
        }
        print("engines: \(answered) answered, \(refused) refused")
        #expect(answered >= 30 && refused >= 10)
    }
}

extension GGUFDocument.Content {
    /// A value that a file might hold, more often a plausible one than not.
    static func random(_ generator: inout SeededGenerator) -> Self? {
        let small: [UInt32] = [0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 320, 512]
        switch Int.random(in: 0..<10, using: &generator) {
        case 0...3: return small.randomElement(using: &generator).map { .uint32($0) }
        case 4: return .uint32([.max, 1 << 31, 1 << 26, 1 << 20].randomElement(using: &generator) ?? 0)
        case 5: return .uint64([.max, 1 << 63, 1 << 62, 1 << 40].randomElement(using: &generator) ?? 0)
        case 6: return .float32([0, -1, 1, 1e-6, 1e30, .nan, .infinity].randomElement(using: &generator) ?? 0)
        case 7: return .string(["", "llama", "linear", "gpt2", "none"].randomElement(using: &generator) ?? "")
        case 8: return .int32s([-1, .max, 0])
        default: return nil
        }
    }
}

/// SplitMix64: the same damage on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

extension [UInt8] {
    /// Flips, sets, removes or adds a byte, or writes an extreme number.
    mutating func damage(at wanted: Int, _ generator: inout SeededGenerator) {
        guard !isEmpty else { return }
        let place = Swift.min(wanted, count - 1)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0...2: self[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 3, 4: self[place] = UInt8.random(in: 0...255, using: &generator)
        case 5: remove(at: place)
        case 6: insert(UInt8.random(in: 0...255, using: &generator), at: place)
        default:
            let extremes: [UInt64] = [0, 1, .max, 1 << 63, 1 << 32, 1 << 31, UInt64(count)]
            let extreme = extremes.randomElement(using: &generator) ?? 0
            for index in 0..<Swift.min(8, count - place) {
                self[place + index] = UInt8(truncatingIfNeeded: extreme >> (8 * UInt64(index)))
            }
        }
    }
}
