"""The diagram of a profile's identifiers: content (model, builder, style) and output as SVG or Mermaid."""
