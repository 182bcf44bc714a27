import MartinetAPI
import Testing

/// Forms, whole and in pieces, right and wrong.
@Suite struct MultipartParserTests {
    static let type = "multipart/form-data; boundary=\"a b\""
    static let form = """
        ignored\r\n--a b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--a b  \r\n\
        content-disposition:form-data;filename="a\\"b\\\\c\\d;.jsonl"; name=file\r\nContent-Type: text/plain\r\n\r\n\
        \r\n--a c\r\n--a \r\n-\r--a b\n\r\n--a b\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n--a b--\r\nrest
        """

    /// Reads a form in pieces and joins contents.
    static func read(_ bytes: [UInt8], pieces: Int = .max, type: String = type) throws(APIError) -> [MultipartParser
        .Event]
    {
        var parser = try MultipartParser(contentType: type)
        var events: [MultipartParser.Event] = []
        var position = 0
        while position < bytes.count {
            let end = position + min(pieces, bytes.count - position)
            for event in try parser.consume(bytes[position..<end]) {
                if case .bytes(let new) = event, case .bytes(let old)? = events.last {
                    events[events.count - 1] = .bytes(old + new)
                } else {
                    events.append(event)
                }
            }
            position = end
        }
        try parser.finish()
        return events
    }

    @Test(arguments: [.max, 1, 2, 3, 5, 7, 64]) func piecesMakeNoDifference(pieces: Int) throws {
        let events = try Self.read(Array(Self.form.utf8), pieces: pieces)
        #expect(
            events == [
                .part(name: "purpose", filename: nil), .bytes(Array("batch".utf8)), .end,
                .part(name: "file", filename: "a\"b\\c\\d;.jsonl"),
                .bytes(Array("\r\n--a c\r\n--a \r\n-\r--a b\n".utf8)), .end, .part(name: "empty", filename: nil), .end,
            ])
    }

    @Test(arguments: [
        nil, "", "application/json", "multipart/form-data", "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        "multipart/form-data; boundary=\"\u{E9}\"",
        "multipart/form-data; boundary=" + String(repeating: "x", count: 71),
        "multipart/form-data; boundary", "multipart/form-data;;;=;boundary=\"", "multipart/form-data; boundary=\"\\",
    ]) func refusesOtherTypes(type: String?) {
        #expect(throws: APIError.self) { try MultipartParser(contentType: type) }
    }

    @Test(arguments: [
        "", "--x", "--x\r\n", "--x\r\n\r\n\r\n--x--",
        "--x\r\nContent-Disposition: attachment; name=a\r\n\r\n--x--",
        "--x\r\nContent-Disposition: form-data; filename=a\r\n\r\nb\r\n--x--", "--xy", "--x y",
        "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x-",
        "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x\r\n",
        "--x\nContent-Disposition: form-data; name=a",
        "--x" + String(repeating: " ", count: 9000), String(repeating: "y", count: 9000),
        "--x\r\n" + String(repeating: "y", count: 9000),
    ]) func refusesWhatIsNoForm(text: String) {
        for pieces in [1, 1000, .max] {
            #expect(throws: APIError.self) {
                try Self.read(Array(text.utf8), pieces: pieces, type: "multipart/form-data; boundary=x")
            }
        }
    }

    @Test func refusesManyParts() {
        let part = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n"
        let type = "multipart/form-data; boundary=x"
        for (count, isTaken) in [(MultipartParser.maximumParts, true), (MultipartParser.maximumParts + 1, false)] {
            let events = try? Self.read(
                Array((String(repeating: part, count: count) + "--x--").utf8), type: type)
            #expect((events != nil) == isTaken)
        }
    }

    /// Whatever comes, it is taken or refused, and pieces still make no difference.
    @Test func mutatedForms() {
        var random = SeededRandom(state: 11)
        let form = Array(Self.form.utf8)
        for _ in 0..<2000 {
            var bytes = form
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: position)
                case 2: bytes.insert([13, 10, 45, 0, 34, 92, 59].randomElement(using: &random) ?? 0, at: position)
                default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<20, using: &random)))
                }
            }
            let whole = try? Self.read(bytes)
            #expect(whole == (try? Self.read(bytes, pieces: 1)))
        }
    }
}
