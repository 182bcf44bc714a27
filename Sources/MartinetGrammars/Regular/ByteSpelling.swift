/// Turns an automaton over scalars into one over bytes.
///
/// States for the bytes within a scalar are shared: two are one when all that can follow leads to the same places.
struct ByteSpelling {
    /// How scalars are spelled.
    enum Style {
        /// Each as its UTF-8 bytes.
        case plain
        /// As inside a JSON string: plain where JSON allows that, by a short escape, or by `\u` and four digits.
        case jsonString
        /// As inside a JSON string, by an escape only where it is needed: the short one, or `\u` and lower-case digits.
        case canonicalString
    }

    /// The most states, of a kilobyte each.
    static let maximumStates = 12_000

    /// Where a stretch of offsets leads, to the next one's start.
    private struct Stretch: Hashable {
        var start: UInt32
        var target: Int32
    }

    private enum Kind: Hashable {
        /// So many continuation bytes of UTF-8 follow.
        case continuation(Int)
        /// So many hexadecimal digits follow.
        case hexadecimal(Int)
        /// A backslash, or the `u` behind it, of a low surrogate follows.
        case lowEscape, lowLetter
        /// What follows a backslash, in a state of the scalar automaton.
        case escape(Int32)
    }

    private struct Key: Hashable {
        var kind: Kind
        var stretches: [Stretch]
    }

    private let language: RegularLanguage
    private let style: Style
    private var rows: [Int32]
    private var states: [Key: Int32] = [:]

    private init(_ language: RegularLanguage, style: Style) {
        self.language = language
        self.style = style
        rows = [Int32](repeating: ByteAutomaton.dead, count: language.stateCount * 256)
    }

    /// The automaton of a language that is not empty; `nil` when it would have too many states.
    static func automaton(
        _ language: RegularLanguage, style: Style, _ effort: Effort
    ) throws(GrammarError) -> ByteAutomaton? {
        var spelling = ByteSpelling(language, style: style)
        for state in 0..<language.stateCount {
            let count = spelling.rows.count
            spelling.fill(Int32(state))
            // Dear by its size: this is what grammars keep.
            try effort.spend(500 + (spelling.rows.count - count) * 2)
            guard spelling.rows.count >> 8 <= maximumStates else { return nil }
        }
        var accepting = language.accepting
        accepting.append(contentsOf: repeatElement(false, count: spelling.rows.count >> 8 - accepting.count))
        return ByteAutomaton(next: spelling.rows, accepting: accepting)
    }

    /// The one text of a string in the canonical style.
    static func canonical(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if let escape = shortEscapes.first(where: { $0.scalar == byte }) {
                bytes += [0x5C, escape.letter]
            } else if byte < 0x20 {
                let digits = Array("0123456789abcdef".utf8)
                bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    private mutating func fill(_ state: Int32) {
        let all = stretches(of: state)
        for byte in UInt32(0)..<0x80 where style == .plain || byte >= 0x20 && byte != 0x22 && byte != 0x5C {
            set(state, UInt8(byte), target(of: byte, in: all))
        }
        let two = Self.cut(all, below: 0x80)
        for lead in UInt32(0xC2)...0xDF {
            set(state, UInt8(lead), continuation(1, Self.slice(two, from: (lead & 0x1F) << 6, count: 1 << 6)))
        }
        let three = Self.cut(all, below: 0x800)
        for lead in UInt32(0xE0)...0xEF {
            set(state, UInt8(lead), continuation(2, Self.slice(three, from: (lead & 0xF) << 12, count: 1 << 12)))
        }
        let four = Self.cut(all, below: 0x10000)
        for lead in UInt32(0xF0)...0xF4 {
            set(state, UInt8(lead), continuation(3, Self.slice(four, from: (lead & 7) << 18, count: 1 << 18)))
        }
        if style != .plain { set(state, 0x5C, escape(state, all)) }
    }

    private mutating func set(_ state: Int32, _ byte: UInt8, _ target: Int32) {
        rows[Int(state) << 8 | Int(byte)] = target
    }

    /// Where the scalars lead from a state, up to the end of what four bytes could spell.
    private func stretches(of state: Int32) -> [Stretch] {
        var stretches: [Stretch] = []
        for (start, symbol) in zip(language.alphabet.starts, language.alphabet.classes) {
            Self.append(Stretch(start: start, target: language.next(state, Int(symbol))), to: &stretches)
        }
        Self.append(Stretch(start: 0x110000, target: ByteAutomaton.dead), to: &stretches)
        return stretches
    }

    private static func append(_ stretch: Stretch, to stretches: inout [Stretch]) {
        if stretches.last?.start == stretch.start { stretches.removeLast() }
        if stretches.last?.target != stretch.target { stretches.append(stretch) }
    }

    private static func index(of offset: UInt32, in stretches: [Stretch]) -> Int {
        var low = 0
        var high = stretches.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if stretches[middle].start <= offset { low = middle } else { high = middle }
        }
        return low
    }

    private func target(of offset: UInt32, in stretches: [Stretch]) -> Int32 {
        stretches[Self.index(of: offset, in: stretches)].target
    }

    private static func slice(_ stretches: [Stretch], from start: UInt32, count: UInt32) -> [Stretch] {
        let first = index(of: start, in: stretches)
        var part = [Stretch(start: 0, target: stretches[first].target)]
        for stretch in stretches[(first + 1)...] {
            guard stretch.start < start + count else { break }
            part.append(Stretch(start: stretch.start - start, target: stretch.target))
        }
        return part
    }

    /// The same, but what starts below leads nowhere.
    private static func cut(_ stretches: [Stretch], below end: UInt32) -> [Stretch] {
        var part = [Stretch(start: 0, target: ByteAutomaton.dead)]
        append(Stretch(start: end, target: stretches[index(of: end, in: stretches)].target), to: &part)
        for stretch in stretches where stretch.start > end { append(stretch, to: &part) }
        return part
    }

    /// The state for what may follow, or nowhere when nothing may; `fill` gives the row of a new one.
    private mutating func state(
        _ kind: Kind, _ stretches: [Stretch], fill: (inout ByteSpelling, Int32) -> Void
    ) -> Int32 {
        if stretches.allSatisfy({ $0.target < 0 }) { return ByteAutomaton.dead }
        let key = Key(kind: kind, stretches: stretches)
        if let state = states[key] { return state }
        let state = Int32(rows.count >> 8)
        rows.append(contentsOf: repeatElement(ByteAutomaton.dead, count: 256))
        states[key] = state
        fill(&self, state)
        return state
    }

    private mutating func continuation(_ left: Int, _ stretches: [Stretch]) -> Int32 {
        guard left > 0 else { return stretches[0].target }
        return state(.continuation(left), stretches) { spelling, state in
            let size = UInt32(1) << UInt32(6 * (left - 1))
            for bits in UInt32(0)..<64 {
                let part = Self.slice(stretches, from: bits * size, count: size)
                spelling.set(state, UInt8(0x80 + bits), spelling.continuation(left - 1, part))
            }
        }
    }

    private mutating func hexadecimal(_ left: Int, _ stretches: [Stretch]) -> Int32 {
        guard left > 0 else { return stretches[0].target }
        return state(.hexadecimal(left), stretches) { spelling, state in
            let size = UInt32(1) << UInt32(4 * (left - 1))
            for (digit, letter) in zip(UInt32(0)..., "0123456789abcdef".utf8) {
                let part = Self.slice(stretches, from: digit * size, count: size)
                let target = spelling.hexadecimal(left - 1, part)
                spelling.set(state, letter, target)
                if digit > 9, spelling.style == .jsonString { spelling.set(state, letter - 0x20, target) }
            }
        }
    }

    private mutating func escape(_ from: Int32, _ all: [Stretch]) -> Int32 {
        let all = style == .jsonString ? all : escaped(all)
        return state(.escape(from), all) { spelling, state in
            for (letter, scalar) in Self.shortEscapes {
                spelling.set(state, letter, spelling.target(of: scalar, in: all))
            }
            if spelling.style == .jsonString {
                spelling.set(state, UInt8(ascii: "/"), spelling.target(of: 0x2F, in: all))
            }
            let units = spelling.style == .jsonString ? spelling.codeUnits(all) : spelling.controls(all)
            spelling.set(state, UInt8(ascii: "u"), spelling.hexadecimal(4, units))
        }
    }

    private static let shortEscapes: [(letter: UInt8, scalar: UInt32)] = [
        (0x22, 0x22), (0x5C, 0x5C), (0x62, 0x08), (0x66, 0x0C), (0x6E, 0x0A), (0x72, 0x0D), (0x74, 0x09),
    ]

    /// Where the scalars lead that must be escaped.
    private func escaped(_ all: [Stretch]) -> [Stretch] {
        var some: [Stretch] = []
        for scalar in UInt32(0)...0x5D {
            let isEscaped = scalar < 0x20 || scalar == 0x22 || scalar == 0x5C
            let target = isEscaped ? target(of: scalar, in: all) : ByteAutomaton.dead
            Self.append(Stretch(start: scalar, target: target), to: &some)
        }
        return some
    }

    /// Where the control characters lead that have no short escape.
    private func controls(_ all: [Stretch]) -> [Stretch] {
        var units: [Stretch] = []
        for scalar in UInt32(0)..<0x20 {
            let isShort = Self.shortEscapes.contains { $0.scalar == scalar }
            let target = isShort ? ByteAutomaton.dead : target(of: scalar, in: all)
            Self.append(Stretch(start: scalar, target: target), to: &units)
        }
        Self.append(Stretch(start: 0x20, target: ByteAutomaton.dead), to: &units)
        return units
    }

    /// Where UTF-16 code units lead: to a target, or for a high surrogate to a state for its low half.
    private mutating func codeUnits(_ all: [Stretch]) -> [Stretch] {
        var units: [Stretch] = []
        for stretch in all where stretch.start < 0xD800 { units.append(stretch) }
        var high: UInt32 = 0
        while high < 1024 {
            let start = 0x10000 + high << 10
            let index = Self.index(of: start, in: all)
            let end = index + 1 < all.count ? all[index + 1].start : 0x110000
            let target = low(Self.slice(all, from: start, count: 1024))
            Self.append(Stretch(start: 0xD800 + high, target: target), to: &units)
            high += max(1, (min(end, 0x110000) - start) >> 10)
        }
        Self.append(Stretch(start: 0xDC00, target: ByteAutomaton.dead), to: &units)
        Self.append(Stretch(start: 0xE000, target: target(of: 0xE000, in: all)), to: &units)
        for stretch in all where stretch.start > 0xE000 && stretch.start < 0x10000 { Self.append(stretch, to: &units) }
        return units
    }

    private mutating func low(_ stretches: [Stretch]) -> Int32 {
        state(.lowEscape, stretches) { spelling, state in
            let letter = spelling.state(.lowLetter, stretches) { spelling, state in
                var units = [Stretch(start: 0, target: ByteAutomaton.dead)]
                for stretch in stretches {
                    Self.append(Stretch(start: 0xDC00 + stretch.start, target: stretch.target), to: &units)
                }
                Self.append(Stretch(start: 0xE000, target: ByteAutomaton.dead), to: &units)
                spelling.set(state, UInt8(ascii: "u"), spelling.hexadecimal(4, units))
            }
            spelling.set(state, 0x5C, letter)
        }
    }
}
