internal import MartinetJSON
internal import MartinetEngine
internal import MartinetTokenizers

/// A raw prompt, as clients give it.
public enum Prompt: Sendable, Hashable {
    /// Text to tokenise.
    case text(String)
    /// Token ids.
    case tokens([Int32])

    /// Takes one prompt: a string or an array of token ids.
    static func one(
        _ fields: inout FieldReader, _ field: String, model: ServedModel
    ) throws(APIError) -> Prompt {
        guard let value = fields.take(field) else {
            throw .invalid(
                fields.name(field), "`\(fields.name(field))` is required: a string or an array of token ids.",
                code: "missing_required_parameter")
        }
        return try prompt(value, fields.name(field), model: model)
    }

    /// Takes one or several prompts: a string, an array of strings, of token ids, or of arrays of token ids.
    static func several(
        _ fields: inout FieldReader, _ field: String, model: ServedModel
    ) throws(APIError) -> [Prompt] {
        let name = fields.name(field)
        guard let value = fields.take(field) else {
            throw .invalid(
                name, "`\(name)` is required: a string, or an array of strings, token ids or arrays of token ids.",
                code: "missing_required_parameter")
        }
        guard case .array(let values) = value else { return [try prompt(value, name, model: model)] }
        switch values.first {
        case .string?, .array?: return try list(values, name, model: model)
        default: return [try prompt(value, name, model: model)]
        }
    }

    /// Takes an array of prompts, each a string or an array of token ids.
    static func list(
        _ values: [JSONValue], _ name: String, model: ServedModel
    ) throws(APIError) -> [Prompt] {
        guard !values.isEmpty else { throw .invalid(name, "`\(name)` must hold at least one prompt.") }
        guard values.count <= model.maxPrompts else {
            throw .invalid(
                name, "`\(name)` must hold at most \(model.maxPrompts) prompts, got \(values.count).",
                code: "array_above_max_length")
        }
        var prompts: [Prompt] = []
        for (index, value) in values.enumerated() {
            prompts.append(try prompt(value, "\(name)[\(index)]", model: model))
        }
        return prompts
    }

    private static func prompt(_ value: JSONValue, _ name: String, model: ServedModel) throws(APIError) -> Prompt {
        switch value {
        case .string(let text):
            guard !text.isEmpty else { throw .invalid(name, "`\(name)` must not be empty.") }
            return .text(text)
        case .array(let values):
            guard !values.isEmpty else { throw .invalid(name, "`\(name)` must not be empty.") }
            return .tokens(
                try FieldReader.tokens(values, name, vocabularySize: model.tokenizer.vocabularySize))
        default:
            throw .invalid(
                name, "`\(name)` must be a string or an array of token ids, got \(value.kind).", code: "invalid_type")
        }
    }

    /// The prompt's token ids, with the token that starts a text where the model expects it.
    func encode(for model: ServedModel, addSpecialTokens: Bool = true, field: String = "prompt") throws(APIError)
        -> [Int32]
    {
        switch self {
        case .tokens(let tokens): return tokens
        case .text(let text):
            // Long before tokenising it is clear that a text of this size cannot fit.
            guard text.utf8.count / Self.longestToken <= model.maxModelLength else {
                throw APIError(
                    status: 400,
                    "This model's maximum context length is \(model.maxModelLength) tokens, but `\(field)` has "
                        + "\(text.utf8.count) bytes. Shorten it.", parameter: field, code: "context_length_exceeded")
            }
            var tokens = model.tokenizer.encode(text, specials: .parse)
            if addSpecialTokens, model.tokenizer.addsBos, let bos = model.tokenizer.bosToken, tokens.first != bos {
                tokens.insert(bos, at: 0)
            }
            return tokens
        }
    }

    /// No vocabulary in use has longer tokens on average, whatever the text.
    private static let longestToken = 256
}

extension ServedModel {
    /// Builds the engine's request: cuts the prompt where asked to, and checks that it fits.
    func request(
        id: String, prompt: [Int32], fields: SamplingFields, promptField: String
    ) throws(APIError) -> InferenceRequest {
        var prompt = prompt
        if let keep = fields.truncatePromptTokens {
            let room = maxModelLength - 1
            prompt = Array(prompt.suffix(keep < 0 ? room : min(keep, room)))
        }
        guard !prompt.isEmpty else { throw .invalid(promptField, "`\(promptField)` must hold at least one token.") }
        let output = fields.hasExplicitMaxTokens ? fields.sampling.maxTokens ?? 1 : 1
        guard prompt.count < maxModelLength, output <= maxModelLength - prompt.count || !fields.hasExplicitMaxTokens
        else {
            throw APIError(
                status: 400,
                "This model's maximum context length is \(maxModelLength) tokens. However, you requested "
                    + "\(prompt.count + output) tokens (\(prompt.count) in `\(promptField)`, \(output) in the "
                    + "completion). Please reduce the length of either.",
                parameter: promptField, code: "context_length_exceeded")
        }
        var sampling = fields.sampling
        sampling.grammar = fields.constraint?.grammar
        // A client that asks for no tokens wants the prompt scored: one is generated and left out of the answer.
        sampling.maxTokens = sampling.maxTokens.map { max(1, min($0, maxModelLength - prompt.count)) }
        var request = InferenceRequest(id: id, prompt: prompt, sampling: sampling)
        request.sampleCount = fields.sampleCount
        request.stop = fields.stop
        request.includeStopText = fields.includeStopText
        request.skipSpecialTokens = fields.skipSpecialTokens
        request.priority = fields.priority
        request.cacheSalt = fields.cacheSalt
        return request
    }
}
