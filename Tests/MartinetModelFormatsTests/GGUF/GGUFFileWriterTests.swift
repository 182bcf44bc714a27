import FoundationEssentials
import MartinetModelFormats
import MartinetTensors
import Testing

/// What is written is what is read.
struct GGUFFileWriterTests {
    let folder: TemporaryFolder
    let sample: GGUFFile

    init() throws {
        folder = try TemporaryFolder()
        sample = try GGUFFile(path: folder.write(GGUFWriter.sample.bytes, as: "sample.gguf"))
    }

    private var output: String { folder.path + "/out.gguf" }
    private var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
    }

    private func writer(_ tensors: [GGUFTensorDescription]? = nil, replaces: Bool = false) throws -> GGUFFileWriter {
        try GGUFFileWriter(
            path: output,
            metadata: sample.keys.compactMap { key in sample.metadata[key].map { (key, GGUFEncodedValue($0)) } },
            tensors: tensors
                ?? sample.tensors.map {
                    GGUFTensorDescription(name: $0.name, type: $0.view.type, shape: $0.view.shape)
                },
            replaces: replaces)
    }

    private func bytes(_ view: TensorView) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: view.bytes, count: view.byteCount)
    }

    /// Every type of value, and tensors in pieces.
    @Test(arguments: [1, 7, 1000]) func aCopyIsTheSame(_ piece: Int) throws {
        let writer = try writer()
        for tensor in sample.tensors {
            let bytes = bytes(tensor.view)
            for start in stride(from: 0, to: bytes.count, by: piece) {
                try writer.write(UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + piece)]))
            }
        }
        #expect(try !names.contains("out.gguf"))
        let size = try writer.finish()
        #expect(try names == ["out.gguf", "sample.gguf"])
        let copy = try GGUFFile(path: output)
        #expect(size == copy.files[0].count)
        #expect(copy.version == 3)
        #expect(copy.keys == sample.keys)
        for key in sample.keys {
            #expect(
                String(describing: copy.metadata[key]?.type) == String(describing: sample.metadata[key]?.type), "\(key)"
            )
            #expect(copy.metadata[key]?.double == sample.metadata[key]?.double, "\(key)")
            #expect(copy.metadata[key]?.string == sample.metadata[key]?.string, "\(key)")
            #expect(copy.metadata[key]?.bool == sample.metadata[key]?.bool, "\(key)")
            #expect(copy.metadata[key]?.strings == sample.metadata[key]?.strings, "\(key)")
            #expect(copy.metadata[key]?.floats == sample.metadata[key]?.floats, "\(key)")
            #expect(copy.metadata[key]?.bools == sample.metadata[key]?.bools, "\(key)")
        }
        let nested = try #require(copy.metadata["a.nested"]?.array?.arrays)
        #expect(nested[0].ints == [1, 2])
        #expect(nested[1].strings == ["x"])
        #expect(copy.tensors.map(\.name) == sample.tensors.map(\.name))
        for (new, old) in zip(copy.tensors, sample.tensors) {
            #expect(new.view.shape == old.view.shape)
            #expect(new.view.type == old.view.type)
            #expect(bytes(new.view).elementsEqual(bytes(old.view)))
        }
    }

    @Test func newValuesAreRead() throws {
        let values: [(key: String, value: GGUFEncodedValue)] = [
            ("u", .uint32(.max)), ("f", .float32(-0.5)), ("b", .bool(true)), ("s", .string("naïve \u{0}")),
            ("strings", .strings(["", "ä"])), ("ints", .int32s([-1, 5])), ("floats", .float32s([1.5])),
            ("bools", .bools([true, false])),
        ]
        try GGUFFileWriter(path: output, metadata: values, tensors: []).finish()
        let metadata = try GGUFFile(path: output).metadata
        #expect(metadata["u"]?.int == 4_294_967_295)
        #expect(metadata["f"]?.double == -0.5)
        #expect(metadata["b"]?.bool == true)
        #expect(metadata["s"]?.string == "naïve \u{0}")
        #expect(metadata["strings"]?.strings == ["", "ä"])
        #expect(metadata["ints"]?.ints == [-1, 5])
        #expect(metadata["floats"]?.floats == [1.5])
        #expect(metadata["bools"]?.bools == [true, false])
    }

    @Test func aFileIsReplacedOnRequestAlone() throws {
        try folder.write("precious".utf8, as: "out.gguf")
        let error = try #require(throws: ModelFileError.self) { _ = try writer([]) }
        #expect(error.code == .exists)
        #expect(error.message.contains("--force"))
        try writer([], replaces: true).finish()
        #expect(try GGUFFile(path: output).tensors.isEmpty)
    }

    @Test func aFileThatComesMeanwhileStays() throws {
        let writer = try writer([])
        try folder.write("precious".utf8, as: "out.gguf")
        let error = try #require(throws: ModelFileError.self) { try writer.finish() }
        #expect(error.code == .exists)
        #expect(try Data(contentsOf: URL(filePath: output)) == Data("precious".utf8))
    }

    @Test func nothingStaysOfAnAbandonedFile() throws {
        do {
            let writer = try writer()
            try writer.write(bytes(sample.tensors[0].view))
            #expect(try names == [".out.gguf.partial", "sample.gguf"])
        }
        #expect(try names == ["sample.gguf"])
    }

    @Test func aPartialFileOfAStoppedProcessIsInNoOnesWay() throws {
        try folder.write([UInt8](repeating: 1, count: 10_000), as: ".out.gguf.partial")
        try writer([]).finish()
        #expect(try GGUFFile(path: output).tensors.isEmpty)
        #expect(try names == ["out.gguf", "sample.gguf"])
    }

    @Test func twoWritersAreToldApart() throws {
        let first = try writer([])
        let error = try #require(throws: ModelFileError.self) { _ = try writer([]) }
        #expect(error.message.contains("another process"))
        try first.finish()
        #expect(try GGUFFile(path: output).tensors.isEmpty)
    }

    @Test func bytesMustBeThoseOfTheTensors() throws {
        let writer = try writer()
        let early = try #require(throws: ModelFileError.self) { try writer.finish() }
        #expect(early.message.contains("fewer"))
        let whole = [UInt8](repeating: 0, count: 49)
        let late = try #require(throws: ModelFileError.self) { try whole.withUnsafeBytes { try writer.write($0) } }
        #expect(late.message.contains("more"))
    }

    @Test(arguments: [
        GGUFTensorDescription(name: "", type: .float32, shape: [1]),
        GGUFTensorDescription(name: String(repeating: "x", count: 65), type: .float32, shape: [1]),
        GGUFTensorDescription(name: "t", type: .float32, shape: []),
        GGUFTensorDescription(name: "t", type: .float32, shape: [1, 1, 1, 1, 1]),
        GGUFTensorDescription(name: "t", type: .float32, shape: [2, 0]),
        GGUFTensorDescription(name: "t", type: .q4_0, shape: [2, 33]),
        GGUFTensorDescription(name: "t", type: .float32, shape: [.max, .max]),
        GGUFTensorDescription(name: "t", type: .float32, shape: [1 << 30, 1 << 30]),
    ])
    func tensorsThatNoFileHoldsAreRefused(_ tensor: GGUFTensorDescription) throws {
        let error = try #require(throws: ModelFileError.self) { _ = try writer([tensor]) }
        #expect(error.code == .invalid)
        #expect(try names == ["sample.gguf"])
    }

    @Test func namesAreUsedOnce() throws {
        let tensor = GGUFTensorDescription(name: "t", type: .float32, shape: [1])
        #expect(throws: ModelFileError.self) { _ = try writer([tensor, tensor]) }
        #expect(throws: ModelFileError.self) {
            _ = try GGUFFileWriter(path: output, metadata: [("k", .bool(true)), ("k", .bool(true))], tensors: [])
        }
        #expect(throws: ModelFileError.self) {
            _ = try GGUFFileWriter(path: output, metadata: [("general.alignment", .uint32(64))], tensors: [])
        }
    }

    @Test(arguments: ["/missing/out.gguf", "", "/"]) func placesThatCannotBeWrittenAreNamed(_ end: String) throws {
        let path = folder.path + end
        let error = try #require(throws: ModelFileError.self) {
            _ = try GGUFFileWriter(path: path, metadata: [], tensors: [])
        }
        #expect(error.code == .unwritable)
        #expect(error.file == path)
    }
}
