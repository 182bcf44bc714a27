import Testing

@Suite struct MartinetAPIPlaceholder {}
