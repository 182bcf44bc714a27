import MartinetModelFormats
import MartinetTensors
import Testing

@Suite struct GGUFFileTests {
    private func open(_ writer: GGUFWriter) throws -> GGUFFile {
        let folder = try TemporaryFolder()
        return try GGUFFile(path: folder.write(writer.bytes, as: "model.gguf"))
    }

    @Test(arguments: [2, 3] as [UInt32])
    func readsEveryKindOfValue(version: UInt32) throws {
        var writer = GGUFWriter.sample
        writer.version = version
        let file = try open(writer)
        let values = file.metadata
        #expect(file.version == Int(version))
        #expect(file.keys.count == 17)
        #expect(file.keys.first == "general.architecture")
        #expect(file.architecture == "llama")
        #expect(values["a.u8"]?.int == 200)
        #expect(values["a.i8"]?.int == -1)
        #expect(values["a.u16"]?.int == 40_000)
        #expect(values["a.i16"]?.int == -2)
        #expect(values["a.u32"]?.int == 4_000_000_000)
        #expect(values["a.i32"]?.int == -3)
        #expect(values["a.u64"]?.int == nil)
        #expect(values["a.u64"]?.double == Double(UInt64.max))
        #expect(values["a.i64"]?.int == Int.min)
        #expect(values["a.f32"]?.double == 1.5)
        #expect(values["a.f32"]?.int == nil)
        #expect(values["a.f64"]?.double == 2.5)
        #expect(values["a.bool"]?.bool == true)
        #expect(values["a.bool"]?.int == nil)
        #expect(values["a.strings"]?.strings == ["a", "", "naïve"])
        #expect(values["a.strings"]?.ints == nil)
        #expect(values["a.floats"]?.floats == [0.25, -8])
        #expect(values["a.ints"]?.ints == [1, -2, 3])
        #expect(values["a.ints"]?.floats == [1, -2, 3])
        #expect(values["a.bools"]?.bools == [false, true])
        let nested = try #require(values["a.nested"]?.array?.arrays)
        #expect(nested[0].ints == [1, 2])
        #expect(nested[1].strings == ["x"])
    }

    @Test func readsTensors() throws {
        let file = try open(.sample)
        #expect(file.tensors.map(\.name) == ["plain", "quantised", "half"])
        let plain = try #require(file.tensor("plain"))
        #expect(plain.shape == [3, 4])
        #expect(plain.byteCount == 48)
        #expect(plain.row(1).load(as: UInt8.self) == 16)
        let quantised = try #require(file.tensor("quantised"))
        #expect(quantised.type == .q4_0)
        #expect(quantised.shape == [2, 32])
        #expect(quantised.bytes.load(as: UInt8.self) == 64)
        #expect(file.tensor("half")?.shape == [2, 2, 1, 2])
        #expect(file.tensor("absent") == nil)
    }

    @Test func keepsInvalidTextAsBytes() throws {
        var writer = GGUFWriter()
        writer.add("t", .array, GGUFWriter.array(8, 1, GGUFWriter.little(UInt64(2)) + [0x61, 0xFF]))
        let file = try open(writer)
        #expect(file.metadata["t"]?.strings == ["a\u{FFFD}"])
        #expect(file.metadata["t"]?.array?.byteStrings == [[0x61, 0xFF]])
    }

    @Test func opensAllPartsOfASplitModel() throws {
        let folder = try TemporaryFolder()
        for number in 0..<3 {
            var writer = GGUFWriter()
            writer.add("split.no", .uint16, GGUFWriter.little(UInt16(number)))
            writer.add("split.count", .uint16, GGUFWriter.little(UInt16(3)))
            writer.add("split.tensors.count", .int32, GGUFWriter.little(Int32(3)))
            writer.tensors = [.init(name: "t\(number)", dimensions: [8], type: 0, offset: 0)]
            writer.data = [UInt8](repeating: UInt8(number), count: 32)
            try folder.write(writer.bytes, as: "m-0000\(number + 1)-of-00003.gguf")
        }
        let file = try GGUFFile(path: folder.path + "/m-00001-of-00003.gguf")
        #expect(file.tensors.map(\.name) == ["t0", "t1", "t2"])
        #expect(file.tensor("t2")?.bytes.load(as: UInt8.self) == 2)
        let error = #expect(throws: ModelFileError.self) {
            try GGUFFile(path: folder.path + "/m-00002-of-00003.gguf")
        }
        #expect(error?.message.contains("open the first part") == true)
        guard case .gguf = try ModelFile.open(path: folder.path) else {
            Issue.record("the folder holds one model in three parts")
            return
        }
    }
}
