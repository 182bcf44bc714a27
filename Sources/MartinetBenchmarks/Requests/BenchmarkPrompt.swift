internal import Foundation

/// What a request asks.
public struct BenchmarkPrompt: Sendable, Hashable {
    /// A message of a conversation.
    public struct Message: Sendable, Hashable, Codable {
        /// Who speaks.
        public var role: String
        /// What is said.
        public var content: String
    }

    /// What is said, in one message or several.
    public var messages: [Message]

    /// A single text.
    public init(text: String) { messages = [Message(role: "user", content: text)] }

    private init(messages: [Message]) { self.messages = messages }

    /// Everything as one text, for servers' completions.
    public var text: String { messages.map(\.content).joined(separator: "\n") }

    /// Text of about `count` tokens: common words, each of which most vocabularies hold as one token.
    ///
    /// The words are random, so that no server answers from a cache of prefixes; a seed and an index fix them.
    public static func randomWords(count: Int, seed: UInt64, index: Int) -> BenchmarkPrompt {
        var random = SeededGenerator(seed: seed, stream: UInt64(truncatingIfNeeded: index) &+ 1)
        return BenchmarkPrompt(
            text: (0..<max(1, count)).map { _ in words[Int.random(in: 0..<words.count, using: &random)] }
                .joined(separator: " "))
    }

    /// Reads prompts from text: each line is one, or a JSON object with `prompt` or `messages`. Empty lines are skipped.
    ///
    /// - Throws: ``BenchmarkError`` for a line that begins as an object and holds neither, or where there is no prompt.
    public static func parse(_ text: String, file: String) throws(BenchmarkError) -> [BenchmarkPrompt] {
        struct Line: Decodable {
            var prompt: String?
            var messages: [Message]?
        }
        var prompts: [BenchmarkPrompt] = []
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = line.drop(while: \.isWhitespace)
            guard !line.isEmpty else { continue }
            guard line.first == "{" else {
                prompts.append(BenchmarkPrompt(text: String(line)))
                continue
            }
            let decoded = try? JSONDecoder().decode(Line.self, from: Data(line.utf8))
            if let prompt = decoded?.prompt {
                prompts.append(BenchmarkPrompt(text: prompt))
            } else if let messages = decoded?.messages, !messages.isEmpty {
                prompts.append(BenchmarkPrompt(messages: messages))
            } else {
                throw BenchmarkError(
                    #"""
                    Line \#(number + 1) of \#(file) must be a text, or an object with "prompt" or "messages" of texts.
                    """#)
            }
        }
        guard !prompts.isEmpty else { throw BenchmarkError("\(file) holds no prompts.") }
        return prompts
    }

    private static let words = """
        a about after again all also always an and another any are around as at away back be because been before best \
        better between big book both business but by call came can case change child city come company could country day \
        did different do does done down each early end even ever every face fact family far feel few find first for form \
        found four free from full gave get give go going good government great group had half hand hard has have he head \
        help her here high him his home house how idea if important in interest into is it its job just keep kind know \
        large last later law lead learn least left less let life light like line little live local long look lot made \
        main make man many may me mean men might mind money month more morning most move much must my name near need \
        never new next night no not nothing now number of off office often old on once one only open or order other our \
        out over own part people place plan play point power problem program public put question read real right room \
        run said same saw say school second see seem service set several she short should show side since small so some \
        something state still story such system take talk team tell than that the their them then there these they thing \
        think this those though thought three through time to today together too took turn two under until up us use very \
        want war was water way we week well went were what when where which while white who why will with without woman \
        word work world would write year yet you young your
        """.split(separator: " ").map(String.init)
}
