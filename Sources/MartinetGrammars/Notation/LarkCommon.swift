/// The terminals that Lark's grammars import from `common`, in our words.
enum LarkCommon {
    /// Stands before their names, so that they meet no others.
    static let prefix = "common."

    private static let source = #"""
        DIGIT ::= [0-9]
        HEXDIGIT ::= [0-9a-fA-F]
        INT ::= DIGIT+
        SIGNED_INT ::= [+-]? INT
        DECIMAL ::= INT "." INT? | "." INT
        FLOAT ::= INT EXPONENT | DECIMAL EXPONENT?
        EXPONENT ::= [eE] SIGNED_INT
        SIGNED_FLOAT ::= [+-]? FLOAT
        NUMBER ::= FLOAT | INT
        SIGNED_NUMBER ::= [+-]? NUMBER
        ESCAPED_STRING ::= "\"" ([^"\\\n] | "\\" [^\n])* "\""
        LCASE_LETTER ::= [a-z]
        UCASE_LETTER ::= [A-Z]
        LETTER ::= [a-zA-Z]
        WORD ::= LETTER+
        CNAME ::= ("_" | LETTER) ("_" | LETTER | DIGIT)*
        WS_INLINE ::= [ \t]+
        WS ::= [ \t\f\r\n]+
        CR ::= "\r"
        LF ::= "\n"
        NEWLINE ::= ("\r"? "\n")+
        SH_COMMENT ::= "#" [^\n]*
        CPP_COMMENT ::= "//" [^\n]*
        SQL_COMMENT ::= "--" [^\n]*
        C_COMMENT ::= "/*" ([^*] | "*"+ [^*/])* "*"+ "/"
        """#

    /// What can be imported.
    static let names: Set<String> = {
        var parser = GBNFParser(source)
        return Set(((try? parser.rules()) ?? []).map(\.name))
    }()

    /// All of them, under their prefixed names.
    static func rules() throws(GrammarError) -> [EBNFRule] {
        var parser = GBNFParser(source)
        return try parser.rules().map {
            EBNFRule(name: prefix + $0.name, place: $0.place, expression: prefixed($0.expression))
        }
    }

    private static func prefixed(_ expression: EBNFExpression) -> EBNFExpression {
        switch expression {
        case .text, .scalars, .node: expression
        case .rule(let name, let place): .rule(prefix + name, at: place)
        case .sequence(let parts): .sequence(parts.map(prefixed))
        case .choice(let options): .choice(options.map(prefixed))
        case .repetition(let body, let minimum, let maximum):
            .repetition(prefixed(body), minimum: minimum, maximum: maximum)
        }
    }
}
