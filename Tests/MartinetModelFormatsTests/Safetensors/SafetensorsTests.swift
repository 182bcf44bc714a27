import MartinetModelFormats
import MartinetTensors
import Testing

@Suite struct SafetensorsTests {
    @Test func readsTensors() throws {
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: folder.write(SafetensorsWriter.sample, as: "model.safetensors"))
        #expect(file.metadata == ["format": "pt"])
        #expect(file.entries.map(\.name) == ["a", "b", "c"])
        let matrix = try #require(try file.tensor("a"))
        #expect(matrix.type == .float32)
        #expect(matrix.shape == [2, 3])
        #expect(matrix.row(1).load(as: UInt8.self) == 12)
        #expect(try file.tensor("b")?.type == .bfloat16)
        #expect(try file.tensor("absent") == nil)
        let error = #expect(throws: ModelFileError.self) { try file.tensor("c") }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("'I64'") == true)
    }

    struct Offence: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var words: String
        var bytes: [UInt8]

        init(_ name: String, _ words: String, _ header: String, data: Int = 0, announced: UInt64? = nil) {
            testDescription = name
            self.words = words
            bytes = SafetensorsWriter.bytes(header: header, data: data, announced: announced)
        }
    }

    private static func entry(_ name: String, _ type: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
        SafetensorsWriter.entry(name, type, shape, begin, end)
    }

    static let offences: [Offence] = [
        Offence("endless header", "announces a header of 18446744073709551615 bytes", "{}", announced: .max),
        Offence("header over the format's limit", "safetensors allows", "{}", announced: 100_000_001),
        Offence("header over the file's end", "but has only 2 more", "{}", announced: 3),
        Offence("no JSON", "not a safetensors file", "[]"),
        Offence("empty header", "not a safetensors file", ""),
        Offence("broken JSON", "not valid JSON", "{\"a\":"),
        Offence("text after the header", "after the end", "{}x"),
        Offence(
            "the same tensor twice", "appears twice",
            "{\(entry("a", "U8", "[1]", 0, 1)),\(entry("a", "U8", "[1]", 1, 2))}", data: 2),
        Offence("no type", "lacks dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", data: 4),
        Offence("no shape", "lacks dtype", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", data: 4),
        Offence("no offsets", "lacks dtype", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", data: 4),
        Offence(
            "three offsets", "lacks dtype", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}",
            data: 4),
        Offence("a number for a tensor", "lacks dtype", "{\"a\":1}"),
        Offence("metadata of the wrong kind", "__metadata__", "{\"__metadata__\":1}"),
        Offence("negative dimension", "not a count", "{\(entry("a", "F32", "[-1]", 0, 4))}", data: 4),
        Offence("fractional dimension", "not a count", "{\(entry("a", "F32", "[1.5]", 0, 4))}", data: 4),
        Offence("reversed range", "not a range", "{\(entry("a", "F32", "[1]", 4, 0))}", data: 4),
        Offence("negative offset", "not a range", "{\(entry("a", "F32", "[1]", -4, 0))}", data: 4),
        Offence("out of the file", "ends at 8, but the file has 4", "{\(entry("a", "F32", "[2]", 0, 8))}", data: 4),
        Offence(
            "shape that overflows", "overflows", "{\(entry("a", "F32", "[9223372036854775807,4]", 0, 4))}", data: 4),
        Offence("shape larger than the range", "needs 8", "{\(entry("a", "F32", "[2]", 0, 4))}", data: 4),
        Offence("overlap", "overlaps", "{\(entry("a", "U8", "[4]", 0, 4)),\(entry("b", "U8", "[4]", 2, 6))}", data: 6),
        Offence(
            "gap", "belong to no tensor", "{\(entry("a", "U8", "[2]", 0, 2)),\(entry("b", "U8", "[2]", 4, 6))}", data: 6
        ),
        Offence("bytes at the end", "5 bytes after its last tensor", "{\(entry("a", "U8", "[1]", 0, 1))}", data: 6),
    ]

    @Test(arguments: offences)
    func offenceIsNamed(_ offence: Offence) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(offence.bytes, as: "model.safetensors")
        let error = #expect(throws: ModelFileError.self) { try SafetensorsFile(path: path) }
        #expect(error?.file == path)
        #expect(error?.message.contains(offence.words) == true, "\(error?.message ?? "")")
    }

    @Test func refusesUnusableTensorsOnlyWhenAsked() throws {
        let folder = try TemporaryFolder()
        // A header of 105 bytes puts the second tensor, of floats, at an odd place.
        let header =
            "{\(Self.entry("a", "U8", "[1]", 0, 1)),\(Self.entry("b", "F32", "[1]", 1, 5)),\(Self.entry("s", "F32", "[]", 5, 9)),"
            + "\(Self.entry("z", "F32", "[0]", 9, 9)),\(Self.entry("n", "F4_NEW", "[2]", 9, 10))}"
        let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        let file = try SafetensorsFile(
            path: folder.write(SafetensorsWriter.bytes(header: padded, data: 10), as: "m.safetensors"))
        #expect(file.entries.count == 5)
        for (name, words) in [
            ("b", "not a multiple of 4"), ("s", "not a multiple"), ("z", "not a multiple"), ("n", "F4_NEW"),
        ] {
            let error = #expect(throws: ModelFileError.self) { try file.tensor(name) }
            #expect(error?.code == .unsupported)
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
    }

    @Test func everyPrefixIsAnError() throws {
        let folder = try TemporaryFolder()
        let bytes = SafetensorsWriter.sample
        for count in 0..<bytes.count {
            let path = try folder.write(bytes.prefix(count), as: "prefix.safetensors")
            #expect(throws: ModelFileError.self, "the first \(count) bytes") { try SafetensorsFile(path: path) }
        }
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func mutations(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let folder = try TemporaryFolder()
        var (opened, refused) = (0, 0)
        for _ in 0..<2500 {
            let path = try folder.write(SafetensorsWriter.sample.mutated(&generator), as: "mutated.safetensors")
            do throws(ModelFileError) {
                let file = try SafetensorsFile(path: path)
                for entry in file.entries {
                    guard let view = try? file.tensor(entry.name) else { continue }
                    _ = view.row(view.rows - 1).load(fromByteOffset: view.rowBytes - 1, as: UInt8.self)
                }
                opened += 1
            } catch {
                #expect(!error.message.isEmpty)
                refused += 1
            }
        }
        #expect(opened > 0 && refused > 1000)
    }
}
