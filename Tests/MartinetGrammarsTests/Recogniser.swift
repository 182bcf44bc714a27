import MartinetGrammars

/// Says whether a text is in a node's language, slowly and plainly: by the sets of places at which a node can end.
final class Recogniser {
    private let rules: GrammarRules
    private let text: [UInt8]
    private struct Call: Hashable {
        var rule: GrammarRules.ID
        var place: Int
    }
    private var known: [Call: Set<Int>] = [:]

    private init(_ rules: GrammarRules, _ text: [UInt8]) {
        self.rules = rules
        self.text = text
    }

    static func accepts(_ text: String, _ node: GrammarNode, _ rules: GrammarRules) -> Bool {
        accepts(Array(text.utf8), node, rules)
    }

    static func accepts(_ text: [UInt8], _ node: GrammarNode, _ rules: GrammarRules) -> Bool {
        Recogniser(rules, text).ends(node, from: 0).contains(text.count)
    }

    private func ends(_ node: GrammarNode, from place: Int) -> Set<Int> {
        switch node {
        case .empty: return [place]
        case .bytes(let bytes): return text[place...].starts(with: bytes) ? [place + bytes.count] : []
        case .anyByte(let set): return place < text.count && set.contains(text[place]) ? [place + 1] : []
        case .automaton(let automaton):
            var ends: Set<Int> = []
            var state: Int32 = 0
            var place = place
            while true {
                if automaton.accepts(state) { ends.insert(place) }
                guard place < text.count else { return ends }
                state = automaton.next(state, text[place])
                guard state != ByteAutomaton.dead else { return ends }
                place += 1
            }
        case .sequence(let nodes): return nodes.reduce([place]) { places, node in step(node, from: places) }
        case .choice(let nodes): return nodes.reduce(into: []) { $0.formUnion(ends($1, from: place)) }
        case .repetition(let node, let minimum, let maximum):
            var places: Set<Int> = [place]
            for _ in 0..<minimum {
                places = step(node, from: places)
                if places.isEmpty { break }
            }
            var all = places
            var count = minimum
            while !places.isEmpty, count < maximum ?? .max {
                places = step(node, from: places).subtracting(all)
                all.formUnion(places)
                count += 1
            }
            return all
        case .rule(let id):
            let call = Call(rule: id, place: place)
            if let ends = known[call] { return ends }
            let result = ends(rules.node(id), from: place)
            known[call] = result
            return result
        }
    }

    private func step(_ node: GrammarNode, from places: Set<Int>) -> Set<Int> {
        places.reduce(into: []) { $0.formUnion(ends(node, from: $1)) }
    }
}
