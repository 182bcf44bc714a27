/// How a format marks calls.
struct CallSyntax: Sendable {
    /// Texts that begin a group of calls.
    var openings: Markers
    /// The text that ends one, where there is one.
    var closing: Markers?
    /// Whether calls may begin a turn without a marker.
    var isBare = false
    /// Whether calls are written as in Python.
    var isPythonic = false
    /// Whether a call may be `name[ARGS]{…}`.
    var hasNamedCalls = false

    init(_ format: ToolCallFormat) {
        switch format {
        case .hermes:
            openings = Markers(["<tool_call>"])
            closing = Markers(["</tool_call>"])
        case .llama3JSON:
            openings = Markers(["<|python_tag|>"])
            isBare = true
        case .pythonic:
            openings = Markers(["<|python_start|>"])
            closing = Markers(["<|python_end|>"])
            isBare = true
            isPythonic = true
        case .mistral:
            openings = Markers(["[TOOL_CALLS]"])
            hasNamedCalls = true
        case .json:
            openings = Markers([])
            isBare = true
        }
    }
}

extension TurnFormat {
    /// Texts that mark parts of a turn. Where they are control tokens of a vocabulary, a parser must see them.
    public var markers: [String] {
        let calls: [String] =
            switch tools {
            case .hermes?: ["<tool_call>", "</tool_call>"]
            case .llama3JSON?: ["<|python_tag|>"]
            case .pythonic?: ["<|python_start|>", "<|python_end|>"]
            case .mistral?: ["[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"]
            case .json?, nil: []
            }
        return calls + (reasoning == nil ? [] : ["<think>", "</think>"])
    }
}
