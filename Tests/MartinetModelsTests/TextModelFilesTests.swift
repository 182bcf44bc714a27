import MartinetModels
import MartinetTestKit
import MartinetTokenizers
import Testing

@Suite struct TextModelFilesTests {
    static let models = ["smollm2"] + TestModels.tinyNames

    @Test(arguments: models)
    func sameTextSide(_ name: String) throws {
        let path = try name == "smollm2" ? TestModels.smollm2() : TestModels.tiny(name)
        let expected = try TextModel.load(path: path, name: "model")
        let files = try TextModelFiles.load(path: path)
        let text = try TextModelFiles(files: files.files).makeTextModel(name: "model")
        #expect(text.name == "model")
        #expect(text.chatTemplateSource == expected.chatTemplateSource)
        #expect(text.generationDefaults == expected.generationDefaults)
        #expect(text.endTokens == expected.endTokens)
        #expect(text.tokenizer.vocabularySize == expected.tokenizer.vocabularySize)
        for sample in ["Hello, world!", "  spaces\n\ttabs", "größer 日本語 🙂", "<|im_start|>user", ""] {
            let tokens = expected.tokenizer.encode(sample, specials: .parse)
            #expect(text.tokenizer.encode(sample, specials: .parse) == tokens)
            #expect(text.tokenizer.decode(tokens) == expected.tokenizer.decode(tokens))
        }
        // The weights stay where they are.
        #expect(files.files.reduce(0) { $0 + $1.bytes.count } < 8 << 20)
    }

    @Test(arguments: ["../tokenizer.json", "/etc/passwd", "", "model.safetensors", "tokenizer.json/x"])
    func namesThatCannotBe(_ name: String) {
        #expect(throws: ModelError.self) { try TextModelFiles(files: [.init(name: name, bytes: [])]) }
    }

    @Test func aNameTwice() {
        let file = TextModelFiles.File(name: "config.json", bytes: Array("{}".utf8))
        #expect(throws: ModelError.self) { try TextModelFiles(files: [file, file]) }
    }

    @Test func filesThatMakeNoModel() throws {
        #expect(throws: (any Error).self) { try TextModelFiles(files: []).makeTextModel(name: "x") }
        let garbage = TextModelFiles.File(name: "model.gguf", bytes: [1, 2, 3])
        #expect(throws: (any Error).self) { try TextModelFiles(files: [garbage]).makeTextModel(name: "x") }
    }
}
