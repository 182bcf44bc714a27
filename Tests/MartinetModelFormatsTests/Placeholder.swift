import Testing

@Suite struct MartinetModelFormatsPlaceholder {}
