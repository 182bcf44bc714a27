import Foundation
import MartinetTemplates
import Testing

/// A turn as its pieces join.
struct ReadTurn: Equatable, CustomStringConvertible {
    struct Call: Equatable {
        var name: String
        var arguments: String
    }
    var reasoning = ""
    var text = ""
    var calls: [Call] = []

    init(_ text: String = "", reasoning: String = "", calls: [(String, String)] = []) {
        self.text = text
        self.reasoning = reasoning
        self.calls = calls.map { Call(name: $0.0, arguments: $0.1) }
    }

    init(_ parser: TurnParser, chunks: some Swift.Sequence<String>) {
        var parser = parser
        for chunk in chunks { for piece in parser.add(chunk) { add(piece) } }
        for piece in parser.finish() { add(piece) }
    }

    private mutating func add(_ piece: TurnPiece) {
        switch piece {
        case .reasoning(let text):
            #expect(!text.isEmpty)
            reasoning += text
        case .text(let more):
            #expect(!more.isEmpty)
            text += more
        case .call(let index, let name):
            #expect(index == calls.count)
            calls.append(Call(name: name, arguments: ""))
        case .arguments(let index, let text):
            #expect(index == calls.count - 1 && !text.isEmpty)
            calls[index].arguments += text
        }
    }

    var description: String { "reasoning \"\(reasoning)\", text \"\(text)\", calls \(calls)" }
}

/// A text and how it must be read.
struct TurnCase: Sendable, CustomStringConvertible {
    var format: ToolCallFormat
    var text: String
    var expected: String
    var calls: [(String, String)]
    var description: String { "\(format): \(text)" }

    init(_ format: ToolCallFormat, _ text: String, _ expected: String = "", calls: [(String, String)] = []) {
        self.format = format
        self.text = text
        self.expected = expected
        self.calls = calls
    }
}

@Suite struct TurnParserTests {
    static let cases: [TurnCase] = [
        .init(.hermes, "Hello <world>, a < b\n", "Hello <world>, a < b\n"),
        .init(
            .hermes, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\\\"\"}]}}\n</tool_call>",
            calls: [("f", "{\"a\": [1, {\"b\": \"}\\\"\"}]}")]),
        .init(
            .hermes,
            "I look.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n"
                + "<tool_call>{\"arguments\":{\"x\":1},\"name\":\"g\"}</tool_call>\nDone.", "I look.\nDone.",
            calls: [("f", "{}"), ("g", "{\"x\":1}")]),
        .init(.hermes, "<tool_call>{\"name\": \"f\"}</tool_call>", calls: [("f", "{}")]),
        .init(
            .hermes, "<tool_call>{\"name\": \"f\", \"arguments\": null, \"id\": [1, \"}\"]}}</tool_call>",
            calls: [("f", "{}")]),
        .init(
            .hermes, "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>",
            calls: [("f", "{\"a\": 1}")]),
        .init(
            .hermes,
            "<tool_call>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"parameters\": {}}]</tool_call>",
            calls: [("f", "{}"), ("g", "{}")]),
        .init(
            .hermes,
            "<tool_call>{\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1}}}</tool_call>",
            calls: [("f", "{\"a\": 1}")]),
        // Broken: text where nothing was announced yet, else the arguments as they are.
        .init(.hermes, "<tool_call>hello</tool_call>", "<tool_call>hello</tool_call>"),
        .init(.hermes, "a <tool_call>{\"name\": 5}</tool_call>", "a <tool_call>{\"name\": 5}</tool_call>"),
        .init(.hermes, "<tool_call>{\"name\": \"f\", \"arg", "<tool_call>{\"name\": \"f\", \"arg"),
        .init(
            .hermes, "<tool_call>{\"name\": \"f\", \"arguments\": }", "<tool_call>{\"name\": \"f\", \"arguments\": }"),
        .init(.hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b", calls: [("f", "{\"a\": \"b")]),
        .init(
            .hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}</tool_call>x", "x",
            calls: [("f", "{\"a\": 1}")]),
        .init(
            .hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": </tool_call>x", "x",
            calls: [("f", "{\"a\": ")]),
        .init(
            .hermes, "<tool_call><tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", "<tool_call>",
            calls: [("f", "{}")]),
        .init(.hermes, "<tool_call>{} <tool_", "<tool_call>{} <tool_"),
        .init(
            .llama3JSON, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}; {\"name\": \"g\", \"parameters\": {}}",
            calls: [("f", "{\"a\": 1}"), ("g", "{}")]),
        .init(
            .llama3JSON, "<|python_tag|>{\"type\": \"function\", \"name\": \"f\", \"parameters\": {\"a\": 1}}",
            calls: [("f", "{\"a\": 1}")]),
        .init(
            .llama3JSON, "Well. <|python_tag|>{\"name\": \"other\", \"parameters\": {}}", "Well.",
            calls: [("other", "{}")]),
        .init(.llama3JSON, "<|python_tag|>print(1)", "<|python_tag|>print(1)"),
        .init(.llama3JSON, "{\"name\": \"Alice\", \"age\": 3}", "{\"name\": \"Alice\", \"age\": 3}"),
        .init(.llama3JSON, " {\"name\": \"f\", \"age\": 3}\n", " {\"name\": \"f\", \"age\": 3}\n"),
        .init(.llama3JSON, "Use {\"name\": \"f\", \"parameters\": {}}", "Use {\"name\": \"f\", \"parameters\": {}}"),
        .init(.llama3JSON, "{\"answer\": {\"name\": \"f\"}}", "{\"answer\": {\"name\": \"f\"}}"),
        .init(
            .json, "[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {\"b\": 2}}]",
            calls: [("f", "{}"), ("g", "{\"b\": 2}")]),
        .init(.json, "[1, 2]", "[1, 2]"),
        .init(.json, "{\"name\": \"f\", \"arguments\": {}} Hm.", " Hm.", calls: [("f", "{}")]),
        .init(
            .pythonic, "[f(a=1, b=\"x\"), g(c=[True, None, -2.5], d={'k': 'v, )'})]",
            calls: [("f", "{\"a\":1,\"b\":\"x\"}"), ("g", "{\"c\":[true,null,-2.5],\"d\":{\"k\":\"v, )\"}}")]),
        .init(.pythonic, "[f()]", calls: [("f", "{}")]),
        .init(.pythonic, "[link](f)", "[link](f)"),
        .init(.pythonic, "[other(a=1)]", "[other(a=1)]"),
        .init(.pythonic, "[f(a=x)] and", "[f(a=x)] and"),
        .init(.pythonic, "[f(1)]", "[f(1)]"),
        .init(.pythonic, "<|python_start|>[f(a='\\n\\u00e9')]<|python_end|>", calls: [("f", "{\"a\":\"\\n\u{e9}\"}")]),
        .init(
            .mistral, "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"123456789\"}]",
            calls: [("f", "{\"a\": 1}")]),
        .init(
            .mistral, "Text [TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g-2[CALL_ID]abc[ARGS]{}", "Text",
            calls: [("f", "{\"a\": 1}"), ("g-2", "{}")]),
        .init(.mistral, "[TOOL_CALLS]f{\"a\": 1}", calls: [("f", "{\"a\": 1}")]),
        .init(.mistral, "[TOOL_CALLS] hello there", "[TOOL_CALLS] hello there"),
        .init(.mistral, "[TOOL_CALLS]f[ARGS]{\"a\": 1}\nHello [TOOL", "\nHello [TOOL", calls: [("f", "{\"a\": 1}")]),
    ]

    static let functions: Set<String> = ["f", "g"]

    /// Real templates tell how their models write turns.
    @Test(
        arguments: [
            ("own:chatml.jinja", ToolCallFormat.hermes, nil),
            ("gguf:smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", .hermes, nil),
            ("google-gemma-2-2b-it.jinja", .hermes, nil), ("Qwen-Qwen2.5-7B-Instruct.jinja", .hermes, nil),
            ("NousResearch-Hermes-3-Llama-3.1-8B-tool_use.jinja", .hermes, nil),
            ("own:thinking.jinja", .hermes, .think),
            ("meta-llama-Llama-3.1-8B-Instruct.jinja", .llama3JSON, nil),
            ("meta-llama-Llama-3.2-3B-Instruct.jinja", .llama3JSON, nil),
            ("mistralai-Mistral-Nemo-Instruct-2407.jinja", .mistral, nil),
            ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja", .hermes, .think),
            ("fireworks-ai-llama-3-firefunction-v2.jinja", .hermes, nil),
            ("CohereForAI-c4ai-command-r-plus-tool_use.jinja", .json, nil),
        ] as [(String, ToolCallFormat, ReasoningFormat?)])
    func detection(_ name: String, _ tools: ToolCallFormat, _ reasoning: ReasoningFormat?) throws {
        let source = try Fixtures.source(of: name)
        let variables = try ChatTemplate(source).variableNames
        #expect(TurnFormat(template: source, variables: variables) == TurnFormat(tools: tools, reasoning: reasoning))
    }

    @Test(arguments: cases)
    func calls(_ turn: TurnCase) {
        let parser = TurnParser(format: TurnFormat(tools: turn.format), functions: Self.functions)
        let expected = ReadTurn(turn.expected, calls: turn.calls)
        #expect(ReadTurn(parser, chunks: [turn.text]) == expected)
        #expect(ReadTurn(parser, chunks: turn.text.map(String.init)) == expected)
    }

    @Test(arguments: [
        ("Hello", false, "", "Hello"), ("<think>\nHm.\n</think>\n\nHello", false, "Hm.", "Hello"),
        ("Hm.\n\nSo.</think>Hello\n", true, "Hm.\n\nSo.", "Hello\n"), ("<think>Hm. ", false, "Hm.", ""),
        ("<think>Hm.</think>", true, "Hm.", ""), ("  <th", false, "", "  <th"), ("Hm </think", true, "Hm </think", ""),
        ("a <think> b </think>", false, "", "a <think> b </think>"), ("\n", false, "", "\n"),
        ("<think></think>x", false, "", "x"),
    ])
    func reasoning(_ text: String, _ isOpen: Bool, _ reasoning: String, _ answer: String) {
        for tools in [ToolCallFormat.hermes, nil] {
            let parser = TurnParser(format: TurnFormat(tools: tools, reasoning: .think), reasoningIsOpen: isOpen)
            #expect(ReadTurn(parser, chunks: [text]) == ReadTurn(answer, reasoning: reasoning))
            #expect(ReadTurn(parser, chunks: text.map(String.init)) == ReadTurn(answer, reasoning: reasoning))
        }
    }

    @Test func reasoningThenCalls() {
        let parser = TurnParser(format: TurnFormat(tools: .hermes, reasoning: .think), reasoningIsOpen: true)
        let text = "I call <tool_call>.\n</think>\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>"
        #expect(ReadTurn(parser, chunks: [text]) == ReadTurn(reasoning: "I call <tool_call>.", calls: [("f", "{}")]))
    }

    @Test func callsStream() {
        var parser = TurnParser(format: TurnFormat(tools: .hermes))
        #expect(parser.add("<tool_call>{\"name\": \"f\", \"argu").isEmpty)
        #expect(parser.add("ments\": {\"a") == [.call(index: 0, name: "f"), .arguments(index: 0, text: "{\"a")])
        #expect(parser.add("\": 1") == [.arguments(index: 0, text: "\": 1")])
        #expect(parser.add("}}</tool") == [.arguments(index: 0, text: "}")])
        #expect(parser.add("_call> ").isEmpty)
        #expect(parser.add("x <") == [.text(" x")])
        #expect(parser.finish() == [.text(" <")])
    }

    /// However a text is cut, the same comes out; and where nothing is found, all of it.
    @Test(arguments: ToolCallFormat.allCases)
    func everySplit(_ format: ToolCallFormat) {
        var random = SeededGenerator(seed: UInt64(format.rawValue.utf8.reduce(0) { $0 * 31 + Int($1) }))
        let parts = [
            "<tool_call>", "</tool_call>", "<tool_", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", "<|python_start|>",
            "[",
            "]", "{", "}", "{\"name\": \"f\", \"arguments\": {\"a\": 1}}", "{\"name\": \"g\", \"parameters\": ",
            "f(a=1)",
            "g(b='", "\"", "\\", ",", ";", " ", "\n", "word", "é😀", "<think>", "</think>", "<", "null", "\"name\": ",
            "\"f\"", "(", ")", "=", "f", ": ", "\"arguments\": ", "{\"name\": \"g\"", "'",
        ]
        for round in 0..<1500 {
            let text = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                parts[Int.random(in: 0..<parts.count, using: &random)]
            }.joined()
            let parser = TurnParser(
                format: TurnFormat(tools: format, reasoning: round % 3 == 0 ? .think : nil), functions: Self.functions,
                reasoningIsOpen: round % 6 == 0)
            let whole = ReadTurn(parser, chunks: [text])
            #expect(ReadTurn(parser, chunks: text.unicodeScalars.map(String.init)) == whole, "\(text)")
            var chunks: [String] = []
            var rest = text.unicodeScalars[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...9, using: &random)
                chunks.append(String(String.UnicodeScalarView(rest.prefix(count))))
                rest = rest.dropFirst(count)
            }
            #expect(ReadTurn(parser, chunks: chunks) == whole, "\(text)")
            if whole.calls.isEmpty, whole.reasoning.isEmpty, round % 3 != 0 { #expect(whole.text == text) }
            let plain = TurnParser(format: TurnFormat())
            #expect(ReadTurn(plain, chunks: chunks) == ReadTurn(text))
        }
    }

    /// What was written comes back, in every format.
    @Test(arguments: ToolCallFormat.allCases)
    func writtenTurns(_ format: ToolCallFormat) throws {
        var random = SeededGenerator(seed: 7)
        let strings = ["x", "a \\\"quote\\\"", "}]", "</tool_call", "\\n", "é", "\\\\", "f(a=1)", "{", "'"]
        for _ in 0..<400 {
            let calls = (0..<Int.random(in: 1...3, using: &random)).map { _ -> (String, String) in
                let members = (0..<Int.random(in: 0...3, using: &random)).map { index in
                    let text = "\"\(strings[Int.random(in: 0..<strings.count, using: &random)])\""
                    let value = [text, "-12", "[1,{\"k\":\(text)}]", "true", "0.5"][
                        Int.random(in: 0..<5, using: &random)]
                    return "\"k\(index)\":\(value)"
                }
                return (Bool.random(using: &random) ? "f" : "g", "{\(members.joined(separator: ","))}")
            }
            func object(_ call: (String, String), _ key: String) -> String {
                "{\"name\": \"\(call.0)\", \"\(key)\": \(call.1)}"
            }
            let text =
                switch format {
                case .hermes:
                    calls.map { "<tool_call>\n\(object($0, "arguments"))\n</tool_call>" }.joined(separator: "\n")
                case .llama3JSON: calls.map { object($0, "parameters") }.joined(separator: ";")
                case .mistral: "[TOOL_CALLS][\(calls.map { object($0, "arguments") }.joined(separator: ", "))]"
                case .json: "[\(calls.map { object($0, "arguments") }.joined(separator: ", "))]"
                case .pythonic: "[\(calls.map { "\($0.0)(\(Self.keywords($0.1)))" }.joined(separator: ", "))]"
                }
            let parser = TurnParser(format: TurnFormat(tools: format), functions: Self.functions)
            #expect(ReadTurn(parser, chunks: text.unicodeScalars.map(String.init)) == ReadTurn(calls: calls), "\(text)")
        }
    }

    /// `"k0":…,"k1":…` as keyword arguments.
    private static func keywords(_ object: String) -> String {
        var text = String(object.dropFirst().dropLast())
        for index in 0..<3 { text = text.replacingOccurrences(of: "\"k\(index)\":", with: "k\(index)=") }
        return text
    }

    /// A long turn in small pieces, and hostile ones, take linear time.
    @Test func longTurns() {
        let count = 200_000
        let long = String(repeating: "x", count: count)
        let open = String(repeating: "[", count: count)
        for (format, text) in [
            (ToolCallFormat.hermes, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"\(long)\"}}</tool_call>"),
            (.hermes, String(repeating: "<tool_call>", count: count / 11)),
            (.hermes, "<tool_call>{\"name\":\"f\",\"a\":\(open)"),
            (.hermes, "<tool_call>{\"arguments\":\"\(long)"), (.pythonic, "[f(a=\(open)"),
            (.pythonic, "[f(a='\(long)')]"),
            (.mistral, "[TOOL_CALLS]\(long)"), (.json, String(repeating: " ", count: count)), (.json, open),
        ] {
            let parser = TurnParser(format: TurnFormat(tools: format), functions: Self.functions)
            let whole = ReadTurn(parser, chunks: [text])
            #expect(ReadTurn(parser, chunks: text.unicodeScalars.map(String.init)) == whole)
            #expect(whole.text.count + whole.calls.reduce(0) { $0 + $1.arguments.count } >= count - 100)
        }
    }
}

/// A small generator of the same numbers each time (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
