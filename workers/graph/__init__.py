"""A journey as a picture: its code read into a flow, and the flow drawn as Mermaid or as SVG."""
