import MartinetTokenizers
import Testing

@Suite("Detokenisation") struct DetokenizerTests {
    @Test("Token by token equals at once", arguments: Reference.json)
    func incremental(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        let expected = try reference.expectation()
        for ids in expected.parse {
            var bytes = ids.flatMap { tokenizer.bytes(of: $0, includeSpecial: true) }
            if tokenizer.dropsLeadingSpace, bytes.first == 0x20 { bytes.removeFirst() }
            let whole = String(decoding: bytes, as: UTF8.self)
            var detokenizer = IncrementalDetokenizer(tokenizer, includeSpecial: true)
            var text = ""
            for id in ids {
                text += detokenizer.append(id)
                // A copy may end here: what is emitted so far, and the rest replaced.
                var copy = detokenizer
                let rest = copy.finish()
                #expect(rest.unicodeScalars.allSatisfy { $0 == "\u{FFFD}" })
            }
            text += detokenizer.finish()
            #expect(text.utf8.elementsEqual(whole.utf8))
        }
    }

    @Test("Random ids decode as bytes with replacement", arguments: Reference.json)
    func random(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        var generator = SeededGenerator(state: 11)
        for _ in 0..<500 {
            let ids = (0..<20).map { _ in
                Int32.random(
                    in: -2..<Int32(Bool.random(using: &generator) ? 260 : tokenizer.vocabularySize + 3),
                    using: &generator)
            }
            var bytes = ids.flatMap { tokenizer.bytes(of: $0, includeSpecial: false) }
            if tokenizer.dropsLeadingSpace, bytes.first == 0x20 { bytes.removeFirst() }
            #expect(tokenizer.decode(ids).utf8.elementsEqual(String(decoding: bytes, as: UTF8.self).utf8))
        }
    }

    @Test("Random ids decode as in Python", arguments: Array(Reference.json.prefix(4)))
    func randomAgainstPython(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        let sequences = try #require(try reference.expectation().random)
        #expect(sequences.count == 150)
        for sequence in sequences {
            #expect(tokenizer.decode(sequence.ids).utf8.elementsEqual(sequence.text.utf8), "\(sequence.ids)")
        }
    }

    @Test("Bytes of a character are held back until it is whole")
    func heldBack() throws {
        let tokenizer = try Reference.json[4].tokenizer()
        let bytes = try Array("é€😀".utf8).map { byte in
            let hex = String(byte, radix: 16, uppercase: true)
            return try #require(tokenizer.token(named: "<0x\(hex)>"))
        }
        var detokenizer = IncrementalDetokenizer(tokenizer, includeSpecial: false)
        #expect(bytes.map { detokenizer.append($0) } == ["", "é", "", "", "€", "", "", "", "😀"])
        #expect(detokenizer.append(bytes[2]) == "")
        #expect(detokenizer.finish() == "\u{FFFD}")
    }

    @Test("A leading space is dropped at the start only")
    func leadingSpace() throws {
        let tokenizer = try Reference.json[4].tokenizer()
        let ids = tokenizer.encode("Hello", specials: .asText)
        #expect(tokenizer.decode(ids) == "Hello")
        var detokenizer = IncrementalDetokenizer(tokenizer, includeSpecial: false, continuesText: true)
        #expect(ids.map { detokenizer.append($0) }.joined() + detokenizer.finish() == " Hello")
    }
}
