import Testing

@Suite struct MartinetEnginePlaceholder {}
