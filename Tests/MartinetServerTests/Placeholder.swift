import Testing

@Suite struct MartinetServerPlaceholder {}
