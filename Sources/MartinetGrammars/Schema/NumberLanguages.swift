/// Sets of numbers as languages of plain decimal texts: `-12.50`, without exponents. Whether a text is in one depends on
/// its value alone, so that sets combine as languages do.
struct NumberLanguages {
    /// Where a scan of a plain decimal text is.
    private enum Phase {
        case start, minus, zero, whole, point, fraction

        func next(_ scalar: Unicode.Scalar) -> Phase? {
            switch (self, scalar) {
            case (.start, "-"): .minus
            case (.start, "0"), (.minus, "0"): .zero
            case (.start, "1"..."9"), (.minus, "1"..."9"), (.whole, "0"..."9"): .whole
            case (.zero, "."), (.whole, "."): .point
            case (.point, "0"..."9"), (.fraction, "0"..."9"): .fraction
            default: nil
            }
        }

        var isWhole: Bool { self == .zero || self == .whole }
        var isEnd: Bool { isWhole || self == .fraction }
    }

    /// How a number compares with another.
    enum Order: Hashable {
        case below, equal, above

        var reversed: Order { self == .below ? .above : self == .above ? .below : .equal }
    }

    private static let scalars: [Unicode.Scalar] = Array("-.0123456789".unicodeScalars)
    /// All plain decimal texts.
    let all: RegularLanguage
    /// Those whose value is a whole number.
    let integers: RegularLanguage
    /// Those without a fraction.
    let withoutFraction: RegularLanguage
    /// Every number that JSON can write, exponents included.
    let everySpelling: RegularLanguage
    /// Every number that a double holds as programs write it, of up to 24 digits before and behind the point. None above
    /// 1.7e308, which readers may refuse.
    let canonicalSpelling: RegularLanguage
    private let canonicalDecimals: RegularLanguage
    private let shortDecimals: RegularLanguage

    init(_ effort: Effort) throws(GrammarError) {
        all = try RegularLanguage(
            over: Self.scalars, from: Phase.start, effort, step: { $0.next($1) }, accepts: { $0.isEnd })
        withoutFraction = try RegularLanguage(
            over: Self.scalars, from: Phase.start, effort, step: { $0.next($1) }, accepts: { $0.isWhole })
        integers = try RegularLanguage(whole: #"-?(0|[1-9][0-9]*)(\.0+)?"#, effort)
        everySpelling = try RegularLanguage(whole: #"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"#, effort)
        canonicalSpelling = try RegularLanguage(
            whole: #"-?((0|[1-9][0-9]{0,23})(\.[0-9]{1,24})?|[1-9](\.[0-9]{1,24})?e(-?[12][0-9]{2}|\+[12][0-9]{2}"#
                + #"|[+-]?([0-9]{1,2}|30[0-7])|-(30[89]|31[0-9]|32[0-4]))|1(\.[0-6][0-9]{0,23})?e\+?308)"#, effort)
        canonicalDecimals = try RegularLanguage(whole: #"-?(0|[1-9][0-9]*)(\.(0|[0-9]*[1-9]))?"#, effort)
        shortDecimals = try RegularLanguage(whole: #"-?(0|[1-9][0-9]{0,23})(\.[0-9]{1,24})?"#, effort)
    }

    /// A language's texts as programs write them: without zeros at the end of a fraction, and, where it has others at all
    /// and is not of some few numbers, with no more than 24 digits before and behind the point. A model that repeats a
    /// digit then comes to an end.
    func canonical(_ language: RegularLanguage, _ effort: Effort) throws(GrammarError) -> RegularLanguage {
        let decimals = try language.intersection(canonicalDecimals, effort)
        if decimals.words(atMost: 1_000) != nil { return decimals }
        let short = try decimals.intersection(shortDecimals, effort)
        return short.isEmpty ? decimals : short
    }

    /// The numbers that compare so with a bound.
    func numbers(_ orders: Set<Order>, _ bound: DecimalNumber, _ effort: Effort) throws(GrammarError) -> RegularLanguage
    {
        let (whole, fraction) = (bound.wholeDigits, bound.fractionDigits)
        struct State: Hashable {
            var phase = Phase.start
            var isNegative = false
            var isZero = true
            /// Digits taken in this phase, one more than the bound has for any above that.
            var position = 0
            /// How the digits so far compare with the bound's.
            var order = Order.equal

            /// Ends the digits before the point.
            mutating func endWhole(_ count: Int) {
                guard phase.isWhole else { return }
                if position != count { order = position < count ? .below : .above }
                position = 0
            }
        }
        return try RegularLanguage(
            over: Self.scalars, from: State(), effort,
            step: { state, scalar in
                guard let phase = state.phase.next(scalar) else { return nil }
                var state = state
                if phase == .point { state.endWhole(whole.count) }
                state.phase = phase
                if phase == .minus { state.isNegative = true }
                guard phase.isEnd else { return state }
                let digit = UInt8(truncatingIfNeeded: scalar.value &- 0x30)
                if digit != 0 { state.isZero = false }
                let expected = phase == .fraction ? fraction : whole
                let bound = state.position < expected.count ? expected[state.position] : 0
                let isComparable = phase == .fraction || state.position < expected.count
                if isComparable, state.order == .equal, digit != bound { state.order = digit < bound ? .below : .above }
                state.position = min(state.position + 1, expected.count + 1)
                if phase == .fraction, state.order != .equal { state.position = 0 }
                return state
            },
            accepts: { state in
                guard state.phase.isEnd else { return false }
                var state = state
                let reachedFraction = state.phase == .fraction
                state.endWhole(whole.count)
                let position = reachedFraction ? state.position : 0
                if state.order == .equal, position < fraction.count { state.order = .below }
                let order: Order =
                    if state.isNegative, !state.isZero {
                        bound.isNegative ? state.order.reversed : .below
                    } else {
                        bound.isNegative ? .above : state.order
                    }
                return orders.contains(order)
            })
    }

    /// The multiples of a number above zero.
    func multiples(of number: DecimalNumber, _ effort: Effort) throws(GrammarError) -> RegularLanguage {
        let places = max(0, -number.exponent)
        let digits = number.digits + [UInt8](repeating: 0, count: max(0, number.exponent))
        guard digits.count <= 5, let divisor = Int(digits.map(String.init).joined()), places <= 64,
            divisor * (places + 1) < Effort.maximumStates / 2
        else { throw GrammarError("`multipleOf` has too many digits to be compiled") }
        struct State: Hashable {
            var phase = Phase.start
            var remainder = 0
            var places = 0
        }
        return try RegularLanguage(
            over: Self.scalars, from: State(), effort,
            step: { state, scalar in
                guard let phase = state.phase.next(scalar) else { return nil }
                var state = state
                state.phase = phase
                guard phase.isEnd else { return state }
                let digit = Int(scalar.value) - 0x30
                if phase == .fraction {
                    guard state.places < places else { return digit == 0 ? state : nil }
                    state.places += 1
                }
                state.remainder = (state.remainder * 10 + digit) % divisor
                return state
            },
            accepts: { state in
                guard state.phase.isEnd else { return false }
                var remainder = state.remainder
                for _ in state.places..<places { remainder = remainder * 10 % divisor }
                return remainder == 0
            })
    }
}
