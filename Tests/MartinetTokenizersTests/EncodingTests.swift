import Foundation
import MartinetTokenizers
import Testing

@Suite("Ids against Python's tokenizers") struct EncodingTests {
    @Test("Same ids", arguments: Reference.gguf + Reference.json)
    func sameIDs(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        let expected = try reference.expectation()
        #expect(Reference.corpus.count >= 250)
        #expect(expected.parse.count == Reference.corpus.count)
        var compared = 0
        for (index, text) in Reference.corpus.enumerated() {
            for specials in [SpecialTokenHandling.parse, .asText] {
                let ids = tokenizer.encode(text, specials: specials)
                #expect(
                    ids == expected.ids(index, specials), "\(index) \(specials): \(text.debugDescription.prefix(200))")
                compared += 1
            }
        }
        print("\(reference.name): \(compared) encodings equal Python's")
    }

    @Test("Decoding equals Python's", arguments: Reference.json.suffix(4))
    func decoding(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        let expected = try reference.expectation()
        let decoded = try #require(expected.decoded)
        for (ids, text) in zip(expected.parse, decoded) {
            #expect(tokenizer.decode(ids).utf8.elementsEqual(text.utf8), "\(text.debugDescription)")
        }
    }

    @Test("Round trip", arguments: Array(Reference.byteLevel))
    func roundTrip(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        let composes = reference.name.hasSuffix("qwen2")
        var generator = SeededGenerator(state: 7)
        let random = (0..<300).map { _ in generator.text(upTo: 60) }
        for text in Reference.corpus + random {
            let back = tokenizer.decode(tokenizer.encode(text, specials: .asText), includeSpecial: true)
            // String comparison is by canonical equivalence, which is what form C keeps.
            #expect(composes ? back == text : back.utf8.elementsEqual(text.utf8), "\(text.debugDescription)")
        }
    }

    @Test("Invalid UTF-8 is replaced as Python does")
    func invalidUTF8() throws {
        let tokenizer = try Reference.json[0].tokenizer()
        let cases: [([UInt8], String)] = [
            ([0xff], "\u{FFFD}"), ([0x61, 0xe2, 0x82], "a\u{FFFD}"), ([0xe2, 0x82, 0x41], "\u{FFFD}A"),
            ([0xf0, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xed, 0xa0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0xf0, 0x9f, 0x98, 0xe2, 0x82, 0xac], "\u{FFFD}€"), ([0xc0, 0xaf], "\u{FFFD}\u{FFFD}"),
        ]
        for (bytes, text) in cases {
            #expect(tokenizer.encode(bytes: bytes, specials: .asText) == tokenizer.encode(text, specials: .asText))
        }
    }

    @Test("A long run costs no quadratic time", arguments: Reference.small)
    func longRun(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        let text = String(repeating: "a", count: 1_000_000)
        let time = ContinuousClock().measure {
            #expect(tokenizer.decode(tokenizer.encode(text, specials: .asText)) == text)
        }
        // A quadratic merge would take hours.
        #expect(time < .seconds(30))
    }

    @Test("Speed")
    func speed() throws {
        for reference in Reference.gguf where ["smollm2", "qwen2", "gemma3"].contains(reference.name) {
            let clock = ContinuousClock()
            var tokenizer: (any Tokenizer)?
            let load = try clock.measure { tokenizer = try reference.tokenizer() }
            let text = Reference.corpus.filter { $0.utf8.count < 400 }.joined(separator: "\n")
            let long = String(repeating: text, count: 40)
            let english = String(repeating: Reference.corpus[0] + " It's 2024, and we've seen it all.\n", count: 10000)
            for (name, sample) in [("mixed", long), ("english", english)] {
                var count = 0
                let time = clock.measure { count = tokenizer?.encode(sample, specials: .asText).count ?? 0 }
                let seconds = Double(time.components.attoseconds) / 1e18 + Double(time.components.seconds)
                let rate = Double(sample.utf8.count) / 1e6 / seconds
                print("\(reference.name) \(name): \(rate) MB/s, \(count) tokens; loaded in \(load)")
                #expect(count > 0)
            }
        }
    }
}
