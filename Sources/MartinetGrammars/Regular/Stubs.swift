// Stand-ins until the regular languages and schemas are merged.
package enum RegularLowering {
    package static func node(regex: String) throws(GrammarError) -> GrammarNode {
        throw GrammarError("regular expressions are not there yet")
    }

    package static func node(textBefore marker: String) -> GrammarNode { .bytes(Array(marker.utf8)) }
}

package enum JSONSchemaLowering {
    package static func node(_ schema: String, rules: GrammarRules) throws(GrammarError) -> GrammarNode {
        throw GrammarError("schemas are not there yet")
    }
}
