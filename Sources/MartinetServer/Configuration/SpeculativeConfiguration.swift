internal import Foundation
public import MartinetEngine

/// vLLM's `--speculative-config`: a JSON object such as `{"method": "ngram", "num_speculative_tokens": 5}`.
public enum SpeculativeConfiguration {
    private struct Fields: Decodable {
        var method: String?
        var num_speculative_tokens: Int?
        var prompt_lookup_min: Int?
        var prompt_lookup_max: Int?
    }

    /// Reads a configuration. What it does not set stays at our defaults; `method` is `ngram` where it is not given.
    ///
    /// - Throws: ``EngineError`` that names what cannot be used: other methods need a second model.
    public static func speculation(json: String) throws(EngineError) -> Speculation {
        func refuse(_ message: String) -> EngineError {
            EngineError(.invalidParameter, message, parameter: "speculative_config")
        }
        let data = Data(json.utf8)
        guard let object = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
            throw refuse("--speculative-config must be a JSON object, but is `\(json)`.")
        }
        let known = ["method", "num_speculative_tokens", "prompt_lookup_min", "prompt_lookup_max"]
        if let key = object.keys.sorted().first(where: { !known.contains($0) }) {
            throw refuse("--speculative-config takes \(known.joined(separator: ", ")), but not `\(key)`.")
        }
        guard let fields = try? JSONDecoder().decode(Fields.self, from: data) else {
            throw refuse("--speculative-config must have a text as method and integers else, but is `\(json)`.")
        }
        return try speculation(
            method: fields.method ?? "ngram", maxDraftTokens: fields.num_speculative_tokens,
            shortest: fields.prompt_lookup_min, longest: fields.prompt_lookup_max)
    }

    /// The speculation of a method's name, with our defaults where nothing is given.
    ///
    /// - Parameters:
    ///   - method: `off` or `ngram`.
    ///   - maxDraftTokens: most tokens to guess.
    ///   - shortest: the fewest last tokens that must have occurred before.
    ///   - longest: the most that are compared.
    /// - Throws: ``EngineError`` that names what cannot be used.
    public static func speculation(
        method: String, maxDraftTokens: Int? = nil, shortest: Int? = nil, longest: Int? = nil
    ) throws(EngineError) -> Speculation {
        switch method {
        case "off": return .off
        case "ngram": break
        default:
            throw EngineError(
                .invalidParameter,
                "The method of speculation must be ngram or off, but is `\(method)`: no second model is loaded.",
                parameter: "speculative_config")
        }
        guard case .promptLookup(let draftTokens, let matching) = Speculation.promptLookup() else { return .off }
        let low = shortest ?? min(matching.lowerBound, longest ?? matching.lowerBound)
        let high = longest ?? max(matching.upperBound, low)
        guard low <= high else {
            throw EngineError(
                .invalidParameter, "prompt_lookup_min must be at most prompt_lookup_max, but \(low) is above \(high).",
                parameter: "prompt_lookup_min")
        }
        return .promptLookup(maxDraftTokens: maxDraftTokens ?? draftTokens, matching: low...high)
    }
}
