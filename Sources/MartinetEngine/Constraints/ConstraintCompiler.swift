internal import Foundation
package import MartinetGrammars
package import MartinetTokenizers
internal import Synchronization

/// Compiles the grammars of requests for one model's vocabulary, away from the engine's thread.
///
/// The vocabulary is built when the first grammar comes: most engines never see one. Grammars are compiled one after the
/// other, so that no client's grammars take more than one core from everybody's tokens; those used lately are kept.
package final class ConstraintCompiler: Sendable {
    /// Grammars that are kept.
    private static let cacheCapacity = 128

    private let tokenizer: any Tokenizer
    private let vocabularySize: Int
    private let endTokens: Set<Int32>
    private let built = Mutex<GrammarCompiler?>(nil)
    private let queue = DispatchQueue(label: "martinet-grammars", qos: .utility)

    /// Compiles nothing yet.
    ///
    /// - Parameters:
    ///   - vocabularySize: rows of the model's logits; the tokenizer may know fewer tokens.
    ///   - endTokens: tokens that end a generation.
    package init(tokenizer: any Tokenizer, vocabularySize: Int, endTokens: Set<Int32>) {
        self.tokenizer = tokenizer
        self.vocabularySize = vocabularySize
        self.endTokens = endTokens
    }

    /// Begins to compile a grammar.
    ///
    /// - Parameters:
    ///   - isWanted: asked when its turn comes; what nobody wants any more is not compiled.
    ///   - whenDone: runs when the constraint has its result, on another thread.
    package func constraint(
        for source: GrammarSource, isWanted: @escaping @Sendable () -> Bool, whenDone: @escaping @Sendable () -> Void
    ) -> Constraint {
        let constraint = Constraint()
        queue.async { [self] in
            guard isWanted() else { return }
            do throws(GrammarError) {
                constraint.settle(.success(try compiler().compile(seenByClients(source))))
            } catch {
                constraint.settle(.failure(EngineError(.invalidParameter, "The grammar cannot be used: \(error)")))
            }
            whenDone()
        }
        return constraint
    }

    /// What the model must write so that clients see what the grammar takes: where the detokeniser drops the space that a
    /// text begins with, there must be one.
    private func seenByClients(_ source: GrammarSource) -> GrammarSource {
        tokenizer.dropsLeadingSpace ? .sequence([.literal(" "), source]) : source
    }

    /// The compiler. Only the queue asks for it, so it is built once.
    private func compiler() -> GrammarCompiler {
        if let compiler = built.withLock(\.self) { return compiler }
        let tokens = (0..<Int32(clamping: vocabularySize)).map { token -> [UInt8]? in
            // Control tokens add nothing to a text, and end tokens end it whatever they spell.
            guard !tokenizer.isControl(token), !endTokens.contains(token) else { return nil }
            let bytes = tokenizer.bytes(of: token, includeSpecial: false)
            return bytes.isEmpty ? nil : bytes
        }
        let compiler = GrammarCompiler(
            vocabulary: GrammarVocabulary(tokens: tokens, endTokens: endTokens), cacheCapacity: Self.cacheCapacity)
        built.withLock { $0 = compiler }
        return compiler
    }
}

/// A grammar that is being compiled, or has been, or cannot be.
package final class Constraint: Sendable {
    private let state = Mutex<Result<CompiledGrammar, EngineError>?>(nil)

    /// The grammar, or why there is none; `nil` while it is being compiled.
    package var result: Result<CompiledGrammar, EngineError>? { state.withLock(\.self) }

    fileprivate func settle(_ result: Result<CompiledGrammar, EngineError>) { state.withLock { $0 = result } }
}
