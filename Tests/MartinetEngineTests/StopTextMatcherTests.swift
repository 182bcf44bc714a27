import MartinetEngine
import Testing

@Suite struct StopTextMatcherTests {
    private func run(_ pieces: [String], stops: [String], includes: Bool = false) -> (text: String, stop: String?) {
        var matcher = StopTextMatcher(stops: stops, includesStop: includes)
        var text = ""
        for piece in pieces {
            let output = matcher.append(piece)
            text += output.text
            if let stop = output.stop { return (text, stop) }
        }
        return (text + matcher.finish(), nil)
    }

    @Test(
        arguments: [
            ("Hello END world", ["END"], "Hello ", "END"), ("no stop", ["END"], "no stop", nil),
            ("EEND", ["END"], "E", "END"), ("ababac", ["abac"], "ab", "abac"), ("xé日y", ["日"], "xé", "日"),
            ("aab", ["ab", "aab"], "", "aab"), ("abc", ["abcd", "bc"], "a", "bc"), ("", ["x"], "", nil),
            ("tail EN", ["END"], "tail EN", nil), ("a\n\nb", ["\n\n"], "a", "\n\n"), ("abc", ["", "c"], "ab", "c"),
        ] as [(String, [String], String, String?)])
    func findsStopsHoweverTheTextIsCut(text: String, stops: [String], expected: String, stop: String?) {
        let characters = text.map(String.init)
        for cut in 0...characters.count {
            let pieces = [characters[..<cut].joined(), characters[cut...].joined()]
            #expect(run(pieces, stops: stops).text == expected)
            #expect(run(pieces, stops: stops).stop == stop)
        }
        let single = run(characters, stops: stops)
        // Character by character the earliest completed match wins; text before it is the same or longer.
        #expect((single.stop == nil) == (stop == nil))
        let included = run([text], stops: stops, includes: true)
        #expect(included.text == expected + (stop ?? ""))
    }

    @Test func sendsTextAsSoonAsItCannotBeginAStop() {
        var matcher = StopTextMatcher(stops: ["\nUser:"], includesStop: false)
        #expect(matcher.append("Hi").text == "Hi")
        #expect(matcher.append("\nUs").text == "")
        #expect(matcher.append("ing").text == "\nUsing")
        #expect(matcher.append("\nUser:").stop == "\nUser:")
    }

    @Test func letsStopsPassBeforeMinTokens() {
        var matcher = StopTextMatcher(stops: ["x"], includesStop: false)
        #expect(matcher.append("axb", searches: false).text == "axb")
        #expect(matcher.append("x").stop == "x")
    }
}
