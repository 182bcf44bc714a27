/// Writes safetensors files from header text, wrong ones too.
enum SafetensorsWriter {
    static func bytes(header: String, data: Int, announced: UInt64? = nil) -> [UInt8] {
        GGUFWriter.little(announced ?? UInt64(header.utf8.count)) + Array(header.utf8)
            + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
    }

    static func entry(_ name: String, _ type: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
    }

    /// F32, BF16 and I64 tensors; the header is padded so that data start at a multiple of eight.
    static var sample: [UInt8] {
        var header =
            "{\"__metadata__\":{\"format\":\"pt\"}," + entry("a", "F32", "[2,3]", 0, 24) + ","
            + entry("b", "BF16", "[4]", 24, 32) + "," + entry("c", "I64", "[1]", 32, 40) + "}"
        while header.utf8.count % 8 != 0 { header += " " }
        return bytes(header: header, data: 40)
    }
}
