internal import Synchronization

/// Compiles grammars for one vocabulary and keeps those that were used last. Any number of threads may use it; those that
/// want the same grammar at once wait for the one that compiles it.
package final class GrammarCompiler: Sendable {
    private final class Entry: Sendable {
        let result = Mutex<Result<CompiledGrammar, GrammarError>?>(nil)
    }

    private struct Cache {
        var entries: [GrammarSource: (entry: Entry, lastUse: UInt64)] = [:]
        var clock: UInt64 = 0
    }

    private let vocabulary: GrammarVocabulary
    private let capacity: Int
    private let cache = Mutex(Cache())

    /// - Parameters:
    ///   - vocabulary: what masks are made over.
    ///   - cacheCapacity: the most compiled grammars that are kept, at least 1.
    package init(vocabulary: GrammarVocabulary, cacheCapacity: Int) {
        self.vocabulary = vocabulary
        capacity = max(1, cacheCapacity)
    }

    /// A grammar, ready to match.
    ///
    /// - Throws: what is wrong with the source, or which bound it is beyond.
    package func compile(_ source: GrammarSource) throws(GrammarError) -> CompiledGrammar {
        let entry = entry(for: source)
        let result = entry.result.withLock { result in
            if case .success(let grammar) = result, grammar.isFull { result = nil }
            if let result { return result }
            let compiled = Result { () throws(GrammarError) in try make(source) }
            result = compiled
            return compiled
        }
        return try result.get()
    }

    private func make(_ source: GrammarSource) throws(GrammarError) -> CompiledGrammar {
        try CompiledGrammar(Self.build(source, horizon: vocabulary.trie.depth), vocabulary: vocabulary)
    }

    private func entry(for source: GrammarSource) -> Entry {
        cache.withLock { cache in
            cache.clock += 1
            if let known = cache.entries[source] {
                cache.entries[source] = (known.entry, cache.clock)
                return known.entry
            }
            while cache.entries.count >= capacity,
                let oldest = cache.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                cache.entries[oldest.key] = nil
            }
            let entry = Entry()
            cache.entries[source] = (entry, cache.clock)
            return entry
        }
    }

    /// Grammars in the cache.
    package var cachedCount: Int { cache.withLock { $0.entries.count } }

    /// Refuses what ``compile(_:)`` would refuse; needs no vocabulary.
    ///
    /// - Throws: what is wrong with the source, or which bound it is beyond.
    package static func check(_ source: GrammarSource) throws(GrammarError) {
        _ = try build(source, horizon: 0)
    }

    /// Builds the positions of a grammar; where all forms of its schemas are too many, those of their canonical forms.
    private static func build(
        _ source: GrammarSource, horizon: Int
    ) throws(GrammarError) -> CompiledGrammar.Start {
        let rules = GrammarRules()
        let node = try source.lowered(into: rules)
        do throws(GrammarError) {
            let start = try CompiledGrammar.Start(node, rules: rules, horizon: horizon)
            guard start.positions.isCrowded, let canonical = source.canonical else { return start }
            return try build(canonical, horizon: horizon)
        } catch {
            guard let canonical = source.canonical else { throw error }
            return try build(canonical, horizon: horizon)
        }
    }
}
