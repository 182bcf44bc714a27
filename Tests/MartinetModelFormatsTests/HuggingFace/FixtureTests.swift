import FoundationEssentials
import MartinetModelFormats
import MartinetTensors
import Testing

/// Files that the reference writers made: `scripts/fixtures/model_files.py`.
@Suite struct FixtureTests {
    static let folder =
        #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fixtures"

    private func expected(_ part: String) throws -> [String: JSONValue] {
        let data = try #require(FileManager.default.contents(atPath: Self.folder + "/expected.json"))
        return try #require(try JSONValue(parsing: String(decoding: data, as: UTF8.self))[part]?.object)
    }

    private func byteSum(_ view: TensorView) -> Int {
        UnsafeRawBufferPointer(start: view.bytes, count: view.byteCount).reduce(0) { $0 + Int($1) }
    }

    @Test(arguments: [2, 3])
    func gguf(version: Int) throws {
        let file = try GGUFFile(path: "\(Self.folder)/tiny-v\(version).gguf")
        #expect(file.version == version)
        #expect(
            file.metadata["tokenizer.ggml.tokens"]?.strings
                == ["<unk>", "<s>", "</s>", "a", "b", "naïve", "日本", "😀", ""])
        #expect(file.metadata["tokenizer.ggml.scores"]?.floats == (0..<9).map { -Float($0) })
        #expect(file.metadata["tokenizer.ggml.add_bos_token"]?.bool == true)
        let expected = try expected("gguf")
        #expect(Set(file.tensors.map(\.name)) == Set(expected.keys))
        for tensor in file.tensors {
            let facts = try #require(expected[tensor.name])
            #expect(tensor.view.shape == facts["shape"]?.ints)
            #expect(tensor.view.type.name == facts["type"]?.string)
            #expect(tensor.view.byteCount == facts["byte_count"]?.int)
            #expect(byteSum(tensor.view) == facts["byte_sum"]?.int)
        }
        let facts = ModelFacts(.gguf(file))
        #expect(facts.parameters == 9 * 64 + 64 * 64 + 32 * 64 + 96 * 64 + 64)
        // One block, 2 key/value heads of 16: keys and values, 2 bytes each.
        let memory = try #require(facts.servingMemory(context: 10, concurrency: 3))
        #expect(memory.keyValueBytesPerToken == 2 * 2 * 16 * 2)
        #expect(memory.keyValueCache == 10 * 3 * 128)
        #expect(memory.weights == facts.weightBytes)
        #expect(facts.servingMemory(context: Int.max, concurrency: Int.max) == nil)
        #expect(facts.servingMemory(context: 0, concurrency: 1) == nil)
    }

    @Test func directory() throws {
        guard case .directory(let model) = try ModelFile.open(path: Self.folder + "/sharded") else {
            Issue.record("config.json makes it a Hugging Face directory")
            return
        }
        #expect(model.config["hidden_size"]?.int == 16)
        #expect(model.config["rope_scaling"] == nil)
        #expect(model.config["eos_token_id"]?.ints == [1, 2])
        #expect(model.generationConfig?["temperature"]?.double == 0.6)
        #expect(model.chatTemplates == ["default": "{{ messages }}", "tool_use": "{{ tools }}"])
        #expect(model.chatTemplate == "{{ messages }}")
        #expect(try model.tokenizerJSON()?.isEmpty == false)
        #expect(try model.contents(of: "absent.json") == nil)
        #expect(throws: ModelFileError.self) { try model.contents(of: "../expected.json") }
        #expect(model.shards.count == 2)

        var expected = try expected("directory")
        #expect(expected.removeValue(forKey: "model.position_ids") != nil)
        #expect(Set(model.tensors.keys) == Set(expected.keys))
        for (name, facts) in expected {
            let view = try #require(try model.tensor(name))
            #expect(view.shape == facts["shape"]?.ints)
            #expect(view.byteCount == facts["byte_count"]?.int)
            #expect(byteSum(view) == facts["byte_sum"]?.int)
        }
        let error = #expect(throws: ModelFileError.self) { try model.tensor("model.position_ids") }
        #expect(error?.message.contains("'I64'") == true)
        #expect(try model.tensor("absent") == nil)
    }

    @Test(arguments: [
        ("model.safetensors.index.json", #"{"weight_map":{"a":"../x.safetensors"}}"#, "not the name of a file"),
        ("model.safetensors.index.json", #"{"weight_map":{"a":"/etc/passwd"}}"#, "not the name of a file"),
        ("model.safetensors.index.json", #"{"weight_map":{"a":".."}}"#, "not the name of a file"),
        ("model.safetensors.index.json", #"{"weight_map":{"a":7}}"#, "not the name of a file"),
        ("model.safetensors.index.json", #"{"weight_map":{"a":"gone.safetensors"}}"#, "which is missing"),
        (
            "model.safetensors.index.json", #"{"weight_map":{"a":"model-00001-of-00002.safetensors"}}"#,
            "does not hold it"
        ),
        ("model.safetensors.index.json", #"{"weight_map":{}}"#, "no weight_map"),
        ("model.safetensors.index.json", "[", "not valid JSON"),
        ("config.json", "{", "not valid JSON"),
        ("config.json", "[]", "not a JSON object"),
        ("generation_config.json", "nonsense", "not valid JSON"),
        ("tokenizer_config.json", "{\"a\":}", "not valid JSON"),
    ])
    func offences(file: String, text: String, words: String) throws {
        let folder = try TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder + "/sharded") {
            try FileManager.default.copyItem(
                atPath: "\(Self.folder)/sharded/\(name)", toPath: "\(folder.path)/\(name)")
        }
        #expect(throws: Never.self) { try ModelFile.open(path: folder.path) }
        try folder.write(text.utf8, as: file)
        let error = #expect(throws: ModelFileError.self) { try ModelFile.open(path: folder.path) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    @Test func foldersThatAreNone() throws {
        let folder = try TemporaryFolder()
        let empty = #expect(throws: ModelFileError.self) { try ModelFile.open(path: folder.path) }
        #expect(empty?.code == .notAModel)
        try folder.write("{}".utf8, as: "config.json")
        let weightless = #expect(throws: ModelFileError.self) { try ModelFile.open(path: folder.path) }
        #expect(weightless?.message.contains("neither model.safetensors") == true)
        try folder.write(GGUFWriter.sample.bytes, as: "a.gguf")
        guard case .gguf = try ModelFile.open(path: folder.path) else {
            Issue.record("the only model is a GGUF file")
            return
        }
        try folder.write(GGUFWriter.sample.bytes, as: "b.gguf")
        let two = #expect(throws: ModelFileError.self) { try ModelFile.open(path: folder.path) }
        #expect(two?.code == .ambiguous)
        let lone = try folder.write([1], as: "x.safetensors")
        #expect(throws: ModelFileError.self) { try ModelFile.open(path: lone) }
        let absent = #expect(throws: ModelFileError.self) { try ModelFile.open(path: folder.path + "/absent") }
        #expect(absent?.code == .notFound)
    }
}
