import MartinetModelFormats
import Testing

/// One wrong thing in a good file, and the words that must name it.
@Suite struct GGUFOffenceTests {
    struct Offence: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var code: ModelFileError.Code
        var words: String
        var spoil: @Sendable (inout GGUFWriter) -> Void

        init(
            _ name: String, _ code: ModelFileError.Code, _ words: String,
            _ spoil: @escaping @Sendable (inout GGUFWriter) -> Void
        ) {
            testDescription = name
            self.code = code
            self.words = words
            self.spoil = spoil
        }
    }

    static let offences: [Offence] = [
        Offence("magic", .notAModel, "does not begin with 'GGUF'") { $0.magic = "GGML" },
        Offence("version 1", .unsupported, "version 1") { $0.version = 1 },
        Offence("version 0", .unsupported, "version 0") { $0.version = 0 },
        Offence("version 4", .unsupported, "version 4") { $0.version = 4 },
        Offence("big-endian", .unsupported, "big-endian") { $0.version = UInt32(3).byteSwapped },
        Offence("too many keys", .truncated, "announces 18446744073709551615 metadata values") { $0.keyCount = .max },
        Offence("too many tensors", .truncated, "announces 1099511627776 tensors") { $0.tensorCount = 1 << 40 },
        Offence("one key too many", .invalid, "") { $0.keyCount = 18 },
        Offence("duplicate key", .invalid, "'a.u8' appears twice") { $0.add("a.u8", .uint8, [1]) },
        Offence("empty key", .invalid, "has 0 bytes") { $0.add("", .uint8, [1]) },
        Offence("key not UTF-8", .invalid, "not valid UTF-8") { $0.values.append(([0xFF, 0xFE], 0, [1])) },
        Offence("long key", .invalid, "70000 bytes") { $0.add(String(repeating: "k", count: 70_000), .uint8, [1]) },
        Offence("unknown value type", .invalid, "value type 13") { $0.values.append((Array("k".utf8), 13, [1])) },
        Offence("truth of 2", .invalid, "truth value 2") { $0.add("k", .bool, [2]) },
        Offence("truth of 2 in an array", .invalid, "truth value 2") {
            $0.add("k", .array, GGUFWriter.array(7, 1, [2]))
        },
        Offence("endless string", .truncated, "bytes of text") { $0.add("k", .string, GGUFWriter.little(UInt64.max)) },
        Offence("endless array", .truncated, "array elements") {
            $0.add("k", .array, GGUFWriter.array(6, UInt64(Int64.max), []))
        },
        Offence("endless array of strings", .truncated, "array elements") {
            $0.add("k", .array, GGUFWriter.array(8, 1 << 61, []))
        },
        Offence("deep array", .invalid, "nested deeper") {
            var payload = GGUFWriter.array(0, 0, [])
            for _ in 0..<5 { payload = GGUFWriter.array(9, 1, payload) }
            $0.add("k", .array, payload)
        },
        Offence("alignment of 24", .invalid, "general.alignment") {
            $0.add("general.alignment", .uint32, GGUFWriter.little(UInt32(24)))
        },
        Offence("alignment of 0", .invalid, "general.alignment") {
            $0.add("general.alignment", .uint32, GGUFWriter.little(UInt32(0)))
        },
        Offence("alignment of text", .invalid, "general.alignment") {
            $0.add("general.alignment", .string, GGUFWriter.string("32"))
        },
        Offence("no dimension", .invalid, "0 dimensions") { $0.tensors[0].dimensions = [] },
        Offence("five dimensions", .invalid, "5 dimensions") { $0.tensors[0].dimensions = [1, 1, 1, 1, 1] },
        Offence("zero dimension", .invalid, "dimension of 0") { $0.tensors[0].dimensions = [4, 0] },
        Offence("huge dimension", .invalid, "dimension of 18446744073709551615") { $0.tensors[0].dimensions = [.max] },
        Offence("overflowing shape", .invalid, "overflows") {
            $0.tensors[0].dimensions = [1 << 32, 1 << 30, 1 << 30, 4]
        },
        Offence("overflowing row", .invalid, "overflows") { $0.tensors[0].dimensions = [UInt64(Int64.max)] },
        Offence("half a block", .invalid, "not a multiple of Q4_0's block of 32") {
            $0.tensors[1].dimensions = [48, 2]
        },
        Offence("removed type", .unsupported, "Q4_2 (4), which the format has removed") { $0.tensors[0].type = 4 },
        Offence("removed interleaved type", .unsupported, "Q4_0_8_8") { $0.tensors[0].type = 33 },
        Offence("type we do not read", .unsupported, "IQ2_XXS") { $0.tensors[0].type = 16 },
        Offence("unknown type", .unsupported, "unknown type 4294967295") { $0.tensors[0].type = .max },
        Offence("duplicate tensor", .invalid, "'plain' appears twice") { $0.tensors[1].name = "plain" },
        Offence("empty tensor name", .invalid, "has 0 bytes") { $0.tensors[1].name = "" },
        Offence("long tensor name", .invalid, "65 bytes") { $0.tensors[1].name = String(repeating: "n", count: 65) },
        Offence("unaligned offset", .invalid, "not a multiple of 32") { $0.tensors[1].offset = 65 },
        Offence("offset out of the file", .truncated, "'half' needs 16 bytes") { $0.tensors[2].offset = 1 << 40 },
        Offence("huge offset", .invalid, "offset 18446744073709551584") { $0.tensors[2].offset = .max - 31 },
        Offence("last byte missing", .truncated, "'half' needs 16 bytes") { $0.data.removeLast() },
        Offence("no data", .truncated, "bytes of tensor data") { $0.data = [] },
        Offence("tensor too large", .truncated, "'plain' needs") { $0.tensors[0].dimensions = [4, 300] },
        Offence("overlap", .invalid, "overlap at offset 32") { $0.tensors[1].offset = 32 },
        Offence("the same bytes twice", .invalid, "overlap at offset 0") { $0.tensors[1].offset = 0 },
        Offence("parts by a wrong name", .invalid, "restore its name") {
            $0.add("split.count", .uint16, GGUFWriter.little(UInt16(2)))
        },
        Offence("countless parts", .invalid, "split.count") {
            $0.add("split.count", .uint32, GGUFWriter.little(UInt32.max))
        },
        Offence("tensors in all parts", .invalid, "announces 9 tensors") {
            $0.add("split.tensors.count", .int32, GGUFWriter.little(Int32(9)))
        },
    ]

    @Test(arguments: offences)
    func isNamed(_ offence: Offence) throws {
        var writer = GGUFWriter.sample
        offence.spoil(&writer)
        let folder = try TemporaryFolder()
        let path = try folder.write(writer.bytes, as: "model.gguf")
        let error = #expect(throws: ModelFileError.self) { try GGUFFile(path: path) }
        #expect(error?.file == path)
        if !offence.words.isEmpty {
            #expect(error?.code == offence.code)
            #expect(error?.message.contains(offence.words) == true, "\(error?.message ?? "")")
        }
    }

    @Test func filesThatAreNone() throws {
        let folder = try TemporaryFolder()
        let empty = try folder.write([], as: "empty.gguf")
        #expect(throws: ModelFileError.self) { try GGUFFile(path: empty) }
        let absent = #expect(throws: ModelFileError.self) { try GGUFFile(path: folder.path + "/absent") }
        #expect(absent?.code == .notFound)
        let directory = #expect(throws: ModelFileError.self) { try GGUFFile(path: folder.path) }
        #expect(directory?.code == .unreadable)
        let device = #expect(throws: ModelFileError.self) { try GGUFFile(path: "/dev/zero") }
        #expect(device?.message.contains("not a regular file") == true)
    }
}
