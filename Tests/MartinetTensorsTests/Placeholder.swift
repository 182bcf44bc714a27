import Testing

@Suite struct MartinetTensorsPlaceholder {}
