/// A piece of an assistant's turn, as it streams: what the client sees apart.
public enum TurnPiece: Sendable, Hashable {
    /// Thinking that precedes the answer.
    case reasoning(String)
    /// The answer's text.
    case text(String)
    /// A tool call begins; calls of a turn are numbered from 0.
    case call(index: Int, name: String)
    /// More of the JSON text of a call's arguments.
    case arguments(index: Int, text: String)
}

/// How a model writes reasoning and tool calls into its text.
public struct TurnFormat: Sendable, Hashable {
    /// How it writes tool calls; `nil` where it has no way.
    public var tools: ToolCallFormat?
    /// How it marks reasoning; `nil` where it does not.
    public var reasoning: ReasoningFormat?

    /// Describes a format.
    public init(tools: ToolCallFormat? = nil, reasoning: ReasoningFormat? = nil) {
        self.tools = tools
        self.reasoning = reasoning
    }
}

/// The ways in which families of models write tool calls.
public enum ToolCallFormat: String, Sendable, Hashable, CaseIterable {
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>`: Hermes, Qwen.
    case hermes
    /// `{"name": …, "parameters": {…}}`: Llama 3.
    case llama3JSON = "llama3_json"
    /// `[name(argument=value, …)]`: Llama 3.2 and 4.
    case pythonic
    /// `[TOOL_CALLS][{"name": …, "arguments": {…}}]`: Mistral.
    case mistral
    /// A JSON object, or an array of them, with `name` and `arguments`.
    case json
}

/// The ways in which families of models mark reasoning.
public enum ReasoningFormat: String, Sendable, Hashable, CaseIterable {
    /// `<think>…</think>`; the opening may be the prompt's last text.
    case think
}
