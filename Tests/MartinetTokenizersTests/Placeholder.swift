import Testing

@Suite struct MartinetTokenizersPlaceholder {}
