import Foundation
import MartinetTemplates
import Testing

/// Sources and contexts that mean harm: each ends with an error or a text, soon, and nothing traps.
@Suite struct HostileTests {
    private static func nested(_ open: String, _ inside: String, _ close: String, _ count: Int) -> String {
        String(repeating: open, count: count) + inside + String(repeating: close, count: count)
    }

    static let exhausting: [String] = [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ range(10000000) }}", "{{ range(0, 9223372036854775807, 1)|length }}",
        "{{ range(-9223372036854775807, 9223372036854775807)|list }}",
        "{{ 'x' * 1000000000 }}", "{{ [0] * 1000000000 }}", "{{ 'x' * 9223372036854775807 }}",
        "{{ ('x' * 30000000) ~ ('x' * 30000000) }}", "{{ 'x'.center(1000000000) }}", "{{ 'x'|center(1000000000) }}",
        "{{ ('a' * 100000).replace('a', 'b' * 100000) }}", "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
        "{{ (['a'] * 100000)|join('b' * 100000) }}", "{{ ('a\n' * 100000)|indent(10000) }}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}",
        "{% set ns = namespace(l={}) %}{% for i in range(100000) %}{% set ns.l = {'a': ns.l} %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(50) %}{% set ns.l = [ns.l, ns.l, ns.l] %}{% endfor %}"
            + "{{ ns.l|tojson }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(99) %}{% set ns.a = [ns.a, ns.a] %}"
            + "{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{% set ns = namespace(a=(1,)) %}{% for i in range(99) %}{% set ns.a = (ns.a, ns.a) %}{% endfor %}{{ {ns.a: 1} }}",
        "{% for i in range(100000) %}{{ 'x' * 100000 }}{% endfor %}",
        "{% for i in range(100000) %}{% set ns = namespace() %}{% for j in range(3) %}{% set m = namespace(a=ns) %}"
            + "{% endfor %}{% endfor %}",
        "{% set x = ('a' * 1000000) ~ 'b' %}{{ ('a' * 2000000).find(x) }}",
        "{% set x = ('a' * 100000) ~ 'b' %}{% for i in range(100000) %}{{ x in 'a' * 1000000 }}{% endfor %}",
        "{{ '%999999999d' % 1 }}", "{{ '{:999999999}'.format(1) }}", "{{ [1]|tojson(indent=1000000000) }}",
        "{{ 'x'|indent(9223372036854775807) }}", "{{ [1]|batch(9223372036854775807, 1)|list }}",
        "{{ [1]|slice(9223372036854775807)|list }}", "{{ 'a\tb'.expandtabs(9223372036854775807) }}",
        "{{ strftime_now('%999999d') }}", "{{ strftime_now('%c' * 100000) }}",
        "{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 9223372036854775807 * 2 }}",
        "{{ 10 ** 100 }}", "{{ (-9223372036854775807 - 1) // -1 }}", "{{ -(-9223372036854775807 - 1) }}",
        "{{ (-9223372036854775807 - 1)|abs }}", "{{ 1e300|int }}", "{{ 99999999999999999999 }}",
        nested("{{ ", "1", " }}", 100_000),
        "{{ " + nested("[", "1", "]", 100_000) + " }}",
        "{{ " + nested("(", "1", ")", 100_000) + " }}", "{{ " + String(repeating: "-", count: 100_000) + "1 }}",
        "{{ " + String(repeating: "not ", count: 100_000) + "1 }}",
        "{{ a" + String(repeating: ".a", count: 100_000) + " }}",
        "{{ a" + String(repeating: "|upper", count: 100_000) + " }}",
        "{{ 1" + String(repeating: "+1", count: 100_000) + " }}",
        "{{ 1" + String(repeating: " if 1 else 1", count: 100_000) + " }}",
        "{{ a" + String(repeating: "()", count: 100_000) + " }}",
        "{{ " + String(repeating: "{1:", count: 100_000) + " }}",
        "{% set " + nested("(", "a", ")", 100_000) + " = 1 %}",
        nested("{% if 1 %}", "x", "{% endif %}", 100_000), nested("{% for x in [1] %}", "x", "{% endfor %}", 1000),
        nested("{% macro m() %}", "x", "{% endmacro %}", 100_000),
        "{{ " + String(repeating: "a or ", count: 100_000) + "a }}",
        "{% macro m(n) %}" + nested("{% if 1 %}", "{{ (((((m(n+1)))))) }}", "{% endif %}", 20)
            + "{% endmacro %}{{ m(0) }}",
    ]

    @Test("Exhausting templates end with an error", arguments: exhausting)
    func isBounded(_ source: String) {
        let start = ContinuousClock.now
        #expect(throws: TemplateError.self, "\(source.prefix(200))") {
            var limits = TemplateLimits()
            limits.milliseconds = 4000
            _ = try ChatTemplate(source).render([:], limits: limits)
        }
        #expect(ContinuousClock.now - start < .seconds(60), "\(source.prefix(200))")
    }

    @Test(
        "Work that fits its limits is done",
        arguments: [
            ("{% for i in range(1000) %}{% for j in range(100) %}x{% endfor %}{% endfor %}", 100_000),
            ("{{ 'x' * 1000000 }}", 1_000_000),
            ("{% macro m(n) %}x{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(10) }}", 11),
            ("{{ " + nested("(", "'x'", ")", 20) + " }}", 1), ("{% set ns = namespace() %}{% set ns.a = ns %}x", 1),
        ])
    func isNotTooStrict(_ source: String, _ length: Int) throws {
        #expect(try ChatTemplate(source).render([:]).utf8.count == length)
    }

    private static func limits(_ change: (inout TemplateLimits) -> Void) -> TemplateLimits {
        var limits = TemplateLimits()
        change(&limits)
        return limits
    }

    static let exceeded: [(name: String, source: String, limits: TemplateLimits)] = [
        ("sourceBytes", "xxxxxxxxxxxxxxxxxxxxxxxx", limits { $0.sourceBytes = 10 }),
        ("depth", "{{ ((((((((1)))))))) }}", limits { $0.depth = 8 }),
        ("steps", "{% for i in range(999) %}{% endfor %}", limits { $0.steps = 99 }),
        ("outputBytes", "{% for i in range(9) %}xx{% endfor %}", limits { $0.outputBytes = 10 }),
        ("stringBytes", "{{ 'x' * 11 }}", limits { $0.stringBytes = 10 }),
        ("listMembers", "{{ [1] * 11 }}", limits { $0.listMembers = 10 }),
        (
            "allocatedBytes", "{% for i in range(99) %}{% set x = 'a' * 9 %}{% endfor %}",
            limits { $0.allocatedBytes = 500 }
        ),
        ("valueDepth", "{{ [[[[1]]]] }}", limits { $0.valueDepth = 3 }),
        ("objects", "{% for i in range(9) %}{% set x = namespace() %}{% endfor %}", limits { $0.objects = 5 }),
        (
            "milliseconds", "{% for i in range(90000) %}{% for j in range(9) %}{% endfor %}{% endfor %}",
            limits { $0.milliseconds = 0 }
        ),
    ]

    @Test("Each limit is named when it is exceeded", arguments: exceeded)
    func namesLimit(_ name: String, _ source: String, _ limits: TemplateLimits) {
        do throws(TemplateError) {
            let text = try ChatTemplate(source, limits: limits).render([:], limits: limits)
            Issue.record("rendered \(text.count) characters")
        } catch {
            #expect(error.code == .limitExceeded)
            #expect(error.message.contains(name), "\(error)")
        }
    }

    /// All templates that the fixtures name, with one conversation that uses tools.
    private func material() throws -> (sources: [String], context: [String: TemplateValue]) {
        let names = try Fixtures.read("renderings.json").compactMap { $0["template"]?.string }
        let conversations = try Fixtures.read("conversations.json")
        let context = try #require(conversations.first { $0["name"]?.string == "called tools" }?["context"]).context
        return (try names.map { try Fixtures.source(of: $0) }, context)
    }

    @Test func everyPrefixIsReadOrRefused() throws {
        let (sources, context) = try material()
        var read = 0
        var refused = 0
        for source in Set(sources) {
            let scalars = Array(source.unicodeScalars)
            // Every prefix of the shorter templates is read, one in seven of the longer ones (reading them all takes
            // half a minute); of those that are templates one in eight is rendered.
            for length in stride(from: 0, through: scalars.count, by: scalars.count < 3500 ? 1 : 7) {
                var prefix = String.UnicodeScalarView()
                prefix.append(contentsOf: scalars[..<length])
                do throws(TemplateError) {
                    let template = try ChatTemplate(String(prefix))
                    read += 1
                    if read.isMultiple(of: 8) { _ = try? template.render(context) }
                } catch {
                    #expect(error.code == .syntax && error.line != nil)
                    refused += 1
                }
            }
        }
        print("prefixes: \(read) read, \(refused) refused")
        #expect(read > 100 && refused > 100)
    }

    @Test func mutationsDoNotTrap() throws {
        let (sources, context) = try material()
        var generator = SplitMix(state: 42)
        var rendered = 0
        var failed = 0
        let pieces = [
            "{{", "}}", "{%", "%}", "{#", "#}", "-", "(", ")", "[", "]", "|", ".", "'", "\"", "\\", "0", "9", "~",
            "if", "for", "in", "not", "loop", " ", "\n", "é", ":", ",", "messages", "none", "*", "**", "%", "//",
        ]
        var limits = TemplateLimits()
        limits.steps = 200_000
        for _ in 0..<4000 {
            let source = sources[Int(generator.next() % UInt64(sources.count))]
            var scalars = Array(source.unicodeScalars)
            for _ in 0..<(1 + generator.next() % 4) where !scalars.isEmpty {
                let position = Int(generator.next() % UInt64(scalars.count))
                switch generator.next() % 3 {
                case 0: scalars.remove(at: position)
                case 1:
                    let piece = pieces[Int(generator.next() % UInt64(pieces.count))]
                    scalars.insert(contentsOf: piece.unicodeScalars, at: position)
                default: scalars.swapAt(position, Int(generator.next() % UInt64(scalars.count)))
                }
            }
            var text = String.UnicodeScalarView()
            text.append(contentsOf: scalars)
            do throws(TemplateError) {
                _ = try ChatTemplate(String(text)).render(context, limits: limits)
                rendered += 1
            } catch {
                failed += 1
            }
        }
        print("mutations: \(rendered) rendered, \(failed) failed")
        #expect(rendered > 100 && failed > 100)
    }

    @Test func deepContextIsRefused() {
        var value = TemplateValue.string("x")
        for _ in 0..<1000 { value = .array([value]) }
        #expect(throws: TemplateError.self) { try ChatTemplate("{{ messages }}").render(["messages": value]) }
    }
}

/// A small generator with a fixed seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
