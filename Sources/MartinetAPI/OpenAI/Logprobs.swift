internal import MartinetJSON
internal import MartinetEngine
internal import MartinetTokenizers

/// Log probabilities in the shapes that OpenAI and vLLM give them.
enum Logprobs {
    /// The chat shape: `{"content":[{"token","bytes","logprob","top_logprobs":[…]}]}`.
    static func writeChat(
        _ logprobs: [TokenLogprobs], _ tokenizer: any Tokenizer, byID: Bool = false, to writer: inout JSONWriter
    ) {
        writer.object { writer in
            writer.field("content") { writeTokens(logprobs, tokenizer, byID: byID, to: &$0) }
        }
    }

    /// An array with one `{"token","bytes","logprob","top_logprobs":[…]}` for each token.
    static func writeTokens(
        _ logprobs: [TokenLogprobs], _ tokenizer: any Tokenizer, byID: Bool = false, to writer: inout JSONWriter
    ) {
        writer.array { writer in
            for token in logprobs {
                writer.object { writer in
                    write(token.chosen, tokenizer, byID, to: &writer)
                    writer.field("top_logprobs") { writer in
                        writer.array { writer in
                            for entry in token.top { writer.object { write(entry, tokenizer, byID, to: &$0) } }
                        }
                    }
                }
            }
        }
    }

    private static func write(
        _ entry: TokenLogprobs.Entry, _ tokenizer: any Tokenizer, _ byID: Bool, to writer: inout JSONWriter
    ) {
        let bytes = tokenizer.bytes(of: entry.token, includeSpecial: true)
        writer.field("token", byID ? "token_id:\(entry.token)" : String(decoding: bytes, as: UTF8.self))
        writer.field("logprob") { $0.value(finite(entry.logprob)) }
        writer.field("bytes", bytes.map(Int32.init))
    }

    /// The completions shape: parallel arrays. `offset` is the position of the first token in the text, in characters.
    static func writeCompletion(
        _ logprobs: [(token: Int32, logprobs: TokenLogprobs?)], top: Int, offset: inout Int,
        _ tokenizer: any Tokenizer, byID: Bool = false, to writer: inout JSONWriter
    ) {
        let texts = logprobs.map { text(of: $0.token, tokenizer) }
        func name(_ token: Int32) -> String { byID ? "token_id:\(token)" : text(of: token, tokenizer) }
        writer.object { writer in
            writer.field("text_offset") { writer in
                writer.array { writer in
                    for text in texts {
                        writer.value(offset)
                        offset += text.unicodeScalars.count
                    }
                }
            }
            writer.field("token_logprobs") { writer in
                writer.array { writer in
                    for entry in logprobs {
                        if let chosen = entry.logprobs?.chosen {
                            writer.value(finite(chosen.logprob))
                        } else {
                            writer.value(nil as Int?)
                        }
                    }
                }
            }
            writer.field("tokens") { writer in
                writer.array { writer in for entry in logprobs { writer.value(name(entry.token)) } }
            }
            writer.field("top_logprobs") { writer in
                writer.array { writer in
                    for entry in logprobs {
                        guard let logprobs = entry.logprobs else {
                            writer.value(nil as Int?)
                            continue
                        }
                        writer.object { writer in
                            // Different tokens may have one spelling; the likelier keeps the key.
                            var seen: Set<String> = []
                            let entries = logprobs.top.prefix(top) + [logprobs.chosen]
                            for entry in entries {
                                let text = name(entry.token)
                                guard seen.insert(text).inserted else { continue }
                                writer.field(text) { $0.value(finite(entry.logprob)) }
                            }
                        }
                    }
                }
            }
        }
    }

    /// vLLM's shape for prompts: for each token `null` or `{"id":{"logprob","rank","decoded_token"}}`.
    static func writePrompt(
        _ logprobs: [TokenLogprobs?], _ tokenizer: any Tokenizer, to writer: inout JSONWriter
    ) {
        writer.array { writer in
            for token in logprobs {
                guard let token else {
                    writer.value(nil as Int?)
                    continue
                }
                writer.object { writer in
                    var seen: Set<Int32> = []
                    for entry in [token.chosen] + token.top where seen.insert(entry.token).inserted {
                        writer.field(String(entry.token)) { writer in
                            writer.object { writer in
                                writer.field("logprob") { $0.value(finite(entry.logprob)) }
                                writer.field("rank", entry.rank)
                                writer.field("decoded_token", text(of: entry.token, tokenizer))
                            }
                        }
                    }
                }
            }
        }
    }

    private static func text(of token: Int32, _ tokenizer: any Tokenizer) -> String {
        String(decoding: tokenizer.bytes(of: token, includeSpecial: true), as: UTF8.self)
    }

    /// JSON has no infinity; -9999 stands for it, as in vLLM.
    private static func finite(_ logprob: Float) -> Double { logprob.isFinite ? Double(logprob) : -9999 }
}
