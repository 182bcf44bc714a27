extension TurnFormat {
    /// The format of a model, as its chat template tells: a template writes past calls the way the model writes new ones.
    ///
    /// A template that knows no tools leaves the choice: then it is Hermes' form, which the prompt must explain.
    ///
    /// - Parameters:
    ///   - template: the template's source; `nil` where the model has none.
    ///   - variables: what the template speaks of.
    public init(template: String?, variables: Set<String>) {
        let source = template ?? ""
        func has(_ text: String) -> Bool { source.contains(text) }
        let knowsTools = variables.contains("tools")
        if has("[TOOL_CALLS]") {
            tools = .mistral
        } else if has("<tool_call>") || !knowsTools {
            tools = .hermes
        } else if has("[func_name1(") || has("<|python_start|>") {
            tools = .pythonic
        } else if has("<|python_tag|>") || (has("<|start_header_id|>") && has("\"parameters\"")) {
            tools = .llama3JSON
        } else {
            tools = .json
        }
        reasoning = has("</think>") ? .think : nil
    }
}

extension ToolCallFormat {
    /// The format of a name, in vLLM's spellings too; `nil` for an unknown one.
    public init?(named name: String) {
        switch name {
        case "llama4_json": self = .llama3JSON
        case "llama4_pythonic": self = .pythonic
        case "qwen": self = .hermes
        default: self.init(rawValue: name)
        }
    }
}

extension ReasoningFormat {
    /// The format of a name, in vLLM's spellings too; `nil` for an unknown one.
    public init?(named name: String) {
        switch name {
        case "deepseek_r1", "qwen3": self = .think
        default: self.init(rawValue: name)
        }
    }
}
