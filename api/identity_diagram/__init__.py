"""The diagram of a profile's identifiers: model, Mermaid, SVG."""
