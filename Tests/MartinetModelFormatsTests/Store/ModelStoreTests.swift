import FoundationEssentials
import MartinetModelFormats
import Testing

@Suite struct ModelStoreTests {
    @Test func findsModels() throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        #expect(store.list().isEmpty)
        for name in ["b", "a", ".incoming-c"] {
            try FileManager.default.createDirectory(atPath: store.folder(of: name), withIntermediateDirectories: true)
            try folder.write(GGUFWriter.sample.bytes, as: "models/\(name)/\(name).gguf")
            try folder.write([1], as: "models/\(name)/.martinet.json")
        }
        let models = store.list()
        #expect(models.map(\.name) == ["a", "b"])
        #expect(models[0].files == ["a.gguf"])
        #expect(models[0].byteCount == GGUFWriter.sample.bytes.count)
        #expect(try store.resolve("a") == folder.path + "/models/a")
        #expect(try store.resolve(folder.path) == folder.path)
        guard case .gguf = try ModelFile.open(path: store.resolve("a")) else {
            Issue.record("the folder holds a GGUF file")
            return
        }
        try store.remove("a")
        #expect(store.list().map(\.name) == ["b"])
        #expect(throws: ModelFileError.self) { try store.remove("a") }
        #expect(throws: ModelFileError.self) { try store.remove("..") }
        #expect(throws: ModelFileError.self) { try store.remove("../models") }
    }

    @Test(arguments: [
        ("smollm2", "martinet pull smollm2"), ("hf:a/b", "martinet pull hf:a/b"),
        ("nothing-such", "there are: gemma3-270m, smollm2"), ("./nothing.gguf", "no such file"),
        ("../../no-such-folder", "no such file"),
    ])
    func saysHowToGetAMissingModel(name: String, words: String) throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: ModelFileError.self) { try ModelStore(home: folder.path).resolve(name) }
        #expect(error?.code == .notFound)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    @Test(arguments: ["a", "A.b_c-d+1", "7"]) func takesNames(name: String) { #expect(ModelStore.isValidName(name)) }

    @Test(arguments: ["", ".", "..", ".a", "a/b", "a b", "é", "a\u{0}", String(repeating: "a", count: 129)])
    func refusesNames(name: String) { #expect(!ModelStore.isValidName(name)) }

    @Test func catalogueIsWhole() {
        for entry in Catalogue.entries {
            #expect(ModelStore.isValidName(entry.name))
            #expect(entry.sha256.utf8.count == 64)
            #expect(!entry.sources.isEmpty)
        }
        #expect(Catalogue.entry(named: Catalogue.defaultName)?.byteCount == 98_362_432)
    }
}
